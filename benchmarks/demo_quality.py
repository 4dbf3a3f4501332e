"""PSNR of a model on real videos it was not trained on, beside two baselines on the same frames.

`python -m benchmarks.demo_quality MODEL CLIPS --out docs/demo_quality.json`

CLIPS is a folder of videos. A CLIPS.md table in it, if there is one, says which to leave out: rows marked Y
may have been trained on, and so may every other row cut from the same source file.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F

from vidtwin import __version__
from vidtwin.hub_cards.results import QUALITY_ROWS, quality_table
from vidtwin.metrics.functional import psnr
from vidtwin.modeling_vidtwin import VidTwinModel, VidTwinVideoProcessor
from vidtwin.modeling_vidtwin.long_video import reconstruct_parts
from vidtwin.modeling_vidtwin.model_folder import find_model
from vidtwin.modeling_vidtwin.video_io import VideoReader


def unseen_videos(folder: Path) -> list[Path]:
    """The mp4 files of `folder` whose source file no training row of CLIPS.md shares."""
    table = folder / "CLIPS.md"
    videos = sorted(folder.glob("*.mp4"))
    if not table.is_file():
        return videos
    rows = {}
    for line in table.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) > 4 and cells[0].endswith(".mp4"):
            rows[cells[0]] = (re.sub(r"\[.*", "", cells[1]).strip(), cells[3])
    trained = {source for source, mark in rows.values() if mark == "Y"}
    return [video for video in videos if video.name in rows and rows[video.name][0] not in trained]


def bicubic(frame: np.ndarray, side: int = 10) -> np.ndarray:
    """A frame `y x c` shrunk to `side` x `side` with antialiasing and enlarged again, uint8."""
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    small = F.interpolate(pixels, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    large = F.interpolate(small, size=frame.shape[:2], mode="bicubic", align_corners=False)
    return large[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def mean_colour(frame: np.ndarray) -> np.ndarray:
    """A frame `y x c` filled with its mean colour, uint8."""
    mean = frame.mean(axis=(0, 1)).round().astype(np.uint8)
    return np.broadcast_to(mean, frame.shape).copy()


def frames_of(path: Path, fps: float, most: int | None) -> Iterator[np.ndarray]:
    """The frames of a video at `fps`, at most `most`."""
    with VideoReader(path, fps=fps) as reader:
        for number, frame in enumerate(reader):
            if number == most:
                return
            yield frame


def measure(
    model: VidTwinModel, processor: VidTwinVideoProcessor, path: Path, fps: float, most: int | None
) -> dict[str, float]:
    """Mean PSNR in dB over a video's frames of the model and of the two baselines, and the frame count."""
    scores: dict[str, list[float]] = {name: [] for name in QUALITY_ROWS}
    for pictures in reconstruct_parts(model, processor, frames_of(path, fps, most), parts=("all",)):
        original = pictures["original"]
        made = {"model": pictures["all"], "bicubic": bicubic(original), "mean_colour": mean_colour(original)}
        for name, picture in made.items():
            scores[name].append(psnr(picture, original).item())
    return {**{name: fmean(values) for name, values in scores.items()}, "frames": len(scores["model"])}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.demo_quality`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo_quality", description=__doc__)
    parser.add_argument("model", help="a bundled model's name, a folder or a Hub id")
    parser.add_argument(
        "clips", type=Path, help="a folder of mp4 videos, with CLIPS.md if some were trained on"
    )
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write")
    parser.add_argument("--fps", type=float, default=25.0, help="frames a second that are compared")
    parser.add_argument("--max-frames", type=int, help="frames of each video at most")
    parser.add_argument("--limit", type=int, help="videos at most")
    given = parser.parse_args(arguments)
    folder = find_model(given.model)
    model = folder.load(torch.device("cpu"), torch.float32)
    processor = folder.processor()
    videos = unseen_videos(given.clips)[: given.limit]
    if not videos:
        parser.error(f"{given.clips} holds no mp4 video that was not trained on.")
    each = {}
    for path in videos:
        each[path.name] = measure(model, processor, path, given.fps, given.max_frames)
        print(path.name, {name: round(value, 2) for name, value in each[path.name].items()}, flush=True)
    most = f"the first {given.max_frames} frames" if given.max_frames else "every frame"
    result = {
        "model": given.model,
        "stored_as": folder.dtypes(),
        "protocol": f"{given.fps:g} fps, {most}, {model.config.image_size} px centre crop, posterior mean, "
        "PSNR per frame on uint8, mean over frames then videos",
        "num_videos": len(each),
        "mean_psnr": {name: fmean(scores[name] for scores in each.values()) for name in QUALITY_ROWS},
        "videos": each,
        "versions": {"vidtwin": __version__, "torch": torch.__version__},
        "machine": f"{platform.machine()} CPU, float32",
        "date": date.today().isoformat(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(quality_table(result))


if __name__ == "__main__":
    main()
