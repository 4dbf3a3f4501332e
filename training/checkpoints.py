"""Whole checkpoints: written aside, listed in a manifest, renamed when every process is done; and finding
one to go on from."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

MANIFEST = "files.json"
STAGING = "_tmp-"  # what begins with an underscore is never pushed to the Hub


def staging_folder(output_dir: str | Path, step: int) -> Path:
    """Where the checkpoint of `step` is written before it is whole."""
    return Path(output_dir) / f"{STAGING}checkpoint-{step}"


def publish(staged: Path, final: Path) -> None:
    """Write the manifest of the folder `staged` and rename it, over an older one of that name."""
    sizes = {
        path.relative_to(staged).as_posix(): path.stat().st_size
        for path in sorted(staged.rglob("*"))
        if path.is_file()
    }
    (staged / MANIFEST).write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    if final.exists():
        shutil.rmtree(final)
    os.replace(staged, final)


def missing_files(checkpoint: str | Path) -> list[str]:
    """What a checkpoint lacks, by file name: absent files, and files of another size than was written."""
    folder = Path(checkpoint)
    if not (folder / MANIFEST).is_file():
        return [MANIFEST]
    try:
        sizes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except ValueError:
        sizes = None
    if not isinstance(sizes, dict) or not sizes:
        return [MANIFEST]
    return [
        name
        for name, size in sizes.items()
        if not (folder / name).is_file() or (folder / name).stat().st_size != size
    ]


def remove_staged(output_dir: str | Path) -> None:
    """Deletes what runs left that were killed while they wrote a checkpoint."""
    for folder in Path(output_dir).glob(f"{STAGING}checkpoint-*"):
        shutil.rmtree(folder, ignore_errors=True)


def checkpoints_in(output_dir: str | Path) -> list[Path]:
    """The checkpoints of a run, newest step first, whole or not."""
    found = [
        (int(match[1]), path)
        for path in Path(output_dir).glob("checkpoint-*")
        if path.is_dir() and (match := re.fullmatch(r"checkpoint-(\d+)", path.name))
    ]
    return [path for _, path in sorted(found, reverse=True)]


def newest_whole(output_dir: str | Path) -> tuple[Path | None, list[Path]]:
    """The newest whole checkpoint of a run, and the newer torn ones that were passed over."""
    torn = sorted(Path(output_dir).glob(f"{STAGING}checkpoint-*"))
    for checkpoint in checkpoints_in(output_dir):
        if not missing_files(checkpoint):
            return checkpoint, torn
        torn.append(checkpoint)
    return None, torn


def refuse_torn(checkpoint: str | Path) -> None:
    """Raises ValueError, naming the files, for a checkpoint that is not whole."""
    missing = missing_files(checkpoint)
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise ValueError(f"{checkpoint} is not a whole checkpoint: missing or cut short are {shown}.")
