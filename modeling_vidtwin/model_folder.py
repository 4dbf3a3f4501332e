"""A trained model by its name: bundled, a folder, or a repository of the Hub; and where and how to run it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open

from ..configuration.configuration_vidtwin import VidTwinConfig
from . import bundled_model
from .hub_errors import refused_as
from .modeling_vidtwin import VidTwinEncoderModel, VidTwinModel
from .video_processing_vidtwin import Fit, VidTwinVideoProcessor

Kind = TypeVar("Kind", VidTwinModel, VidTwinEncoderModel)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_WANTED = ["config.json", "*processor_config.json", "model*.safetensors", "model.safetensors.index.json"]
# Fields that say something about the latents or the file, and nothing about what the model computes.
_NOT_ARCHITECTURE = {"structure_mean", "structure_std", "dynamics_mean", "dynamics_std", "vidtwin_version"}


@dataclass(frozen=True)
class ModelFolder:
    """Where a model's files lie. `revision` is the Hub's commit, empty for a bundled model or a folder."""

    name: str
    revision: str
    path: Path

    def config(self) -> VidTwinConfig:
        """The configuration in the folder. Raises ValueError for another kind of model."""
        file = self.path / "config.json"
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is no JSON ({error}).") from error
        model_type = content.get("model_type") if isinstance(content, dict) else None
        if model_type != VidTwinConfig.model_type:
            raise ValueError(f"{self.name} must be a VidTwin model, got one of type {model_type!r}.")
        return VidTwinConfig.from_pretrained(self.path)

    def sha256(self) -> str:
        """A fingerprint of architecture and weights; the same however the weights are cut into files."""
        config = self.config()
        fields = {
            name: getattr(config, name) for name in config._own_fields() if name not in _NOT_ARCHITECTURE
        }
        digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode())
        homes = {name: file for file in self._weight_files() for name in _tensor_names(file)}
        for name in sorted(homes):
            with safe_open(homes[name], framework="pt") as weights:
                tensor = weights.get_tensor(name).contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    def dtypes(self) -> str:
        """What the weights are stored as, such as "F32"."""
        stored = set()
        for file in self._weight_files():
            with safe_open(file, framework="pt") as weights:
                stored |= {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
        return " and ".join(sorted(stored))

    def load(
        self, device: torch.device, dtype: torch.dtype | None = None, kind: type[Kind] = VidTwinModel
    ) -> Kind:
        """The model, or its encoder half, in eval mode; `dtype` None keeps the stored one.

        Raises ValueError for another kind of model, for damaged weights, and for weights that are not exactly
        those of the configuration.
        """
        self.config()
        self._weight_files()
        model, info = kind.from_pretrained(
            self.path,
            dtype=dtype or "auto",
            output_loading_info=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # they are told below, in one line
        )
        misshapen = [name for name, *_ in info["mismatched_keys"]]
        for what, names in (
            ("lacks {} of the model's tensors", info["missing_keys"] - set(misshapen)),
            ("holds {} tensors for which its configuration has no place", info["unexpected_keys"]),
            ("holds {} tensors of other shapes than its configuration's", misshapen),
        ):
            if names:
                raise ValueError(f"{self.name} {what.format(len(names))}, such as {min(names)}.")
        return model.to(device).eval()

    def processor(self, fit: Fit | None = None) -> VidTwinVideoProcessor:
        """The processor in the folder, with `fit` in place of its own; ValueError where there is none."""
        try:
            return VidTwinVideoProcessor.from_pretrained(self.path, fit=fit, local_files_only=True)
        except OSError as error:
            for file in self.path.glob("*processor_config.json"):
                raise ValueError(f"{file} is no JSON of a video processor.") from error
            raise ValueError(
                f"{self.name} must hold a video processor beside the model, got none. Save one there with "
                "VidTwinVideoProcessor.from_config(model.config).save_pretrained(folder)."
            ) from error

    def _weight_files(self) -> list[Path]:
        files = sorted(self.path.glob("model*.safetensors"))
        if not files:
            raise ValueError(f"{self.name} must hold weights as model*.safetensors, got none.")
        index = self.path / "model.safetensors.index.json"
        if index.is_file():
            told = json.loads(index.read_text(encoding="utf-8"))
            homes = told.get("weight_map") if isinstance(told, dict) else None
            if not isinstance(homes, dict) or not all(isinstance(name, str) for name in homes.values()):
                raise ValueError(f"{index} is no index of weights.")
            for name in sorted(set(homes.values()) - {file.name for file in files}):
                raise ValueError(f"{index} names {name}, which is no file beside it.")
        for file in files:
            try:
                _tensor_names(file)
            except SafetensorError as error:
                raise ValueError(f"{file} is damaged or cut short ({error}).") from error
        return files


def find_model(name: str, revision: str | None = None) -> ModelFolder:
    """A bundled model's name, a folder or a Hub id, in this order; the Hub's files are downloaded once.

    Raises ValueError for an unknown name, a folder without a model, and a revision of anything but a Hub id.
    """
    try:
        local = bundled_model(name)
    except ValueError as error:
        unknown = f"{name!r} is neither a model's folder nor a Hub id such as org/name. {error}"
        local = Path(name)
    if local.is_dir():
        if revision is not None:
            raise ValueError(f"revision is for a model of the Hub, got {revision!r} for the folder {local}.")
        if not (local / "config.json").is_file():
            raise ValueError(f"{name} must be a model's folder, got one without config.json.")
        return ModelFolder(name, "", local)
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise ValueError(unknown)
    with refused_as(ValueError, f"{name!r} is no folder, and the Hub did not give it: {{reason}}."):
        # Training leaves checkpoints in folders of their own: only the top of the repository is the model.
        path = snapshot_download(name, revision=revision, allow_patterns=_WANTED, ignore_patterns=["*/*"])
    if not (Path(path) / "config.json").is_file():
        raise ValueError(f"{name!r} must be a model on the Hub, got a repository without config.json.")
    return ModelFolder(name, Path(path).name, Path(path))


def choose_device(device: str = "auto") -> torch.device:
    """ "auto" is CUDA where there is one, else the CPU. Raises ValueError for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        if chosen.type == "meta":
            raise NotImplementedError("it computes nothing.")
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"device must be auto, cpu, cuda or another that is here, got {device!r}: {reason}"
        ) from error
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> tuple[torch.dtype, str]:
    """A dtype by its name, and why; "auto" is bfloat16 where the device has it natively, else float32.

    Raises ValueError for an unknown name.
    """
    if dtype in DTYPES:
        return DTYPES[dtype], "as asked"
    if dtype != "auto":
        raise ValueError(f"dtype must be auto, {', '.join(DTYPES)}, got {dtype!r}.")
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        # Elsewhere bfloat16 is emulated, up to a hundred times slower than float32.
        fast = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return (torch.bfloat16, "fast here") if fast else (torch.float32, "bfloat16 is slow here")


@contextmanager
def new_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to write to, which becomes `folder` when the block ends well and vanishes otherwise.

    Raises FileExistsError unless `folder` is missing or empty, and other OSErrors where it cannot be made.
    """
    target = Path(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(
            errno.EEXIST, "it exists and is no empty folder; name a new one", os.fspath(target)
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial-{uuid4().hex}")
    try:
        partial.mkdir()
        yield partial
        with suppress(FileNotFoundError):
            target.rmdir()
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _tensor_names(file: Path) -> list[str]:
    with safe_open(file, framework="pt") as weights:
        return list(weights.keys())
