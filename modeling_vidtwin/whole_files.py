"""Whether a video file is whole, for containers that FFmpeg reads up to any point at which they were cut."""

from __future__ import annotations

import numpy as np


def _bytes_of(video: str | bytes) -> np.ndarray:
    return (
        np.frombuffer(video, np.uint8) if isinstance(video, bytes) else np.memmap(video, np.uint8, mode="r")
    )


def gif_is_whole(video: str | bytes) -> bool:
    """Whether the mark that closes a GIF, a file's path or its bytes, is there."""
    return bytes(_bytes_of(video)[-64:]).rstrip(b"\0\r\n")[-1:] == b";"


def avi_is_whole(video: str | bytes) -> bool:
    """Whether all parts of an AVI, a file's path or its bytes, are as long as their headers say.

    A part without a length, as programs write it that cannot go back in the file, counts as whole.
    """
    data = _bytes_of(video)
    start = 0
    while bytes(data[start : start + 4]) == b"RIFF":
        size = int.from_bytes(bytes(data[start + 4 : start + 8]), "little")
        if not size:
            return True
        start += 8 + size + size % 2
        if start - size % 2 > len(data):
            return False
    return True
