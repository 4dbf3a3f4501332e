"""Encodes videos of any kind as small H.264 files that decode fast from any point on, in many processes.

Axes: y x pixels, c colour. A tick is the unit of a video's time stamps.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidtwin.modeling_vidtwin.video_io import VideoError, VideoReader

_CRF = 18
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_BT709 = 1  # in ITU-T H.273


@dataclass(frozen=True)
class EncodingForm:
    """How clips are encoded: the short side in pixels, frames between key frames, a piece's most seconds."""

    short_side: int
    gop: int
    max_seconds: float


Job = tuple[str, Path, Path, EncodingForm]  # key, video, folder to write to, form
Result = tuple[str, list[dict[str, Any]], str]  # key, the pieces' fields, reason of refusal


def small_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Even sides of which the short one is at most `short_side`; never larger than the picture.

    Raises ValueError for a picture with a side of one pixel.
    """
    if min(height, width) < 2:
        raise ValueError(f"{height} x {width} pixels are too few; both sides need 2.")
    scale = min(Fraction(1), Fraction(short_side // 2 * 2, min(height, width)))
    small_height, small_width = (min(round(side * scale / 2), side // 2) * 2 for side in (height, width))
    return small_height, small_width


class SmallReader(VideoReader):
    """A VideoReader of pictures scaled to `small_size`, which also knows the time stamps."""

    def __init__(self, path: Path, short_side: int):
        super().__init__(path)
        self.tick: Fraction = self._tick
        self.stamp = 0  # ticks from the first frame to the last one given out ...
        self.ticks = 1  # ... and how long that one is shown, as far as it says so itself
        self._scaler = VideoReformatter()
        self.size = height, width = small_size(self.info.height, self.info.width, short_side)
        self._stored = (height, width) if self._matrix[0] else (width, height)

    def _picture(self, frame: Any) -> np.ndarray:
        self.stamp = frame.pts - self._origin
        self.ticks = frame.duration or max(1, round(self._usual))
        if not frame.format.has_palette:  # swscale reads palettes, but does not write them
            height, width = self._stored
            frame = self._scaler.reformat(frame, width, height, interpolation=_SCALING)
        return super()._picture(frame)

    def with_stamps(self) -> Iterator[tuple[np.ndarray, int, int]]:
        """Each picture `y x c` with its time stamp and how long it is shown, in ticks from the first."""
        previous: tuple[np.ndarray, int, int] | None = None
        for picture in self:
            if previous is not None:
                yield previous[0], previous[1], self.stamp - previous[1]
            previous = picture, self.stamp, self.ticks
        if previous is not None:
            yield previous


class _Piece:
    """One file being written: H.264 without B-frames or sound, frames at their own time stamps."""

    def __init__(self, file: Path, reader: SmallReader, gop: int, start: int):
        self._file, self._tick, self.start = file, reader.tick, start
        self._count = 0
        self._ticks: dict[int, int] = {}  # how long frames in the encoder are shown, by time stamp
        self._scaler = VideoReformatter()
        self._container: Any = av.open(f"file:{file}", "w", format="mp4")
        options = {"crf": str(_CRF), "bf": "0", "threads": "1"}
        stream: Any = self._container.add_stream("libx264", rate=reader.info.fps, options=options)
        stream.height, stream.width = reader.size
        stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", gop
        stream.codec_context.time_base = reader.tick
        stream.codec_context.bit_rate = 0  # else it would overrule crf
        stream.codec_context.colorspace = stream.codec_context.color_primaries = _BT709
        stream.codec_context.color_trc = _BT709
        stream.codec_context.color_range = ColorRange.MPEG
        self._stream = stream

    def write(self, picture: np.ndarray, stamp: int, ticks: int) -> None:
        rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = self._scaler.reformat(
            rgb,
            self._stream.width,
            self._stream.height,
            "yuv420p",
            dst_colorspace=Colorspace.ITU709,
            interpolation=_SCALING,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = stamp - self.start, self._tick
        self._ticks[frame.pts] = ticks
        self._mux(self._stream.encode(frame))
        self._count += 1

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:  # x264 would show the last frame as long as the one before
            packet.duration = self._ticks.pop(packet.pts)
            self._container.mux(packet)

    def close(self) -> dict[str, Any]:
        """Ends the file, and tells what it says when read again."""
        self._mux(self._stream.encode())
        self._container.close()
        with VideoReader(self._file) as reader:
            info = reader.info
        if info.num_frames != self._count or info.duration is None:
            raise VideoError(f"{self._file}: {self._count} frames were written, {info.num_frames} came out.")
        return {
            "key": self._file.stem,
            "start": round(float(self.start * self._tick), 6),
            "seconds": round(info.duration, 6),
            "frames": self._count,
            "fps": str(info.fps),
            "height": info.height,
            "width": info.width,
        }


def encode_video(job: Job) -> Result:
    """Encodes one video as `FOLDER/KEY-0000.mp4` and so on; one that cannot be read leaves only a reason."""
    key, video, folder, form = job
    try:
        return key, _encode_pieces(job), ""
    except (ValueError, av.FFmpegError) as error:  # VideoError is a ValueError
        if isinstance(error, OSError):  # a full disk is not the video's fault
            raise
        for number in count():
            file = folder / f"{key}-{number:04}.mp4"
            if not file.exists():
                break
            file.unlink()
        reason = " ".join(str(error).removeprefix(f"{video}: ").split())
        return key, [], reason or type(error).__name__


def _encode_pieces(job: Job) -> list[dict[str, Any]]:
    key, video, folder, form = job
    pieces: list[dict[str, Any]] = []
    piece: _Piece | None = None
    with SmallReader(video, form.short_side) as reader:
        longest = _piece_seconds(reader, form.max_seconds) / reader.tick
        for picture, stamp, ticks in reader.with_stamps():
            if _stop is not None and _stop.is_set():
                raise KeyboardInterrupt
            if piece is not None and stamp + ticks - piece.start > longest:
                pieces.append(piece.close())
                piece = None
            if piece is None:
                piece = _Piece(folder / f"{key}-{len(pieces):04}.mp4", reader, form.gop, stamp)
            piece.write(picture, stamp, ticks)
        if piece is not None:
            pieces.append(piece.close())
    return pieces


def _piece_seconds(reader: SmallReader, max_seconds: float) -> Fraction:
    """The longest piece that cuts a video evenly, so that no last piece is too short to be of use."""
    most, duration, frame = Fraction(max_seconds), reader.info.duration, 1 / reader.info.fps
    if duration is None or duration <= most or frame >= most:
        return most
    number = math.ceil(Fraction(duration) / (most - frame))
    return min(most, Fraction(duration) / number + frame)


def encode_all(jobs: list[Job], workers: int) -> Generator[Result, None, None]:
    """Encodes videos in `workers` processes, or in this one; results come as they are ready.

    When the iterator is closed or interrupted, the processes stop at their next frame. Raises RuntimeError
    with the names of the videos at hand when a process dies.
    """
    if workers == 1 or len(jobs) < 2:
        yield from map(encode_video, jobs)
        return
    context = multiprocessing.get_context("spawn")  # FFmpeg's and torch's threads do not survive a fork
    stop, left = context.Event(), iter(jobs)
    at_hand: dict[Future[Result], Job] = {}
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker, (stop,)) as pool:
        try:
            with _deaf_to_interrupts():
                at_hand |= {pool.submit(encode_video, job): job for job in islice(left, 2 * workers)}
            while at_hand:
                for future in wait(at_hand, return_when=FIRST_COMPLETED).done:
                    yield future.result()
                    del at_hand[future]
                    at_hand |= {pool.submit(encode_video, job): job for job in islice(left, 1)}
        except BrokenProcessPool as error:
            names = ", ".join(str(video) for _, video, _, _ in at_hand.values())
            raise RuntimeError(f"a process died on one of {names}; remove it and run again.") from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C goes unheard in the block, and in processes that are started in it until they end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # which never hears it
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_stop: Event | None = None


def _start_worker(stop: Event) -> None:
    """Lets a worker process stop with its parent, and leave Ctrl-C to it."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
