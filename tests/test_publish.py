"""A push sends everything in one commit or nothing, and what was pushed loads by its id."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from loopback_hub import TOKEN, Fault

from vidtwin import VidTwinModel, VidTwinVideoProcessor
from vidtwin.hub_cards import publish
from vidtwin.hub_cards.publish import Destination, PublishError, push
from vidtwin.hub_cards.uploads import uploads
from vidtwin.metrics import NAMES
from vidtwin.modeling_vidtwin.model_folder import find_model

REPO = "me/mine"


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


def test_a_pushed_model_loads_by_its_id_with_equal_outputs(hub, folder, tiny_model):
    assert send(folder) == f"{hub.url}/{REPO}"
    found = VidTwinModel.from_pretrained(REPO).eval()
    clip = torch.rand(1, 4, 3, 32, 32) * 2 - 1
    assert torch.equal(found(clip).reconstruction, tiny_model(clip).reconstruction)
    assert VidTwinVideoProcessor.from_pretrained(REPO).crop_size.height == 32
    assert hub.files(REPO)["model.safetensors"] == (folder / "model.safetensors").read_bytes()


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
    said: list[str] = []
    send(folder, said=said)
    assert "deletes model-00001-of-" in said[0]
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
        ("POST", "repos/create", 401, "there is no token, or one that it does not know"),
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


def test_the_token_is_in_no_file_and_no_word(hub, folder):
    said: list[str] = []
    hub.faults = [Fault("POST", "commit", 500, 1)]
    address = send(folder, Destination(token=TOKEN), said)
    assert said and TOKEN not in address + "".join(said)
    assert not any(TOKEN.encode() in content for content in hub.files(REPO).values())


def test_metrics_become_spaces(hub, folder):
    send(folder, metrics=True)
    for name in NAMES:
        assert {f"{name}.py", "README.md", "index.html"} <= set(hub.files(f"me/{name}", kind="spaces"))
    assert hub.repos["spaces", "me/fvd"].sdk == "static"


def test_figures_of_older_weights_go_with_them(hub, folder):
    send(folder)
    old = {"evaluation/summary.json": b"{}", "evaluation/mine.txt": b"", "other.tar": b""}
    hub.repos["models", REPO].add("main", hub.files(REPO) | old)
    send(folder)
    assert {"evaluation/mine.txt", "other.tar"} <= set(hub.files(REPO))
    assert "evaluation/summary.json" not in hub.files(REPO)


@pytest.mark.parametrize("private", [True, False])
def test_another_visibility_than_asked_for_is_refused_before_sending(hub, folder, private):
    send(folder, Destination(private=not private))
    before = hub.repos["models", REPO].refs["main"]
    with pytest.raises(PublishError, match=f"is there and {'public' if private else 'private'}: make it"):
        send(folder, Destination(private=private))
    assert hub.repos["models", REPO].refs["main"] == before


def test_a_pull_request_is_no_branch_to_make(hub, folder):
    send(folder)
    hub.repos["models", REPO].refs["refs/pr/1"] = hub.repos["models", REPO].refs["main"]
    hub.log.clear()
    send(folder, Destination(revision="refs/pr/1"))
    assert not any("/branch/" in path for _, path, _ in hub.log)


def test_a_tag_that_fails_after_the_commit_is_told_as_that(hub, folder):
    hub.faults = [Fault("POST", "/tag/", 500, 99)]
    with pytest.raises(PublishError, match=r"sent, but without the tag v1: it failed \(500\).* Push again"):
        send(folder, Destination(tag="v1"))
    hub.faults = []
    send(folder, Destination(tag="v1"))
    assert VidTwinModel.from_pretrained(REPO, revision="v1")


@pytest.mark.parametrize("path", ["_lfs", "objects/batch"])
def test_weights_that_are_cut_on_their_way_are_sent_again(hub, folder, path):
    hub.faults = [Fault("PUT" if path == "_lfs" else "POST", path, 503, 1)]
    send(folder)
    assert VidTwinModel.from_pretrained(REPO)


def test_a_token_that_cannot_be_one_is_refused(hub, folder):
    with pytest.raises(PublishError, match="ASCII"):
        send(folder, Destination(token="hf_ü"))
    assert hub.log == []
