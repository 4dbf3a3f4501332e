"""How fast training clips are read from 720p videos and from shards, and what the main process pays.

`python -m benchmarks.loader [VIDEOS]` scales videos (the package's rendered scenes if none are given) up to
720p with x264's usual key frames (250 frames apart), makes shards of these with `vidtwin shards`, and times
both: random clips of 16 frames at 224 pixels and 8 fps, as the paper's model takes (Sec. 4.1). It prints a
table and writes docs/bench/<machine>-loader.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.bench import machine, write_facts
from vidtwin.modeling_vidtwin.video_io import VideoReader, write_video
from vidtwin.training.clips import ClipDataset, DataSettings, find_videos
from vidtwin.training.shard_check import (
    CLIP_FPS,
    CLIP_FRAMES,
    CLIP_SIZE,
    check_shards,
    speed_of_folder,
    speed_of_shards,
)
from vidtwin.training.shards import ShardSettings, make_shards
from vidtwin.training.stream import ClipStream, ExampleStream, StreamSettings

_COPIES = 32


def enlarge(frame: np.ndarray, height: int) -> np.ndarray:
    """A frame `y x c` scaled to `height`, with an even width."""
    size = (height, round(frame.shape[1] * height / frame.shape[0] / 2) * 2)
    picture = torch.from_numpy(frame).permute(2, 0, 1)[None]
    return F.interpolate(picture, size=size, mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()


def make_originals(videos: Sequence[Path], folder: Path, height: int) -> None:
    """Writes every video to `folder` at `height` pixels, with the encoder's usual settings."""
    for number, video in enumerate(videos):
        with VideoReader(video) as reader:
            frames = (enlarge(frame, height) for frame in reader)
            write_video(folder / f"{number:03}.mp4", frames, reader.info.fps)


def render(folder: Path, count: int) -> list[Path]:
    """Writes `count` rendered videos of 64 frames at 25 fps."""
    clips = ClipDataset(DataSettings(rendered_share=1.0), 64, 256, count)
    for number in range(count):
        frames = clips[number]["pixel_values_videos"].permute(0, 2, 3, 1)
        write_video(folder / f"{number:03}.mp4", frames, 25)
    return find_videos(folder)


def examples_per_second(settings: StreamSettings, count: int) -> float:
    """How many undecoded examples the stream reads in a second of processor time."""
    stream = iter(ExampleStream(settings, 0, 1, 0))
    next(stream)
    started = time.process_time()
    for _ in islice(stream, count):
        pass
    return count / (time.process_time() - started)


def main_process_milliseconds(settings: StreamSettings, count: int, workers: int) -> float:
    """Milliseconds of the main process's time for a clip that workers decode."""
    loader = ClipStream(settings, CLIP_FRAMES, CLIP_SIZE).loader(4, num_workers=workers)
    batches: Iterator[object] = iter(loader)
    for _ in islice(batches, 8):  # the first block, and what is fetched ahead
        pass
    started = time.process_time()
    for _ in islice(batches, count // 4):
        pass
    return (time.process_time() - started) / (count // 4 * 4) * 1000


def measure(videos: Sequence[Path], folder: Path, height: int, workers: int) -> dict[str, float]:
    """Makes originals and shards in `folder` and times them."""
    (folder / "originals").mkdir()
    make_originals(videos, folder / "originals", height)
    make_shards(folder / "originals", folder / "shards", ShardSettings("none"), workers, print)
    originals = speed_of_folder(folder / "originals").clips_per_second
    shards = speed_of_shards(check_shards(folder / "shards").members).clips_per_second
    for tar in sorted((folder / "shards").glob("*.tar")):
        for number in range(_COPIES):  # else the time would go into opening files anew each epoch
            os.link(tar, tar.with_name(f"{tar.stem}-{number}.tar"))
    settings = StreamSettings(str(folder / "shards"))
    return {
        "originals_clips_per_second": originals,
        "shards_clips_per_second": shards,
        # Whole blocks: a block is read at once, when its first clip is asked for.
        "undecoded_examples_per_second": examples_per_second(settings, 4 * settings.block),
        "main_process_ms_per_clip": main_process_milliseconds(settings, settings.block, workers),
    }


def table(facts: dict) -> str:
    """What was measured as Markdown."""
    originals = facts["originals_clips_per_second"]
    return (
        f"Reading clips of {CLIP_FRAMES} frames at {CLIP_SIZE} pixels and {CLIP_FPS:g} fps, "
        f"of {facts['videos']} videos, on {facts['machine']}:\n\n"
        f"| | clips per second of one core |\n"
        f"|---|---|\n"
        f"| {facts['height']}p originals, key frames 250 apart | {originals:.1f} |\n"
        f"| `vidtwin shards` of them | {facts['shards_clips_per_second']:.1f} |\n"
        f"| read from shards and not decoded | {facts['undecoded_examples_per_second']:,.0f} |\n\n"
        f"The main process spends {facts['main_process_ms_per_clip']:.1f} ms on a clip that workers decode."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.loader`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loader", description=__doc__)
    parser.add_argument("videos", type=Path, nargs="?", help="a folder of videos")
    parser.add_argument("--most", type=int, default=16, help="how many of them to use")
    parser.add_argument("--height", type=int, default=720, help="pixels of the originals")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/bench"), help="folder for the JSON")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.videos is None:
            (folder / "rendered").mkdir()
            videos = render(folder / "rendered", given.most)
        else:
            found = find_videos(given.videos)
            videos = found[:: max(1, len(found) // given.most)][: given.most]
        figures = measure(videos, folder, given.height, given.workers)
    facts = {"machine": machine(), "videos": len(videos), "height": given.height, **figures}
    print(table(facts))
    write_facts(given.out, "loader", facts)


if __name__ == "__main__":
    main()
