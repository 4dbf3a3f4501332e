"""Cards say what was measured, pass the Hub's rules, and their examples run."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import DatasetCard, ModelCard, get_session
from video_maker import make_video, smooth_frames

from vidtwin import VidTwinModel, VidTwinVideoProcessor
from vidtwin.configuration import SCALES, vidtwin_config
from vidtwin.hub_cards.__main__ import write_cards
from vidtwin.hub_cards.cards import (
    dataset_card,
    demo_story,
    for_repository,
    model_card,
    released_story,
    story,
    trained_story,
    with_results,
)
from vidtwin.metrics import NAMES, path

FACTS = {"dtype": "float16", "clips": 200, "recipe": "demo", "losses": "L1, no GAN"}
QUALITY = {
    "mean_psnr": {"model": 18.0, "bicubic": 21.5, "mean_colour": 14.5},
    "num_videos": 3,
    "protocol": "25 fps",
}
SUMMARY = {
    "model": "runs/one", "data": "clips", "protocol": "vidtwin", "compression_rate": 0.002,
    "latent_numbers": 9, "lpips_net": None, "n_clips": 3, "n_videos": 2, "notes": [],
    "metrics": {"psnr": 20.25},
}  # fmt: skip
REPORT = {
    "settings": {"short_side": 256, "gop": 12}, "videos": 2, "clips": 5, "seconds": 9.5, "labels": {"a": 5},
    "refused": [], "megabytes": 0.5, "tars": {"000.tar": {"clips": 5, "bytes": 1024}},
}  # fmt: skip
ROOT = Path(__file__).parent.parent
CARDS = ROOT / "hub_cards"
LICENSES = {"apache-2.0", "mit", "other"}
TASKS = {"video-to-video"}


def named(name: str) -> str:
    return (CARDS / f"{name}.md").read_text(encoding="utf-8")


def validated(hub, card: str) -> list[str]:
    """What the Hub says of a card; `card.validate()` asks it too, but older clients only the real one."""
    asked = {"repoType": "model", "content": card}
    answer = get_session().post(f"{hub.url}/api/validate-yaml", json=asked)
    return [error["message"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("name", [*(f"vidtwin-{scale}" for scale in SCALES), "vidtwin-demo"])
def test_the_cards_in_the_repository_are_those_that_are_written_today(name, tmp_path):
    write_cards(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in CARDS.glob("*.md")}
    assert (tmp_path / f"{name}.md").read_text(encoding="utf-8") == named(name)


@pytest.mark.parametrize("file", sorted(CARDS.glob("*.md")), ids=lambda file: file.stem)
def test_a_card_passes_the_hubs_rules(file, hub):
    card = ModelCard(file.read_text(encoding="utf-8"))
    assert card.data.license in LICENSES and card.data.pipeline_tag in TASKS
    assert card.data.library_name == "vidtwin" and "custom_code" in card.data.tags
    assert card.data.model_name == file.stem
    assert validated(hub, card.content) == []
    assert "{" not in re.sub(r"```.*?```", "", card.text, flags=re.DOTALL)


@pytest.mark.parametrize("file", sorted(CARDS.glob("*.md")), ids=lambda file: file.stem)
def test_a_card_links_nothing_but_the_paper(file):
    links = re.findall(r"\]\(([^)]+)\)", file.read_text(encoding="utf-8"))
    assert set(links) == {"https://arxiv.org/abs/2412.17726"}


def test_a_licence_that_the_hub_does_not_know_would_be_refused(hub):
    assert "license" in validated(hub, named("vidtwin-base").replace("license: other", "license: mine"))[0]


@pytest.mark.parametrize("scale", ["base", "demo"])
def test_the_examples_run(scale, hub, tiny_model, tmp_path, monkeypatch):
    """On the Hub on loopback, with a small model under the card's name; every frame comes back."""
    monkeypatch.chdir(tmp_path)
    repo, count = f"org/vidtwin-{scale}", tiny_model.config.num_frames
    tiny_model.push_to_hub(repo)
    VidTwinVideoProcessor.from_config(tiny_model.config).push_to_hub(repo)
    make_video(tmp_path / "video.mp4", smooth_frames(7), 25)
    blocks = re.findall(r"```python\n(.*?)```", named(f"vidtwin-{scale}"), re.DOTALL)
    assert len(blocks) == 2
    first, second = {}, {}
    exec(blocks[0].replace("16", str(count)), first)
    assert len(first["processor"].read_video("reconstruction.mp4")[0]) == 7
    exec(blocks[1], second)
    assert isinstance(second["model"], VidTwinModel) and first["model"].device == torch.device("cpu")


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_that_nobody_trained_says_so(scale):
    text = named(f"vidtwin-{scale}")
    assert "Not measured." in text and "no weights have been published yet" in text
    assert f"{vidtwin_config(scale).num_latents:,} numbers" in text
    assert ModelCard(text).data.eval_results is None


