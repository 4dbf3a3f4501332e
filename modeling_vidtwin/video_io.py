"""Video file <-> frames, by PyAV, one frame in memory at a time.

Axes: t frames, y x pixels, c colour (red, green, blue). Frames are uint8 in [0, 255], `y x c`.

No frame is lost, doubled or made up in silence: a file that cannot be read or written whole is a VideoError.
"""

from __future__ import annotations

import errno
import heapq
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import torch
from transformers.utils import is_av_available

from .whole_files import avi_is_whole, gif_is_whole

if is_av_available():
    import av
    from av.stream import Disposition
    from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

    # swscale's faster defaults darken the picture by about one level and repeat each chroma sample.
    _SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

Reader = TypeVar("Reader", bound="VideoReader")

# Containers in which one packet is one picture, so that counting packets counts frames ...
_COUNTABLE = ("mp4", "matroska", "avi", "gif")
# ... and those whose header says how long the video is. FFmpeg guesses the length of all others.
_LENGTH_IN_HEADER = ("mp4", "matroska", "avi")

# These decoders mark every picture they had to guess (`frame.is_corrupt`); told to stop at errors, they would
# also refuse intact but sloppy files. The others are told to stop: they hide damage otherwise.
_MARKS_GUESSED_PICTURES = ("h264", "mpeg4", "mpeg2video", "mpeg1video")

# Colour matrices, by their numbers in ITU-T H.273, that swscale knows. A file that names none, or another
# one, is read as BT.601, as FFmpeg itself does.
_BT601, _BT709 = 5, 1
_KNOWN_MATRICES = (1, 4, 5, 6, 7, 9)

_MUXERS = {
    ".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi", ".webm": "webm", ".gif": "gif",
}  # fmt: skip
_MAX_FPS = 1000
_MAX_GIF_FPS = 50

_Frame = Any  # av.VideoFrame, whose stubs make every time stamp optional


class VideoError(ValueError):
    """A video file cannot be read or written; the message is one line, the file's path and the reason."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself.

    `height` and `width` are those of the picture as shown, turned by `rotation` degrees clockwise. `fps` is
    the average rate by time stamps. `num_frames` is what the container lists, None where it does not;
    `duration` is in seconds, None where only a guess exists.
    """

    path: str
    height: int
    width: int
    fps: Fraction
    num_frames: int | None
    duration: float | None
    rotation: int


