"""What a measuring command wrote becomes a table and the entries of a card."""

import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

from vidtwin.hub_cards.results import eval_results, labelled, model_index, results_table

SUMMARY = {
    "model": "org/one",
    "data": "some/clips/",
    "protocol": "vidtwin",
    "compression_rate": 0.002046,
    "latent_numbers": 4928,
    "lpips_net": "vgg",
    "fvd_net": "I3D at 224",
    "n_clips": 3,
    "n_videos": 2,
    "notes": ["FVD of 12 videos is too high"],
    "metrics": {"psnr": 20.0, "lpips": 0.1, "fvd": 7.0, "fvd_clips": 12, "fvd_interval": [6.0, 8.0]},
}


def test_the_table_names_model_rate_protocol_and_notes():
    text = results_table(SUMMARY)
    assert "| org/one | 0.2046% | 4,928 | 20 | 0.1 | 7 | 3 |" in text
    assert "Protocol vidtwin; 2 videos." in text and text.endswith("FVD of 12 videos is too high")


def test_networks_and_numbers_of_clips_stand_beside_the_figures():
    assert [label for label, _ in labelled(SUMMARY)] == ["PSNR (dB)", "LPIPS, vgg", "FVD, I3D, n 12"]
    args = {each.metric_type: each.metric_args for each in eval_results(SUMMARY)}
    assert (args["fvd"]["net"], args["fvd"]["n_clips"]) == ("I3D at 224", 12)
    assert args["lpips"]["net"] == "vgg" and "net" not in args["psnr"] and args["psnr"]["n_clips"] == 3


def test_the_card_entries_are_those_of_the_hub():
    name, results = model_index_to_eval_results(yaml.safe_load(model_index(SUMMARY))["model-index"])
    assert name == "one" and {each.dataset_name for each in results} == {"clips"}
    assert {each.metric_type: each.metric_value for each in results} == pytest.approx(
        {"psnr": 20.0, "lpips": 0.1, "fvd": 7.0}
    )
