"""Small video files for tests, whose frames carry their own number as their brightness.

Axes: t frames, y x pixels, c colour.
"""

import io
import tarfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

_DARKEST, _STEP = 20, 5
_PIXELS = {"gif": "rgb8", "png": "rgba", "mjpeg": "yuvj420p"}
# What a display matrix makes of x' and y': (x in x', x in y', y in x', y in y').
CLOCKWISE, UPSIDE_DOWN, ANTICLOCKWISE = (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)
MIRRORED = (-1, 0, 0, 1)


def numbered_frames(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Up to 45 plain grey frames, `t y x c`; `numbers` reads their numbers back."""
    levels = (_DARKEST + _STEP * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3))


def numbers(frames: np.ndarray) -> list[int]:
    """The number that each of the `numbered_frames` carries, also after encoding."""
    return [round((float(frame.mean()) - _DARKEST) / _STEP) for frame in frames]


def smooth_frames(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames of soft colours that move, `t y x c`: what a codec keeps well."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    phases = np.arange(count)[:, None, None] / 20
    red, green, blue = (
        40 + 180 * x + 0 * phases,
        200 - 150 * y + 0 * phases,
        128 + 90 * np.sin(4 * x + phases),
    )
    return np.stack(np.broadcast_arrays(red, green, blue), axis=-1).astype(np.uint8)


def make_video(
    path: Path,
    frames: np.ndarray,
    fps: Fraction | int = 25,
    codec: str = "libx264",
    times: Sequence[float] | None = None,
    matrix: Sequence[int] | None = None,
) -> Path:
    """Writes frames `t y x c` (c may be 4) by PyAV alone, at `times` in seconds, with a display matrix."""
    ticks = range(len(frames)) if times is None else [round(1000 * time) for time in times]
    time_base = 1 / Fraction(fps) if times is None else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = _PIXELS.get(codec, "yuv420p")
        stream.codec_context.time_base = time_base
        stream.codec_context.gop_size = 6  # so that there are key frames to seek to
        if matrix is not None:
            xx, xy, yx, yy = (part << 16 for part in matrix)
            stream.set_display_matrix([xx, xy, 0, yx, yy, 0, 0, 0, 1 << 30])
        for picture, tick in zip(frames, ticks, strict=True):
            layout = "rgba" if frames.shape[-1] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=layout)
            frame.pts, frame.time_base = tick, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def with_sound(path: Path, frames: np.ndarray, disposition: Disposition = Disposition.default) -> Path:
    """Writes frames `t y x c` as motion JPEG, beside four seconds of silence."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mjpeg", rate=25)
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], "yuvj420p"
        picture.disposition = disposition
        sound = container.add_stream(
            "pcm_s16le" if path.suffix == ".mkv" else "aac", rate=8000, layout="mono"
        )
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 32000), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        for frame in frames:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux([*picture.encode(), *sound.encode(silence), *sound.encode()])
    return path


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    """A tar of members by name, as WebDataset shards are."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
