"""WebDataset shards as a `datasets` stream of undecoded examples."""

from __future__ import annotations

import glob
import tarfile
from contextlib import suppress
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
    for file in files:
        if not file.startswith(REMOTE) and not _ends_as_a_tar(file):
            raise ValueError(f"data.shards: {file} is cut short: a tar ends with two empty blocks.")
    try:
        patterns = [file if file.startswith(REMOTE) else glob.escape(file) for file in files]
        data = load_dataset("webdataset", data_files={"train": patterns}, split="train", streaming=True)
    except (OSError, ValueError, TypeError, tarfile.TarError) as error:
        raise ValueError(f"data.shards: {_first_line(error)} (`vidtwin shards check` tells more)") from error
    features = data.features or {}
    if column not in features:
        raise ValueError(f"data.column: the shards have no {column!r}, but {', '.join(features)}.")
    if not _holds_bytes(features[column]):
        raise ValueError(f"data.column: {column!r} must hold videos, not {features[column]}.")
    # No other member is decoded: one of a sound track would need libraries, a damaged one would stop all.
    kept = [name for name in features if name == column or not hasattr(features[name], "decode")]
    data = data.cast_column(column, Video(decode=False)) if isinstance(features[column], Video) else data
    data = data.select_columns(kept)
    data = data.shuffle(seed=seed, buffer_size=1)  # the order of shards; a buffer would not resume exactly
    return split_dataset_by_node(data, rank, world_size) if world_size > 1 else data


def _ends_as_a_tar(file: str) -> bool:
    """Whether the end is there: tarfile takes a header that was cut off for the end of the file."""
    end = 2 * tarfile.BLOCKSIZE
    size = Path(file).stat().st_size if Path(file).is_file() else end  # a missing one is told elsewhere
    if size < end or size % tarfile.BLOCKSIZE:
        return False
    with suppress(FileNotFoundError), Path(file).open("rb") as tar:
        tar.seek(size - end)
        return not tar.read().strip(b"\0")
    return True


def _holds_bytes(feature: Any) -> bool:
    return isinstance(feature, Video) or getattr(feature, "dtype", "") in ("binary", "large_binary")


def _first_line(error: Exception) -> Any:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
