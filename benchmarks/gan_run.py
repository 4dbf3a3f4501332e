"""A long run with the discriminator: are losses finite, do logits stay apart, is memory flat?

`python -m benchmarks.gan_run --clips FOLDER` trains a tiny VidTwin (24 pixels, 8 frames) on real videos for
2,000 steps, the discriminator from step 500, and writes docs/gan_run.json and .png. `--start FOLDER` starts
from trained weights, a converted released checkpoint for example.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import psutil

from benchmarks.bench import machine
from vidtwin.training.command import train_recipe

matplotlib.use("Agg")

# The sizes of the small released-format checkpoint in tests/golden, so that both starts train one model.
SIZES = (
    "image_size=24",
    "patch_size=4",
    "num_frames=8",
    "hidden_size=48",
    "num_query_tokens=8",
    "qformer_intermediate_size=64",
    "structure_channels=4",
    "structure_init_channels=16",
    "dynamics_channels=8",
)
PANELS = (
    ("loss", ("loss", "l1"), "step"),
    ("PSNR of the training clips (dB)", ("psnr",), "step"),
    ("discriminator", ("logits_real", "logits_fake", "discriminator"), "step"),
    ("gradient norms before clipping", ("grad_norm", "grad_norm_discriminator"), "step"),
    ("KL (nats a clip)", ("kl",), "step"),
    ("memory of the process (MiB)", ("mib",), "seconds"),
)


class MemoryWatch(threading.Thread):
    """Notes the process's memory every two seconds: `readings`, [{"seconds", "mib"}]."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.readings: list[dict[str, float]] = []
        self.done = threading.Event()

    def run(self) -> None:
        process, start = psutil.Process(), time.monotonic()
        while not self.done.wait(2.0):
            mib = process.memory_info().rss / 2**20
            self.readings.append({"seconds": round(time.monotonic() - start, 1), "mib": round(mib, 1)})


def train(clips: Path, steps: int, start: Path | None) -> dict:
    """The run's log and memory."""
    settings = [
        f"max_steps={steps}",
        f"gan_start={steps // 4}",
        "gan_warmup_steps=0",
        "per_device_train_batch_size=4",
        "learning_rate=0.0005",
        "lr_scheduler_type=constant",
        "discriminator_learning_rate=0.0001",
        "logging_steps=10",
        "save_strategy=no",
        "disable_tqdm=true",
        "dataloader_num_workers=1",
        f"data.videos={clips}",
        "data.rendered_share=0.0",
    ]
    settings += ["model={}", f"from_pretrained={start}"] if start else SIZES
    watch = MemoryWatch()
    watch.start()
    with tempfile.TemporaryDirectory() as folder:
        trainer = train_recipe("smoke", folder, overrides=settings)
    watch.done.set()
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {"machine": machine(), "steps": steps, "log": log, "memory": watch.readings}


def draw(facts: dict, path: Path) -> None:
    """The run as a picture."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(15, 7), layout="constrained")
    for axis, (title, names, across) in zip(axes.flat, PANELS, strict=True):
        for name in names:
            rows = [row for row in facts["log"] + facts["memory"] if name in row and across in row]
            axis.plot([row[across] for row in rows], [row[name] for row in rows], label=name, linewidth=0.8)
        axis.set(title=title, xlabel=across)
        axis.legend()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.gan_run`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gan_run", description=__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder of real videos")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--start", type=Path, help="trained weights to start from")
    parser.add_argument("--out", type=Path, default=Path("docs/gan_run.json"), help="the .png lies beside it")
    given = parser.parse_args(arguments)
    facts = train(given.clips, given.steps, given.start)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(facts, indent=0) + "\n", encoding="utf-8")
    draw(facts, given.out.with_suffix(".png"))
    memory = [row["mib"] for row in facts["memory"]]
    half = memory[len(memory) // 2 :] or [0.0]
    print(
        f"{len(facts['log'])} lines of log, all finite; memory in the second half "
        f"{min(half):.0f} to {max(half):.0f} MiB; {given.out}"
    )


if __name__ == "__main__":
    main()
