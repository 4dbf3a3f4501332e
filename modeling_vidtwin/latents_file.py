"""The latents of a video as a safetensors file.

Axes: n query tokens, d latent channels, h w latent grid, t frames, s dynamics axis.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .model_folder import ModelFolder
from .video_io import atomic_path

FORMAT = "vidtwin-latents-1"


class LatentsError(ValueError):
    """A file that holds no latents of a video, or not whole ones."""


@dataclass(frozen=True)
class VideoLatents:
    """A video as posterior means: `structure (clips n d h w)` and `dynamics (clips t d s)`.

    `num_frames` real frames are in the clips; `height` and `width` are those of the decoded picture, smaller
    than the model's square where padding was added. `model`, `revision` (empty for a folder) and
    `model_sha256` tell the model.
    """

    structure: Tensor
    dynamics: Tensor
    fps: Fraction
    num_frames: int
    height: int
    width: int
    model: str
    revision: str
    model_sha256: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all. Raises OSError where it cannot be written."""
        metadata = {
            "format": FORMAT,
            "model": self.model,
            "revision": self.revision,
            "model_sha256": self.model_sha256,
            "fps": str(self.fps),
            "frames": str(self.num_frames),
            "height": str(self.height),
            "width": str(self.width),
        }
        tensors = {"structure": self.structure.contiguous(), "dynamics": self.dynamics.contiguous()}
        with atomic_path(path) as partial:
            partial.write_bytes(save(tensors, metadata))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> VideoLatents:
        """Read a file that `save` wrote.

        Raises LatentsError for any other file, and OSError where it cannot be read.
        """
        with open(path, "rb"):  # a missing file or a folder is an OSError that says so
            pass
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise LatentsError(
                        f"{path} must be a latents file of format {FORMAT}, got {metadata.get('format')!r}. "
                        "`vidtwin encode` writes one."
                    )
                latents = cls(
                    structure=file.get_tensor("structure"),
                    dynamics=file.get_tensor("dynamics"),
                    fps=Fraction(metadata["fps"]),
                    num_frames=int(metadata["frames"]),
                    height=int(metadata["height"]),
                    width=int(metadata["width"]),
                    model=metadata["model"],
                    revision=metadata["revision"],
                    model_sha256=metadata["model_sha256"],
                )
        except LatentsError:
            raise
        except (SafetensorError, KeyError, ValueError, ZeroDivisionError, OSError) as error:
            raise LatentsError(
                f"{path} is no whole latents file ({error}). `vidtwin encode` writes one."
            ) from error
        latents._check(path)
        return latents

    def check_model(self, folder: ModelFolder) -> None:
        """Raises LatentsError when the model in `folder` is not the one that encoded the video."""
        if folder.sha256() != self.model_sha256:
            source = f"{self.model} at revision {self.revision}" if self.revision else self.model
            raise LatentsError(
                f"latents must be decoded by the model that made them, {source} "
                f"({self.model_sha256[:8]}...), got {folder.name}, which has other weights. "
                "Name that model, or decode with --force."
            )

    def _check(self, path: str | os.PathLike[str]) -> None:
        clips = self.structure.shape[0] if self.structure.ndim else 0
        fits = self.structure.ndim == 5 and self.dynamics.ndim == 4 and self.dynamics.shape[0] == clips
        length = self.dynamics.shape[1] if fits else 0
        if not (clips - 1) * length < self.num_frames <= clips * length:
            raise LatentsError(
                f"{path} must hold structure (clips n d h w) and dynamics (clips t d s) of {self.num_frames} "
                f"frames, got {tuple(self.structure.shape)} and {tuple(self.dynamics.shape)}. Encode again."
            )
        if self.height < 1 or self.width < 1 or self.fps <= 0:
            raise LatentsError(
                f"{path} must tell sizes and a rate above 0, got {self.width}x{self.height} at {self.fps}."
            )
        for name in ("structure", "dynamics"):
            latents = getattr(self, name)
            if not latents.is_floating_point() or not latents.isfinite().all():
                raise LatentsError(f"{path}: {name} must be finite floating-point numbers. Encode again.")
