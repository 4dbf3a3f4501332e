"""Training killed without warning, in a step or while a checkpoint is written, and resumed by the command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("killed")]

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ["--set", "use_cpu=true", "--set", "disable_tqdm=true", "--set", "save_steps=4"]

KILLED = """
import os, signal, sys
from vidtwin.cli import main
from vidtwin.training.trainer import VidTwinTrainer

method, step = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
original = getattr(VidTwinTrainer, method)

def killing(self, *arguments, **options):
    if self.state.global_step == step:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *arguments, **options)

setattr(VidTwinTrainer, method, killing)
main()
"""


def run(*command: str | Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    done = run("-m", "vidtwin", "train", "smoke", "--output-dir", folder, *SETTINGS)
    assert done.returncode == 0, done.stderr
    return folder


def history(folder: Path) -> list[dict]:
    entries = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry for entry in entries if "loss" in entry]


@pytest.mark.parametrize(
    ("method", "step", "goes_on_from", "passed_over"),
    [
        ("compute_loss", 6, "checkpoint-4", ""),
        ("_save_rng_state", 8, "checkpoint-4", "_tmp-checkpoint-8 is not whole: passed over"),
    ],
    ids=["in a step", "in a checkpoint"],
)
def test_the_resumed_run_is_the_uninterrupted_one(whole, tmp_path, method, step, goes_on_from, passed_over):
    train = ["train", "smoke", "--output-dir", tmp_path, *SETTINGS]
    killed = run("-c", KILLED, method, step, *train)
    assert killed.returncode == -signal.SIGKILL
    resumed = run("-m", "vidtwin", *train, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert goes_on_from in resumed.stderr and passed_over in resumed.stderr
    assert history(tmp_path) == history(whole)
    for name in (
        "model.safetensors",
        "checkpoint-12/model.safetensors",
        "checkpoint-12/gan_state.safetensors",
    ):
        ours, theirs = load_file(tmp_path / name), load_file(whole / name)
        assert [key for key in theirs if not torch.equal(ours[key], theirs[key])] == []
