"""Where `evaluate` finds this package's metrics by their bare names."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from ..modeling_vidtwin.video_io import atomic_path

NAMES = ("psnr", "ssim", "video_lpips", "fvd", "compression_rate", "seam_ratio")


def path(name: str) -> str:
    """The folder of a metric, for evaluate.load(path). Raises ValueError for an unknown name."""
    if name not in NAMES:
        raise ValueError(f"a metric must be one of {', '.join(NAMES)}, got {name!r}.")
    return str(Path(__file__).parent / name)


def install() -> list[Path]:
    """Copies the metrics' scripts where evaluate.load looks for their bare names after the Hub.

    That is evaluate's cache of modules, under the hash of each script; what is there stays. Gives back the
    scripts' places; raises OSError where they cannot be written.
    """
    return [_install(name) for name in NAMES]


def install_quietly() -> None:
    """`install` in the first process alone, and without complaint where nothing can be written.

    VIDTWIN_NO_METRIC_INSTALL=1 turns it off.
    """
    first = all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK"))
    if first and os.environ.get("VIDTWIN_NO_METRIC_INSTALL") != "1":
        with suppress(OSError):
            install()


def _install(name: str) -> Path:
    script = Path(path(name)) / f"{name}.py"
    content = script.read_bytes()
    root = _modules() / "evaluate_modules"
    target = root / "metrics" / f"evaluate-metric--{name}" / hashlib.sha256(content).hexdigest() / script.name
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        for folder in target.parents:
            (folder / "__init__.py").touch()
            if folder == root:
                break
        with atomic_path(target) as partial:
            partial.write_bytes(content)
    return target


def _modules() -> Path:
    """Where evaluate keeps modules; asking it would take the seconds that importing it takes."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    home = Path(os.environ.get("HF_HOME") or cache / "huggingface")
    return Path(os.environ.get("HF_MODULES_CACHE") or home / "modules").expanduser()
