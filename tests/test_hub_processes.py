"""The Hub both ways in processes of their own, as people meet it: trained here, loaded there."""

import os
import re
import subprocess
import sys

import pytest
import torch
from loopback_hub import TOKEN
from video_maker import make_video, smooth_frames

LOAD = """
import sys, torch
from vidtwin import VidTwinModel, VidTwinVideoProcessor
model = VidTwinModel.from_pretrained(sys.argv[1], revision=sys.argv[2]).eval()
VidTwinVideoProcessor.from_pretrained(sys.argv[1])
clip = torch.linspace(-1, 1, 3 * 4 * 32 * 32).reshape(1, 4, 3, 32, 32)
torch.save(model(clip).reconstruction.detach(), sys.argv[3])
"""


@pytest.fixture
def world(hub, tmp_path):
    """Runs Python in a process of its own, with its own cache, in an empty folder."""

    def run(*words: object, home: str = "home", **environment: str) -> str:
        there = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / home), "HF_TOKEN": TOKEN}
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, env=there | environment, capture_output=True, text=True, timeout=300
        )
        return f"{done.returncode}\n{done.stdout}\n{done.stderr}"

    return run


@pytest.mark.slow
def test_trained_pushed_and_loaded_by_its_id(world, hub, tmp_path):
    short = ("--set", "training.max_steps=3", "--set", "training.save_steps=3")
    assert world("-m", "vidtwin", "train", "smoke", "--output-dir", "run", *short).startswith("0\n")
    said = world("-m", "vidtwin", "push", "run", "me/trained", "--tag", "v1")
    assert said.startswith("0\n") and "me/trained: sent" in said and TOKEN not in said
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert hub.files("me/trained")["model.safetensors"] == weights
    assert "- steps: 3 of 3" in hub.files("me/trained")["README.md"].decode()
    assert world("-c", LOAD, "me/trained", "v1", "there.pt", home="other").startswith("0\n")
    assert world("-c", LOAD, tmp_path / "run", "main", "here.pt").startswith("0\n")
    assert torch.equal(torch.load(tmp_path / "there.pt"), torch.load(tmp_path / "here.pt"))
    # From the cache, with the Hub gone, and what is not in the cache is told.
    assert world("-c", LOAD, "me/trained", "v1", "off.pt", home="other", HF_HUB_OFFLINE="1").startswith("0\n")
    gone = world("-m", "vidtwin", "info", "me/none", HF_HUB_OFFLINE="1")
    assert gone.startswith("1\n") and "HF_HUB_OFFLINE is set; and it is not in the cache" in gone


@pytest.mark.slow
def test_nothing_of_the_hub_leaves_the_cache_or_runs(world, hub, tmp_path):
    """A repository whose file names climb, and whose index of shards names a file elsewhere."""
    from vidtwin.modeling_vidtwin import bundled_model

    demo = {path.name: path.read_bytes() for path in bundled_model("demo").iterdir()}
    hub.put("me/climbs", {**demo, "../../climbed.json": b"{}"})
    assert world("-m", "vidtwin", "info", "me/climbs").startswith("0\n")
    assert not list(tmp_path.rglob("climbed.json"))
    index = b'{"metadata": {}, "weight_map": {"head.proj.weight": "../../../outside.safetensors"}}'
    demo["model-00001-of-00001.safetensors"] = demo.pop("model.safetensors")
    hub.put("me/index", {**demo, "model.safetensors.index.json": index})
    told = world("-m", "vidtwin", "info", "me/index")
    assert told.startswith("1\n") and "names ../../../outside.safetensors, which is no file beside it" in told


@pytest.mark.slow
def test_shards_stream_from_the_hub_as_their_card_says(world, hub, tmp_path):
    (tmp_path / "videos").mkdir()
    for number in range(2):
        make_video(tmp_path / "videos" / f"{number}.mp4", smooth_frames(20), 25)
    assert world("-m", "vidtwin", "shards", "videos", "shards").startswith("0\n")
    assert world("-m", "vidtwin", "push", "shards", "me/data").startswith("0\n")
    card = hub.files("me/data", kind="datasets")["README.md"].decode()
    (example,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    online = {"HF_DATASETS_OFFLINE": "0"}
    said = world("-c", example, **online)
    assert said.startswith("0\n") and re.search(r"^[01]-", said.splitlines()[1])
    address = re.findall(r"hf://datasets/me/data/\S*?tar", card)[0]
    measured = world("-m", "vidtwin", "evaluate", "demo", address, "--out", "out", **online)
    assert measured.startswith("0\n") and "2 videos" in measured