class VideoReader:
    """The frames of a video file, uint8 `y x c`, one after another; to be iterated once.

    With `fps` None every frame comes once, in the order shown. With a rate, frame k is the one shown at
    `start + k / fps` seconds after the first, up to the end of the last one's display. Frames no longer shown
    at `start` are left out. Pictures are turned and mirrored as players do, and laid over black where they
    have alpha; pixels that are not square stay as stored, and high dynamic range is not tone mapped.

    `path` may also be the bytes of a whole file. A file that cannot be opened, a damaged frame, a change of
    size, time stamps that do not grow and an end that comes too early are VideoErrors.
    """

    _container: Any
    _stream: Any
    _reformatter: Any

    def __init__(
        self, path: str | os.PathLike | bytes, fps: float | Fraction | None = None, start: float = 0.0
    ):
        _require_av()
        if not (math.isfinite(start) and start >= 0):
            raise ValueError(f"start must be a number of seconds from 0 up, got {start}.")
        rate = None if fps is None else _as_rate(fps)
        self._data = path if isinstance(path, bytes) else None
        self._path = "video in memory" if isinstance(path, bytes) else os.fspath(path)
        self._start = start
        self._iterated = self._closed = False
        with _named_errors(self._path), ExitStack() as on_failure:
            self._open()
            on_failure.callback(self.close)
            average, num_frames, duration = self._measure()
            self._tick: Fraction = self._stream.time_base
            if not (average > 0 and self._tick > 0):
                raise VideoError(f"{self._path}: is damaged (its frame rate is {average}).")
            self._usual = 1 / (average * self._tick)  # ticks that a frame is shown
            self._frames: Iterator[_Frame] = self._decoded()
            first = next(self._frames, None)
            if first is None:
                raise VideoError(f"{self._path}: holds no frame that can be decoded.")
            self._origin = first.pts
            self._matrix = xx, xy, _, _ = _display_matrix(first, self._path)
            self._reformatter = VideoReformatter()
            self._frames = chain([first], self._frames)
            on_failure.pop_all()
        height, width = (first.height, first.width) if xx else (first.width, first.height)
        rotation = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}[xx, xy]
        self.info = VideoInfo(self._path, height, width, average, num_frames, duration, rotation)
        self.fps = rate or average
        self.time_base = 1 / rate if rate else self._tick  # the times of `timed` are multiples of it
        self._resample = rate is not None

    def __enter__(self: Reader) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file; no frame can be read after that.

        Also of FFmpeg's threads, at once: a process forked from this one (a DataLoader's worker) hangs if
        its garbage collector finds them.
        """
        if not self._closed:
            self._closed = True
            self._container.close()
            self._container = self._stream = self._reformatter = None
            self._frames = iter(())

    def _check_open(self) -> None:
        if self._closed:  # FFmpeg would read freed memory
            raise VideoError(f"{self._path}: its VideoReader was closed before all frames were read.")

    def __iter__(self) -> Iterator[np.ndarray]:
        return (picture for _, picture in self.timed())

    def timed(self) -> Iterator[tuple[Fraction, np.ndarray]]:
        """The frames as from iterating, each with its time in seconds after the file's first frame."""
        if self._iterated:
            raise VideoError(f"{self._path}: a VideoReader can be iterated once; open another one.")
        self._iterated = True
        return self._pictures()

    def _open(self) -> None:
        try:
            self._container = self._opened()
        except av.InvalidDataError as error:
            raise VideoError(f"{self._path}: is empty, damaged or no video FFmpeg knows.") from error
        videos = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not videos or videos[0].codec_context is None:
            self._container.close()
            what = "no video stream" if not videos else "video of a codec unknown to FFmpeg"
            raise VideoError(f"{self._path}: holds {what}.")
        self._stream = videos[0]
        self._stream.thread_type = "AUTO"
        codec = self._stream.codec_context
        if codec.name not in _MARKS_GUESSED_PICTURES:
            codec.options = {"err_detect": "explode"}
        # AVI stores no time stamps of its own, and FFmpeg's guesses for B-frames are not even in order.
        self._guess_stamps = self._container_is("avi") and codec.has_b_frames
        self._from_first_frame = True

    def _opened(self) -> Any:
        if self._data is None:
            mode = os.stat(self._path).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading it could wait for ever
                raise VideoError(f"{self._path}: is a pipe or a device and no file.")
        # `file:` keeps FFmpeg from taking a name like `a:b.mp4` or `http://...` for a protocol.
        source = f"file:{self._path}" if self._data is None else BytesIO(self._data)
        return av.open(source, metadata_errors="replace")

    def _container_is(self, *names: str) -> bool:
        return any(name in self._container.format.name.split(",") for name in names)

    def _decoded(self) -> Iterator[_Frame]:
        """The checked frames from where the file stands, in the order shown."""
        count, end, damaged = 0, Fraction(0), False
        size = last = None
        stamps: list[int] = []
        for packet in self._container.demux(self._stream):
            damaged |= packet.is_corrupt
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None:
                end = max(end, stamp + (packet.duration or self._usual))
            if self._guess_stamps and packet.dts is not None:
                heapq.heappush(stamps, packet.dts)
            for frame in self._decode(packet, count):
                if self._guess_stamps:
                    frame.pts = heapq.heappop(stamps)
                if frame.is_corrupt:
                    raise VideoError(f"{self._path}: {self._place(count)} is damaged.")
                if size not in (None, (frame.height, frame.width)):
                    raise VideoError(f"{self._path}: the picture's size changes at {self._place(count)}.")
                if frame.pts is None or (last is not None and frame.pts <= last):
                    raise VideoError(f"{self._path}: the time stamps do not grow at {self._place(count)}.")
                size, last, count = (frame.height, frame.width), frame.pts, count + 1
                yield frame
                self._check_open()
        if count:
            self._check_the_end(count, end, damaged)

    def _decode(self, packet: Any, count: int) -> list[_Frame]:
        try:
            return packet.decode()
        except av.FFmpegError as error:
            raise VideoError(f"{self._path}: {self._place(count)} is damaged ({error.strerror}).") from error

    def _place(self, count: int) -> str:
        return f"frame {count}" + ("" if self._from_first_frame else f", counted from {self._start} s,")

    def _check_the_end(self, count: int, end: Fraction, damaged: bool) -> None:
        """Refuses a file that ends before its own header says."""
        promised, found = self.info.num_frames, f"{count} frames decode"
        if self._container_is("mp4") and self._from_first_frame and promised and count < promised:
            raise VideoError(f"{self._path}: promises {promised} frames, but {found}; cut short?")
        if damaged or not self._is_whole():
            raise VideoError(f"{self._path}: is damaged or cut short; {found}.")
        late = self._promised_end()
        # An AVI writer may drop a last picture that repeats the one before.
        tolerance = self._usual * self._tick * Fraction(3 if self._container_is("avi") else 1, 2)
        if late is not None and late - end * self._tick > tolerance:
            lost = float(late - end * self._tick)
            raise VideoError(f"{self._path}: ends {lost:.2f} s before its header says; cut short?")

    def _is_whole(self) -> bool:
        video = self._path if self._data is None else self._data
        if self._container_is("gif"):
            return gif_is_whole(video)
        return not self._container_is("avi") or avi_is_whole(video)

    def _promised_end(self) -> Fraction | None:
        """The time stamp in seconds at which the header says that the video ends."""
        stream, container = self._stream, self._container
        if not self._container_is(*_LENGTH_IN_HEADER):
            return None
        if stream.duration:
            return ((stream.start_time or 0) + stream.duration) * stream.time_base
        # Matroska's own tag, which also stands where a longer sound track hides the video's length.
        clock = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
        if clock:
            return 3600 * int(clock[1]) + 60 * int(clock[2]) + Fraction(clock[3])
        if container.duration and len(container.streams) == 1:
            return Fraction(container.duration, av.time_base)
        return None

    def _measure(self) -> tuple[Fraction, int | None, float | None]:
        """The average rate by time stamps, the number of frames listed, and the duration in seconds."""
        stream = self._stream
        rates = [rate for rate in (stream.average_rate, stream.base_rate) if rate]
        if not self._container_is(*_COUNTABLE):
            return (rates or [Fraction(1)])[0], None, None
        if self._container_is("mp4") and stream.frames and stream.duration:
            # An edit list hides frames, which the header counts all the same.
            count = stream.frames - sum(entry.is_discard for entry in stream.index_entries)
            seconds = stream.duration * stream.time_base
        else:
            count, seconds = self._count_packets()
        if not (count and seconds):
            return (rates or [Fraction(1)])[0], count, None
        # A rate that the container names is taken where the time stamps bear it out within their rounding;
        # an edit list of an mp4 file cuts the duration to milliseconds.
        rounding = max(2 * stream.time_base, Fraction(1, 1000))
        for rate in rates:
            if abs(count / rate - seconds) <= min(rounding, 1 / (4 * rate)):
                return rate, count, float(seconds)
        return (count / seconds).limit_denominator(10**6), count, float(seconds)

    def _count_packets(self) -> tuple[int, Fraction]:
        """The number of pictures and the seconds they take, from reading the file without decoding it."""
        with self._opened() as container:
            stream: Any = container.streams[self._stream.index]
            tick = stream.time_base  # to be read before the file is closed
            packets = [
                (packet.dts if packet.pts is None else packet.pts, packet.duration or 0)
                for packet in container.demux(stream)
                if packet.size and not packet.is_discard
            ]
        known = sorted((stamp, duration) for stamp, duration in packets if stamp is not None)
        if not known:
            return len(packets), Fraction(0)
        span = known[-1][0] - known[0][0]
        last = known[-1][1] or Fraction(span, max(len(known) - 1, 1))
        return len(packets), (span + last) * tick

    def _seek(self, stamp: Fraction) -> None:
        """Goes to the key frame before a time stamp, and to the first frame where that cannot be trusted."""
        target = math.floor(stamp)
        self._from_first_frame = False
        if not self._guess_stamps:
            with suppress(av.FFmpegError, VideoError):
                self._container.seek(target, stream=self._stream)
                self._frames = self._decoded()
                first = next(self._frames, None)
                if first is not None and first.pts <= target:
                    self._frames = chain([first], self._frames)
                    return
        self._container.close()
        self._open()
        self._frames = self._decoded()

    def _shown(self) -> Iterator[tuple[_Frame, Fraction]]:
        """Each frame with the time stamp at which its display ends, less the stamps' rounding."""
        # Stamps are rounded to whole ticks, but where a tick is a whole frame, as in AVI, they are exact.
        slack = Fraction(1, 2) if self._usual >= 2 else self._usual / 50
        previous = None
        for frame in self._frames:
            if previous is not None:
                yield previous, frame.pts - slack
            previous = frame
        if previous is not None:
            yield previous, previous.pts + (previous.duration or self._usual) - 2 * slack

    def _pictures(self) -> Iterator[tuple[Fraction, np.ndarray]]:
        with _named_errors(self._path):
            self._check_open()
            due = self._origin + Fraction(self._start) / self._tick
            if self._start:
                self._seek(due)
            step = 1 / (self.fps * self._tick)
            found = False
            for frame, end in self._shown():
                while due < end:
                    found = True
                    at = due if self._resample else frame.pts
                    yield (at - self._origin) * self._tick, self._picture(frame)
                    if not self._resample:
                        break
                    due += step
            if not found:
                raise VideoError(f"{self._path}: start is {self._start} s, but the video ends before that.")

    def _picture(self, frame: _Frame) -> np.ndarray:
        """A decoded frame as RGB `y x c`, turned as its display matrix says."""
        self._check_open()
        has_alpha = frame.format.has_palette or any(part.is_alpha for part in frame.format.components)
        matrix = frame.colorspace if frame.colorspace in _KNOWN_MATRICES else _BT601
        converted = self._reformatter.reformat(
            frame, format="rgba" if has_alpha else "gbrp", src_colorspace=matrix, interpolation=_SCALING
        ).to_ndarray()  # gbrp, too, comes out as RGB, in half the time of rgb24
        if has_alpha:
            alpha = converted[..., 3:].astype(np.uint16)
            converted = ((converted[..., :3] * alpha + 127) // 255).astype(np.uint8)
        xx, xy, yx, yy = self._matrix
        turned = converted[::yy, ::xx] if xx else converted.transpose(1, 0, 2)[::xy, ::yx]
        return np.array(turned, order="C")


def read_video(
    path: str | os.PathLike | bytes,
    fps: float | Fraction | None = None,
    start: float = 0.0,
    num_frames: int | None = None,
) -> tuple[np.ndarray, Fraction]:
    """The frames of a video file, uint8 `t y x c`, and their rate; see VideoReader for `fps` and `start`.

    With `num_frames` reading stops there; fewer frames in the file are a VideoError.
    """
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}.")
    frames: list[np.ndarray] = []
    with VideoReader(path, fps=fps, start=start) as reader:
        for frame in reader:
            frames.append(frame)
            if len(frames) == num_frames:
                break
        name = reader.info.path
    if num_frames is not None and len(frames) < num_frames:
        raise VideoError(
            f"{name}: {num_frames} frames wanted from {start} s on at {reader.fps} fps, but only "
            f"{len(frames)} exist."
        )
    return np.stack(frames), reader.fps


