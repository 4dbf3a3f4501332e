"""WebDataset shards as a `datasets` stream of undecoded examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import IterableDataset, Video, load_dataset
from datasets.distributed import split_dataset_by_node

REMOTE = ("hf://", "http://", "https://")


def shard_files(shards: str | list[str]) -> list[str]:
    """The tars that a folder, a file, a local pattern or an address names, or a list of these; sorted.

    Addresses stay as they are. Raises ValueError for what is missing, by name.
    """
    if isinstance(shards, list):
        return sorted(file for each in shards for file in shard_files(each))
    if shards.startswith(REMOTE):
        return [shards]
    path = Path(shards)
    if path.is_dir():
        found = sorted(str(file) for file in path.glob("*.tar"))
    elif path.is_file():
        found = [str(path)]
    else:
        found = sorted(str(file) for file in path.parent.glob(path.name) if file.is_file())
    if not found:
        raise ValueError(f"data.shards: {shards} is no tar and no folder with tars.")
    return found


def open_shards(files: list[str], column: str, seed: int, rank: int, world_size: int) -> IterableDataset:
    """One rank's share of the examples, in an order of shards that `set_epoch` changes.

    With a number of shards that `world_size` divides, a rank opens only its own; otherwise every rank reads
    all shards and keeps each world_size-th example. Raises ValueError for a missing shard or column.
    """
    try:
        data = load_dataset("webdataset", data_files={"train": files}, split="train", streaming=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"data.shards: {_first_line(error)}") from error
    columns = list((data.features or {}).keys())
    if column not in columns:
        raise ValueError(f"data.column: the shards have no {column!r}, but {', '.join(columns)}.")
    if isinstance(data.features[column], Video):
        data = data.cast_column(column, Video(decode=False))
    data = data.shuffle(seed=seed, buffer_size=1)  # the order of shards; a buffer would not resume exactly
    return split_dataset_by_node(data, rank, world_size) if world_size > 1 else data


def _first_line(error: Exception) -> Any:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
