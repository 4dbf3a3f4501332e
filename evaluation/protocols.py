"""How videos are prepared before they are compared; published numbers differ in it, so results name it."""

from __future__ import annotations

from dataclasses import dataclass

from vidtwin.metrics.frechet import small_set_note
from vidtwin.metrics.networks import I3D_LEAST_FRAMES

FVD_NET = "I3D, Kinetics-400 logits, squashed to 224x224"


@dataclass(frozen=True)
class Protocol:
    """Frames per second and the side of the square in pixels, after resizing the short side."""

    name: str
    fps: float
    image_size: int

    def describe(self, image_size: int, num_frames: int) -> str:
        """One line for a model of `image_size`; a model that is not of the protocol's size says so."""
        size = f"{self.fps:g} fps, clips of {num_frames} frames, short side {image_size} and centre crop"
        own = "" if image_size == self.image_size else f" (the protocol's is {self.image_size})"
        return (
            f"{self.name}: {size}{own}, posterior mean, every clip of every video, of a tail its real frames"
        )


PROTOCOLS = {
    "vidtwin": Protocol("vidtwin", 25.0, 224),  # paper Sec. 4.1
    "vidtok": Protocol("vidtok", 30.0, 256),
}


def fvd_note(clips: int) -> str | None:
    """What to say of an FVD of so many clips, or of why there is none; None from where on n is enough."""
    if clips < 2:
        return f"No FVD: it needs 2 clips of {I3D_LEAST_FRAMES} frames or more, got {clips}."
    return small_set_note(clips)
