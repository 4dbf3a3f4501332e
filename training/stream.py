"""Training clips streamed from WebDataset shards, exactly resumable.

The main process reads undecoded examples through `datasets`, permutes blocks of them, and hands them to
workers that only decode. Everything random about a clip follows from its place (seed, rank, epoch, block,
number), and the state after a batch is the place of the next example: so a resumed stream goes on with the
very clips of the uninterrupted one, whatever the workers had fetched ahead, and however many there are.
"""

from __future__ import annotations

import copy
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers.utils import logging

from .clips import as_clip, as_tuple, check_numbers, duration_of, random_frames, random_square
from .shard_source import open_shards, shard_files

logger = logging.get_logger(__name__)


class StreamError(RuntimeError):
    """The stream cannot go on: nothing in it can be decoded, or a shard cannot be read."""


@dataclass
class StreamSettings:
    """Where clips are streamed from, and how they are cut.

    shards: a folder of tars, a tar, a pattern, "hf://datasets/NAME/PATTERN" or http(s) addresses; or a list
    of these. column: the member that holds the video. label: a field of the json member to pass on. fps:
    frame rates to draw from. least_crop: the smallest crop's side as a share of the frame's short side.
    block: how many examples are shuffled together. max_refused_in_a_row:
    after so many the stream stops.
    """

    shards: str | list[str]
    column: str = "mp4"
    label: str | None = None
    fps: tuple[float, ...] = (8.0,)
    least_crop: float = 0.6
    block: int = 256
    max_refused_in_a_row: int = 1000

    def __post_init__(self) -> None:
        self.fps = as_tuple(self.fps)  # YAML has lists, or one alone
        check_numbers("data", self)
        if not self.fps or min(self.fps) <= 0:
            raise ValueError(f"data.fps must be positive frame rates, got {self.fps}.")
        if not 0 < self.least_crop <= 1:
            raise ValueError(f"data.least_crop must be in (0, 1], got {self.least_crop}.")
        for name in ("block", "max_refused_in_a_row"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.{name} must be at least 1, got {getattr(self, name)}.")
        if not self.shards:
            raise ValueError("data.shards must name a folder of tars: --set data.shards=FOLDER.")


class Place(NamedTuple):
    """Where the stream is: the next example's number in its block, and the data set's state at the block's
    start (None at an epoch's)."""

    epoch: int = 0
    block: int = 0
    offset: int = 0
    dataset: dict | None = None


class Example(NamedTuple):
    """One undecoded video, the seed of all that is random about its clip, and the place after it."""

    data: bytes
    label: str | None
    name: str
    seed: list[int]
    after: Place


class ExampleStream:
    """One rank's endless stream of undecoded examples, from a place on."""

    def __init__(self, settings: StreamSettings, rank: int, world_size: int, seed: int):
        self.settings, self.rank, self.seed = settings, rank, seed
        files = shard_files(settings.shards)
        self.dataset = open_shards(files, settings.column, seed, rank, world_size)
        self.start = Place()
        # What the places in this stream depend on; shards by their names, for they may have moved.
        self.identity = {
            "processes": world_size,
            "seed": seed,
            "block": settings.block,
            "column": settings.column,
            "shards": [file.rsplit("/", 1)[-1] for file in files],
        }

    def __iter__(self) -> Iterator[Example]:
        place = self.start
        while True:
            self.dataset.set_epoch(place.epoch)
            if place.dataset is not None:
                self.dataset.load_state_dict(copy.deepcopy(place.dataset))
            seen = place.block > 0
            for example in self._epoch(place):
                seen = True
                yield example
            if not seen:
                raise StreamError(f"Process {self.rank} finds no example in {self.settings.shards}.")
            place = Place(place.epoch + 1)

    def _epoch(self, place: Place) -> Iterator[Example]:
        """The rest of an epoch; each block is read whole, permuted, and entered at the place's offset."""
        examples = iter(self.dataset)
        while block := self._read(examples):
            following = Place(place.epoch, place.block + 1, 0, copy.deepcopy(self.dataset.state_dict()))
            seed = [self.seed, self.rank, place.epoch, place.block]
            order = np.random.default_rng(seed).permutation(len(block))
            for offset in range(place.offset, len(block)):
                index = int(order[offset])
                after = place._replace(offset=offset + 1) if offset + 1 < len(block) else following
                yield self._example(block[index], [*seed, index], after)
            place = following

    def _read(self, examples: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
        """The next block. Raises StreamError, naming the tar, when one is damaged or cannot be reached."""
        block: list[dict[str, Any]] = []
        try:
            block.extend(islice(examples, self.settings.block))
        except (OSError, tarfile.TarError, ValueError, TypeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            last = f" after {block[-1].get('__url__')}: {block[-1].get('__key__')}" if block else ""
            raise StreamError(
                f"A shard of {self.settings.shards} cannot be read{last} ({reason}). `vidtwin shards check` "
                "tells which."
            ) from error
        return block

    def _example(self, found: dict[str, Any], seed: list[int], after: Place) -> Example:
        video, label, name = found[self.settings.column], self.settings.label, str(found.get("__key__"))
        if label is not None:
            fields = {**found, **(found.get("json") or {})}
            if fields.get(label) is None:  # `datasets` fills in what other shards have
                known = sorted(key for key, value in fields.items() if value is not None)
                raise StreamError(f"{name} has no label {label!r}: it has {', '.join(known)}.")
            label = str(fields[label])
        data = video["bytes"] if isinstance(video, dict) else video
        return Example(bytes(data), label, name, seed, after)


class _InOrder(Sampler):
    """Gives the stream's examples to a DataLoader as if they were its indices."""

    def __init__(self, stream: ExampleStream):
        self.stream = stream

    def __iter__(self) -> Iterator[Example]:
        return iter(self.stream)


class _Decoded(Dataset):
    """What workers do: an example to (clip `t c y x` or None, reason of refusal, the example's rest)."""

    def __init__(self, settings: StreamSettings, num_frames: int, image_size: int):
        self.settings, self.num_frames, self.image_size = settings, num_frames, image_size

    def __getitem__(self, example: Example) -> tuple[Tensor | None, str, Example]:
        rng, rest = np.random.default_rng(example.seed), example._replace(data=b"")
        try:
            duration = duration_of(example.data, self.num_frames)
            frames = random_frames(example.data, duration, self.num_frames, self.settings.fps, rng)
        except ValueError as error:  # VideoError is one
            return None, str(error), rest
        frames = random_square(frames, self.image_size, self.settings.least_crop, rng)
        return as_clip(frames, rng), "", rest


class ClipLoader:
    """Endless batches {"pixel_values_videos": uint8 `b t c y x`, "label": list of texts if asked for}.

    Videos that cannot be decoded are counted in `refused` by reason and replaced by the next one. Raises
    StreamError when too many in a row are refused.
    """

    def __init__(self, stream: ExampleStream, decoded: _Decoded, batch_size: int, num_workers: int):
        self.dataset = None  # the Trainer asks; there is no data set to count
        self.batch_size = batch_size
        self.refused: Counter[str] = Counter()
        self._stream = stream
        self._place = stream.start
        self._loader = DataLoader(
            decoded,
            sampler=_InOrder(stream),
            batch_size=None,
            num_workers=num_workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # its own: the global random state is the model's alone
            prefetch_factor=4 if num_workers else None,
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._stream.start = self._place
        clips: list[Tensor] = []
        labels: list[str | None] = []
        in_a_row = 0
        for clip, reason, example in self._loader:
            if clip is None:
                in_a_row += 1
                self._refuse(example.name, reason, in_a_row)
                continue
            in_a_row = 0
            clips.append(clip)
            labels.append(example.label)
            if len(clips) == self.batch_size:
                self._place = example.after
                batch = {"pixel_values_videos": torch.stack(clips)}
                yield batch if labels[0] is None else {**batch, "label": labels}
                clips, labels = [], []

    def _refuse(self, name: str, reason: str, in_a_row: int) -> None:
        self.refused[re.sub(r"[0-9]+(\\.[0-9]+)?", "N", reason.partition(": ")[2] or reason)] += 1
        logger.info(f"{name}: {reason}")
        if in_a_row >= self._stream.settings.max_refused_in_a_row:
            raise StreamError(f"{in_a_row} videos in a row cannot be used, the last one {name}: {reason}")

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is after the last batch taken from it; plain and small."""
        return {
            "stream": self._stream.identity,
            "place": copy.deepcopy(self._place._asdict()),
            "refused": dict(self.refused),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another loader of the same stream, with any number of workers, was.

        Raises ValueError for the state of another stream, in which places mean something else.
        """
        for name, here in self._stream.identity.items():
            there = state["stream"][name]
            if there != here:
                raise ValueError(
                    f"the checkpoint's stream had {name} {there}, this one has {here}: clips would be lost "
                    "or repeated. Resume as the run was begun."
                )
        self._place = Place(**copy.deepcopy(state["place"]))
        self.refused = Counter(state["refused"])


class ClipStream:
    """Clips of `num_frames` frames of `image_size` pixels from shards; `loader` gives one rank's batches."""

    def __init__(self, settings: StreamSettings, num_frames: int, image_size: int, seed: int = 0):
        shard_files(settings.shards)  # a missing shard is told before the training starts
        self.settings, self.num_frames, self.image_size, self.seed = settings, num_frames, image_size, seed

    def loader(self, batch_size: int, rank: int = 0, world_size: int = 1, num_workers: int = 0) -> ClipLoader:
        """Rank `rank`'s batches; ranks share no example within an epoch."""
        stream = ExampleStream(self.settings, rank, world_size, self.seed)
        decoded = _Decoded(self.settings, self.num_frames, self.image_size)
        return ClipLoader(stream, decoded, batch_size, num_workers)


def _as_it_is(item: Any) -> Any:
    return item