def test_the_demo_card_gives_the_measured_means_beside_both_baselines():
    text = model_card("org/x", vidtwin_config("base"), demo_story(FACTS, QUALITY))
    assert "| this model, as stored | 18.00 |" in text and "trained on 200 clips only" in text
    assert "| bicubic to 10x10 pixels a frame and back (4,800 numbers) | 21.50 |" in text
    assert "Not measured." in model_card("org/x", vidtwin_config("base"), demo_story(FACTS, None))


def test_a_trained_models_card_tells_how_it_was_trained():
    told = trained_story({"steps": "3 of 3"}, {"PSNR": 30.25})
    text = model_card("me/mine", vidtwin_config("base"), told)
    assert "- steps: 3 of 3" in text and "- PSNR: 30.25" in text
    assert 'from_pretrained("me/mine"' in text and "--model me/mine" in text
    assert "Not measured." in model_card("me/mine", vidtwin_config("base"), trained_story({}, {}))


def test_the_released_weights_card_credits_the_authors():
    config = vidtwin_config("base", structure_channels=8)
    text = model_card("me/mine", config, released_story("microsoft/vidtwin", config))
    assert "Yuchi Wang" in text and "license: mit" in text and "Microsoft" in text
    assert "8 channels: 0.335% of" in " ".join(text.split())
    assert "Not measured." in text and ModelCard(text).data.eval_results is None


def test_measured_figures_stand_in_the_card_and_its_metadata():
    text = model_card("me/mine", vidtwin_config("base"), story("unknown"), SUMMARY)
    card = ModelCard(text)
    assert [each.metric_value for each in card.data.eval_results] == [20.25] and "20.25" in card.text


def test_figures_replace_the_results_of_a_card_and_only_these():
    before = model_card("me/mine", vidtwin_config("base"), story("unknown"))
    after = with_results(before, SUMMARY)
    assert "Not measured." not in after and "| 20.25 |" in after
    assert ModelCard(after).data.eval_results[0].metric_type == "psnr"
    assert after.count("## ") == before.count("## ") and "## Licence and citation" in after
    assert with_results(after, SUMMARY) == after
    bare = with_results("---\nlicense: mit\n---\n\nmine\n", SUMMARY)
    assert "mine" in bare and "## Results" in bare and "license: mit" in bare
    assert ModelCard(with_results("mine\r\n", SUMMARY)).data.library_name == "vidtwin"


def test_figures_do_not_break_the_fences_of_a_card():
    text = "# mine\n\n```md\n## Results\nfenced\n```\n\n## Results\nold\n# Next\nkept\n"
    after = with_results(text, SUMMARY)
    assert "```md\n## Results\nfenced\n```" in after and "old" not in after and "# Next\nkept" in after
    assert after.count("| 20.25 |") == 1


def test_the_examples_take_another_name():
    text = for_repository(named("vidtwin-base"), "me/mine")
    assert "vidtwin-base" not in text and text.count("me/mine") == 6
    assert "\n# mine\n" in text and ModelCard(text).data.model_name == "mine"


def test_the_data_sets_card_tells_what_is_in_it():
    card = DatasetCard(dataset_card("me/data", REPORT))
    assert "5 video clips, 10 seconds" in card.text and "with labels" in card.text
    assert "hf://datasets/me/data/*.tar" in card.text and card.data.license == "other"


@pytest.mark.parametrize("name", NAMES)
def test_a_metrics_card_is_a_spaces(name):
    head = (Path(path(name)) / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    told = yaml.safe_load(head)
    assert told["sdk"] == "static" and {"evaluate", "metric"} <= set(told["tags"]) and told["title"]
