"""Training on two processes (DDP over gloo): the same gradients as one, disjoint data, exact resuming."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from video_maker import make_video, numbered_frames, write_tar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("two-processes")]

ROOT = Path(__file__).resolve().parent.parent
PLAIN = ["use_cpu=true", "disable_tqdm=true", "model.qformer_dropout=0.0"]


def train(folder: Path, processes: int, *settings: str, resume: str | None = None) -> None:
    """`torchrun --nproc-per-node N -m vidtwin.training smoke`, as users start it."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(processes),
        "--standalone",
    ]
    command += ["-m", "vidtwin.training", "smoke", "--output-dir", str(folder)]
    command += [word for setting in (*PLAIN, *settings) for word in ("--set", setting)]
    command += ["--resume", resume] if resume else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]


def history(folder: Path) -> list[dict]:
    """What was logged of training, without the clock's share."""
    entries = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry for entry in entries if "loss" in entry]


def test_two_processes_of_two_clips_make_the_step_of_one_process_of_four(tmp_path):
    """With plain gradient descent the step is the gradient: group norm, posterior means, GAN at once."""
    settings = [
        "max_steps=1", "save_steps=1", "optim=sgd", "lr_scheduler_type=constant", "learning_rate=1.0",
        "weight_decay=0.0", "max_grad_norm=1e9", "discriminator_learning_rate=1.0", "gan_start=0",
        "discriminator_max_grad_norm=1e9", "discriminator_norm=group", "gan_warmup_steps=0",
        "sample_posterior=false",
    ]  # fmt: skip
    train(tmp_path / "one", 1, *settings, "per_device_train_batch_size=4")
    train(tmp_path / "two", 2, *settings, "per_device_train_batch_size=2")
    for name in ("model.safetensors", "gan_state.safetensors"):
        one, two = (load_file(tmp_path / run / "checkpoint-1" / name) for run in ("one", "two"))
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, rtol=1e-5, atol=1e-5, msg=f"{name}: {key}")


@pytest.fixture
def shards(tmp_path) -> Path:
    """Two tars of three videos, less than an epoch's worth of steps."""
    video = make_video(tmp_path / "v.mp4", numbered_frames(12)).read_bytes()
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        members = {f"{shard}{number}.mp4": video for number in range(3)}
        write_tar(tmp_path / "shards" / f"train-{shard}.tar", members)
    return tmp_path / "shards"


@pytest.mark.parametrize(("gan_start", "streamed"), [(2, False), (8, True)])
def test_a_resumed_run_of_two_processes_is_the_uninterrupted_one(tmp_path, shards, gan_start, streamed):
    settings = ["max_steps=12", "save_steps=6", f"gan_start={gan_start}"]
    settings += [f"data={{shards: {shards}, block: 2}}", "dataloader_num_workers=1"] if streamed else []
    train(tmp_path / "whole", 2, *settings)
    (tmp_path / "resumed").mkdir()
    shutil.copytree(tmp_path / "whole" / "checkpoint-6", tmp_path / "resumed" / "checkpoint-6")
    train(tmp_path / "resumed", 2, *settings, resume=str(tmp_path / "resumed" / "checkpoint-6"))
    assert history(tmp_path / "resumed") == history(tmp_path / "whole")
    for name in ("model.safetensors", "ema/model.safetensors", "gan_state.safetensors"):
        whole, resumed = (load_file(tmp_path / run / "checkpoint-12" / name) for run in ("whole", "resumed"))
        assert [key for key in whole if not torch.equal(whole[key], resumed[key])] == []


def test_every_process_has_its_own_random_state(tmp_path):
    train(tmp_path / "run", 2, "max_steps=1", "save_steps=1")
    states = [
        torch.load(tmp_path / "run" / "checkpoint-1" / f"rng_state_{rank}.pth", weights_only=False)["cpu"]
        for rank in (0, 1)
    ]
    assert not torch.equal(*states)


def test_one_process_alone_writes(tmp_path, monkeypatch):
    """Two at once would leave the batch norms of the one that was later, or half a file."""
    from vidtwin.training.command import train_recipe

    overrides = [*PLAIN, "max_steps=1", "save_strategy=no"]
    trainer = train_recipe("smoke", tmp_path / "run", overrides=overrides)
    monkeypatch.setattr(type(trainer.args), "should_save", False)
    trainer._save(str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()