class VideoWriter:
    """Writes frames to a video file at exactly `fps`; the file appears whole when the `with` block ends well.

    The suffix chooses the form: H.264 for .mp4, .mov, .mkv and .avi, VP9 for .webm, 256 colours a frame and
    centiseconds for .gif. `crf` is the quality of H.264 and VP9, lower is better. An exception in the block,
    no frame, a full disk or an unwritable folder leave no file behind; the last three are VideoErrors.
    """

    def __init__(self, path: str | os.PathLike, fps: float | Fraction, crf: int = 18):
        _require_av()
        self._path = Path(path)
        self._suffix = self._path.suffix.lower()
        if self._suffix not in _MUXERS:
            raise VideoError(f"{path}: the name of a video to write must end in {', '.join(_MUXERS)}.")
        self.fps = _as_rate(fps)
        if self._suffix == ".gif" and self.fps > _MAX_GIF_FPS:
            raise VideoError(f"{path}: a gif shows at most {_MAX_GIF_FPS} frames a second, not {self.fps}.")
        self.num_frames = 0
        self._crf = crf
        self._cleanup = ExitStack()
        self._container: Any = None

    def __enter__(self) -> VideoWriter:
        with _named_errors(self._path):
            self._partial = self._cleanup.enter_context(atomic_path(self._path))
            self._partial.touch()  # a folder without the right to write is noticed before the work
        self._cleanup.callback(self._abandon)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._cleanup.__exit__(kind, error, trace)
            return
        with _named_errors(self._path), self._cleanup:
            if not self.num_frames:
                raise VideoError(f"{self._path}: no frame was given, so no video was written.")
            self._container.mux(self._stream.encode())
            self._container.close()

    def write(self, frames: np.ndarray | torch.Tensor) -> None:
        """Appends one frame `y x c` or several `t y x c`, uint8; the first one sets the size of all."""
        array = frames.cpu().numpy() if isinstance(frames, torch.Tensor) else np.asarray(frames)
        if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 3 or not array.size:
            raise VideoError(
                f"{self._path}: frames must be uint8 (y x 3) or (t y x 3), got {array.dtype} {array.shape}."
            )
        with _named_errors(self._path):
            for picture in array if array.ndim == 4 else array[None]:
                self._write_one(np.ascontiguousarray(picture))

    def _write_one(self, picture: np.ndarray) -> None:
        height, width, _ = picture.shape
        if self._container is None:
            self._open(height, width)
        if (height, width) != (self._stream.height, self._stream.width):
            size = f"{self._stream.height} x {self._stream.width}"
            raise VideoError(f"{self._path}: frame {self.num_frames} is {height} x {width}, not {size}.")
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self.num_frames, 1 / self.fps
        self._converter.push(frame)
        self._container.mux(self._stream.encode(self._converter.pull()))
        self.num_frames += 1

    def _open(self, height: int, width: int) -> None:
        faststart = {"movflags": "+faststart"} if self._suffix in (".mp4", ".mov") else {}
        self._container = av.open(
            f"file:{self._partial}", "w", format=_MUXERS[self._suffix], container_options=faststart
        )
        options = {"crf": str(self._crf)}
        if self._suffix == ".gif":
            codec, pixels, options = "gif", "pal8", {}
        elif self._suffix == ".webm":
            codec, pixels = "libvpx-vp9", "yuv420p"
            options |= {"deadline": "good", "cpu-used": "4", "row-mt": "1"}
        else:
            # 4:2:0 halves both sides, and H.264 has it for even ones only. An odd picture keeps its last row
            # and column as 4:4:4, which fewer players show.
            codec, pixels = "libx264", "yuv444p" if height % 2 or width % 2 else "yuv420p"
            if self._suffix == ".avi":
                options["bf"] = "0"  # AVI has no time stamps to put B-frames in order with
        stream = self._container.add_stream(codec, rate=self.fps, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, pixels
        stream.codec_context.time_base = 1 / self.fps
        if codec != "gif":
            stream.codec_context.bit_rate = 0  # else it would overrule crf
            stream.codec_context.colorspace = stream.codec_context.color_primaries = _BT709
            stream.codec_context.color_trc = _BT709
            stream.codec_context.color_range = ColorRange.MPEG
        self._stream, self._converter = stream, _converter(stream, 1 / self.fps)

    def _abandon(self) -> None:
        """Closes what an error left open, so that the partial file can be removed on every system."""
        if self._container is not None:
            with suppress(Exception):
                self._container.close()


def write_video(
    path: str | os.PathLike,
    frames: np.ndarray | torch.Tensor | Iterable[np.ndarray | torch.Tensor],
    fps: float | Fraction,
) -> None:
    """Writes uint8 frames, an array `t y x c` or any iterable of `y x c`, as VideoWriter does."""
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(frame)


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside `path` to write to, which becomes `path` when the block ends well and vanishes otherwise.

    A missing folder, or something at `path` that is no plain file, is an OSError before anything is written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", os.fspath(path.parent))
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "it exists and is not a plain file", os.fspath(path))
    partial = path.with_name(f".{path.name}.partial-{uuid4().hex}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()


def _require_av() -> None:
    if not is_av_available():
        raise ImportError("Video files are read and written with PyAV, which is missing: pip install av")


def _as_rate(fps: float | Fraction) -> Fraction:
    if not 0 < fps <= _MAX_FPS:
        raise ValueError(f"fps must be above 0 and at most {_MAX_FPS}, got {fps}.")
    return Fraction(fps).limit_denominator(10**6)  # what FFmpeg's 32-bit fractions can hold


@contextmanager
def _named_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turns every failure of FFmpeg or of the file system into a VideoError that names the file."""
    try:
        yield
    except VideoError:
        raise
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or type(error).__name__
        named = error.filename if isinstance(error.filename, str) else ""
        elsewhere = f" ({named})" if named and Path(named.removeprefix("file:")) == Path(path).parent else ""
        raise VideoError(f"{os.fspath(path)}: {reason}{elsewhere}.") from error


def _display_matrix(frame: _Frame, path: str) -> tuple[int, int, int, int]:
    """How a frame is turned for display: the signs of (x in x', x in y', y in x', y in y')."""
    for side in frame.side_data:
        if side.type.name == "DISPLAYMATRIX":
            values = np.frombuffer(bytes(side), np.int32)
            signs = [int(np.sign(round(value / 65536, 2))) for value in values[[0, 1, 3, 4]]]
            if [abs(sign) for sign in signs] not in ([1, 0, 0, 1], [0, 1, 1, 0]):
                raise VideoError(f"{path}: is turned by {frame.rotation} degrees; only right angles work.")
            return signs[0], signs[1], signs[2], signs[3]
    return 1, 0, 0, 1


def _converter(stream: Any, time_base: Fraction) -> av.filter.Graph:
    """RGB frames in, frames in the stream's pixels out, one at a time to keep memory small.

    A gif's frames get the best 256 colours of each; the others are BT.709 in video range.
    """
    graph = av.filter.Graph()
    rgb = av.VideoFormat("rgb24")
    source = graph.add_buffer(width=stream.width, height=stream.height, format=rgb, time_base=time_base)
    sink = graph.add("buffersink")
    if stream.pix_fmt == "pal8":
        split, last = graph.add("split"), graph.add("paletteuse", "new=1")
        palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
        source.link_to(split)
        split.link_to(last, 0, 0)
        split.link_to(palette, 1, 0)
        palette.link_to(last, 0, 1)
    else:
        scaling = "flags=bicubic+accurate_rnd+full_chroma_int:out_color_matrix=bt709:out_range=tv"
        if stream.codec_context.name == "libx264":
            scaling += ":out_chroma_loc=left"  # where every H.264 player takes it to be
        scale, last = graph.add("scale", scaling), graph.add("format", stream.pix_fmt)
        source.link_to(scale)
        scale.link_to(last)
    last.link_to(sink)
    graph.configure()
    return graph
