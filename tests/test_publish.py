"""A push sends everything in one commit or nothing, and what was pushed loads by its id."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from loopback_hub import TOKEN, Fault

from vidtwin import VidTwinEncoderModel, VidTwinModel, VidTwinVideoProcessor
from vidtwin.hub_cards import publish
from vidtwin.hub_cards.publish import Destination, PublishError, push, uploads
from vidtwin.modeling_vidtwin.model_folder import find_model

REPO = "me/mine"
SUMMARY = {
    "model": "/somewhere/of/mine/runs/one",
    "data": "/somewhere/of/mine/clips",
    "protocol": "vidtwin: 25 fps",
    "lpips_net": None,
    "compression_rate": 0.01,
    "latent_numbers": 9,
    "n_clips": 3,
    "n_videos": 2,
    "notes": [],
    "metrics": {"psnr": 20.5, "ssim": 0.5},
}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(publish, "_WAITS", (0.0, 0.0))


@pytest.fixture
def folder(tiny_model, tmp_path) -> Path:
    """A model as training leaves it, with what does not belong on the Hub."""
    path = tmp_path / "run"
    tiny_model.save_pretrained(path)
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained(path)
    (path / "training_args.bin").write_bytes(b"pickle")
    (path / "checkpoint-3").mkdir()
    return path


PLAIN = Destination()


def send(folder: Path, where: Destination = PLAIN, said: list | None = None, **options) -> str:
    with uploads(str(folder), REPO, **options) as planned:
        return [push(each, where, (said if said is not None else []).append) for each in planned][0]


def evaluation_of(folder: Path, place: Path, **changes) -> Path:
    place.mkdir()
    summary = {**SUMMARY, "model_sha256": find_model(str(folder)).sha256(), **changes}
    (place / "summary.json").write_text(json.dumps(summary))
    for name in ("scores.csv", "scores.parquet", "best.mp4"):
        (place / name).write_bytes(name.encode())
    return place


def test_a_pushed_model_loads_by_its_id_with_equal_outputs(hub, folder, tiny_model):
    assert send(folder) == f"{hub.url}/{REPO}"
    found = VidTwinModel.from_pretrained(REPO).eval()
    clip = torch.rand(1, 4, 3, 32, 32) * 2 - 1
    assert torch.equal(found(clip).reconstruction, tiny_model(clip).reconstruction)
    assert VidTwinVideoProcessor.from_pretrained(REPO).crop_size.height == 32
    assert hub.files(REPO)["model.safetensors"] == (folder / "model.safetensors").read_bytes()


def test_what_goes_is_listed_and_what_stays_too(hub, folder):
    with uploads(str(folder), REPO) as (planned,):
        text = "\n".join(planned.lines())
    assert {"README.md", "config.json", "model.safetensors", "modeling_vidtwin.py"} <= set(planned.files)
    assert planned.left_out == ("checkpoint-3", "training_args.bin")
    assert f"{(folder / 'model.safetensors').stat().st_size:>15,}  model.safetensors" in text
    assert "stays here  training_args.bin" in text and hub.log == []


def test_the_code_goes_along_though_the_folder_has_none(hub, folder):
    for file in folder.glob("*.py"):
        file.unlink()
    content = json.loads((folder / "config.json").read_text())
    content.pop("auto_map")
    (folder / "config.json").write_text(json.dumps(content))
    send(folder)
    config = json.loads(hub.files(REPO)["config.json"])
    assert config["auto_map"]["AutoModel"] == "modeling_vidtwin.VidTwinModel"
    assert "modeling_vidtwin.py" in hub.files(REPO)


def test_an_encoder_alone_is_told_as_one(hub, tiny_config, tmp_path):
    VidTwinEncoderModel(tiny_config).save_pretrained(tmp_path / "encoder")
    VidTwinVideoProcessor.from_config(tiny_config).save_pretrained(tmp_path / "encoder")
    send(tmp_path / "encoder")
    auto_map = json.loads(hub.files(REPO)["config.json"])["auto_map"]
    assert auto_map["AutoModel"] == "modeling_vidtwin.VidTwinEncoderModel"


def test_weights_of_an_earlier_push_do_not_stay_beside(hub, folder, tiny_model):
    """transformers would load them instead."""
    tiny_model.save_pretrained(folder, max_shard_size="100KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    send(folder)
    assert "model.safetensors.index.json" in hub.files(REPO)
    assert torch.equal(VidTwinModel.from_pretrained(REPO).head.proj.weight, tiny_model.head.proj.weight)
    for file in folder.glob("model*"):
        file.unlink()
    tiny_model.save_pretrained(folder)
    send(folder)
    assert [name for name in hub.files(REPO) if name.startswith("model-")] == []
    assert "model.safetensors.index.json" not in hub.files(REPO)


def test_a_tag_keeps_what_it_names(hub, folder, tiny_model):
    send(folder, Destination(tag="v1"))
    first = tiny_model.head.proj.weight.detach().clone()
    torch.nn.init.ones_(tiny_model.head.proj.weight)
    tiny_model.save_pretrained(folder)
    send(folder)
    assert torch.equal(VidTwinModel.from_pretrained(REPO, revision="v1").head.proj.weight, first)
    assert VidTwinModel.from_pretrained(REPO).head.proj.weight.min() == 1
    before = hub.repos["models", REPO].refs["main"]
    with pytest.raises(PublishError, match="has a tag v1 already"):
        send(folder, Destination(tag="v1"))
    assert hub.repos["models", REPO].refs["main"] == before


def test_a_branch_is_made_and_main_stays(hub, folder):
    send(folder, Destination(revision="next"))
    assert "config.json" not in hub.files(REPO)
    assert VidTwinModel.from_pretrained(REPO, revision="next")
    send(folder, Destination(revision="next"))


def test_a_private_model_needs_a_token(hub, folder, monkeypatch):
    send(folder, Destination(private=True))
    assert hub.repos["models", REPO].private and find_model(REPO).config()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(OSError, match=r"not a valid model identifier|private repository"):
        VidTwinModel.from_pretrained(REPO, cache_dir=folder / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "other"))
    with pytest.raises(ValueError, match="or it is private: log in"):
        find_model(REPO)
    if version("transformers") > "5.18":  # 5.17 forgets a token= on its way to the configuration
        assert VidTwinModel.from_pretrained(REPO, token=TOKEN)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert VidTwinModel.from_pretrained(REPO)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "repos/create", 401, "does not know the token"),
        ("POST", "repos/create", 403, "may not write there"),
        ("POST", "commit", 403, "may not write there"),
        ("POST", "commit", 500, r"it failed \(500\)"),
        ("POST", "commit", 429, "too many requests"),
        ("POST", "commit", 409, "another change came in between"),
        ("PUT", "_lfs", 403, "may not write there"),
    ],
)
def test_a_push_that_fails_says_why_and_changes_nothing(hub, folder, method, path, status, message):
    hub.faults = [Fault(method, path, status, 99)]
    with pytest.raises(PublishError, match=f"the Hub did not take {REPO}: .*{message}"):
        send(folder)
    assert "config.json" not in (hub.files(REPO) if ("models", REPO) in hub.repos else {})
    hub.faults = []
    send(folder)  # again, and it is whole
    assert VidTwinModel.from_pretrained(REPO)


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_what_may_pass_is_tried_again(hub, folder, status):
    said = []
    hub.faults = [Fault("POST", "commit", status, 2)]
    send(folder, said=said)
    assert len(said) == 2 and said[0].startswith("the Hub: ") and "once more in 0 s" in said[0]
    assert VidTwinModel.from_pretrained(REPO)


def test_a_download_that_is_cut_goes_on(hub, folder):
    send(folder)
    hub.faults = [Fault("GET", "resolve/.*/model.safetensors")]
    assert VidTwinModel.from_pretrained(REPO)
    parts = [line for line in hub.log if line[0] == "GET" and line[1].endswith("model.safetensors")]
    assert len(parts) == 2


def test_a_download_that_stays_cut_loads_nothing(hub, folder):
    send(folder)
    hub.faults = [Fault("GET", "resolve/.*/model.safetensors", 500, 99)]
    with pytest.raises(ValueError, match="the Hub did not give it: it failed"):
        find_model(REPO)
    hub.faults = []
    assert find_model(REPO).load(torch.device("cpu"))


def test_the_folders_own_card_goes_with_the_new_id(hub, folder):
    (folder / "README.md").write_text('---\nlicense: mit\n---\nx = VidTwinModel.from_pretrained("run")\n')
    send(folder)
    text = hub.files(REPO)["README.md"].decode()
    assert f'from_pretrained("{REPO}")' in text and "license: mit" in text


def test_a_card_of_ones_own_is_sent(hub, folder, tmp_path):
    (tmp_path / "card.md").write_text("---\nlicense: mit\n---\nmine\n")
    send(folder, card=tmp_path / "card.md")
    assert hub.files(REPO)["README.md"].endswith(b"mine\n")
    with pytest.raises(ValueError, match=r"none\.md is no file"):
        send(folder, card=tmp_path / "none.md")


def test_an_evaluation_goes_along_without_local_names(hub, folder, tmp_path):
    send(folder, evaluation=evaluation_of(folder, tmp_path / "evaluation"))
    files = hub.files(REPO)
    assert {name for name in files if name.startswith("evaluation/")} == {
        f"evaluation/{name}" for name in ("summary.json", "table.md", "scores.csv", "scores.parquet")
    }
    assert not any(b"/somewhere/of/mine" in content for content in files.values())
    card = ModelCard(files["README.md"].decode())
    assert {each.metric_type: each.metric_value for each in card.data.eval_results} == {
        "psnr": 20.5, "ssim": 0.5,
    }  # fmt: skip
    assert "| me/mine | 1.0000% | 9 | 20.5 | 0.5 | 3 |" in card.text


def test_another_models_evaluation_is_refused(folder, tmp_path):
    place = evaluation_of(folder, tmp_path / "evaluation", model_sha256="other")
    with (
        pytest.raises(ValueError, match="is the evaluation of another model"),
        uploads(str(folder), REPO, evaluation=place),
    ):
        pass
    (place / "summary.json").unlink()
    with (
        pytest.raises(ValueError, match=r"holds no summary\.json"),
        uploads(str(folder), REPO, evaluation=place),
    ):
        pass


def test_the_token_is_in_no_file_and_no_word(hub, folder):
    said: list[str] = []
    hub.faults = [Fault("POST", "commit", 500, 1)]
    address = send(folder, Destination(token=TOKEN), said)
    assert said and TOKEN not in address + "".join(said)
    assert not any(TOKEN.encode() in content for content in hub.files(REPO).values())


def test_a_half_written_model_is_not_sent(hub, folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged or cut short"), uploads(str(folder), REPO):
        pass
    assert hub.log == []


@pytest.mark.parametrize("name", ["mine", "me/mine/three", "me/..", "me/mi ne", ""])
def test_names_that_are_none_are_refused(folder, name):
    with pytest.raises(ValueError, match="a repository is named like org/name"), uploads(str(folder), name):
        pass


def test_shards_become_a_data_set(hub, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "000.tar").write_bytes(b"0" * 1024)
    report = {
        "settings": {"short_side": 256, "gop": 12}, "videos": 2, "clips": 5, "seconds": 9.5, "labels": {},
        "refused": [], "megabytes": 0.001, "tars": {"000.tar": {"clips": 5, "bytes": 1024}},
    }  # fmt: skip
    (shards / "report.json").write_text(json.dumps(report))
    send(shards)
    files = hub.files(REPO, kind="datasets")
    assert files["000.tar"] == b"0" * 1024 and f"hf://datasets/{REPO}/*.tar".encode() in files["README.md"]
    (shards / "001.tar").write_bytes(b"")
    with pytest.raises(ValueError, match="has not the tars that its report"), uploads(str(shards), REPO):
        pass
    (shards / "report.json").unlink()
    with pytest.raises(ValueError, match=r"no report\.json"), uploads(str(shards), REPO):
        pass


def test_metrics_become_spaces(hub, folder):
    send(folder, metrics=True)
    for name in publish.NAMES:
        assert {f"{name}.py", "README.md", "index.html"} <= set(hub.files(f"me/{name}", kind="spaces"))
