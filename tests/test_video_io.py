"""video_io: every frame of a file, at its time, in its colours, or one line that says why not."""

import errno
import re
import resource
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from video_maker import (
    ANTICLOCKWISE,
    CLOCKWISE,
    MIRRORED,
    UPSIDE_DOWN,
    make_video,
    numbered_frames,
    numbers,
    smooth_frames,
)

from vidtwin.modeling_vidtwin import video_io
from vidtwin.modeling_vidtwin.video_io import (
    VideoError,
    VideoReader,
    VideoWriter,
    atomic_path,
    read_video,
    write_video,
)

NTSC = Fraction(30000, 1001)
CODECS = {
    ".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".avi": "libx264", ".ts": "libx264",
    ".webm": "libvpx-vp9", ".gif": "gif", ".mpg": "mpeg2video",
}  # fmt: skip


def refusal(path: Path, read: Callable[[], object]) -> str:
    """The one line with which a file is refused, less the path at its start."""
    with pytest.raises(VideoError) as refused:
        read()
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


# Reading


@pytest.mark.parametrize("suffix", CODECS)
def test_every_frame_comes_once_and_in_order(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"a{suffix}", numbered_frames(20), codec=CODECS[suffix])
    frames, fps = read_video(path)
    assert numbers(frames) == list(range(20)) and fps == 25


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_frames_stored_out_of_order_come_in_the_order_shown(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"a{suffix}", numbered_frames(20))
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.has_b_frames
    assert numbers(read_video(path)[0]) == list(range(20))


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("fps", [8, 25, 50])
def test_another_rate_takes_the_frame_shown_at_each_time(suffix: str, fps: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"a{suffix}", numbered_frames(20), codec=CODECS[suffix])
    frames, rate = read_video(path, fps=fps)
    assert numbers(frames) == [k * 25 // fps for k in range(100) if k * 25 < 20 * fps] and rate == fps


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_irregular_time_stamps_decide_which_frame_is_shown(suffix: str, tmp_path: Path) -> None:
    times = [0, 0.04, 0.5, 0.52, 0.9, 1.3]
    path = make_video(tmp_path / f"a{suffix}", numbered_frames(6), times=times)
    frames, _ = read_video(path, fps=10, num_frames=14)
    assert numbers(frames) == [0, 1, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4, 4, 5]


@pytest.mark.parametrize("fps", [30, NTSC])
def test_rounded_time_stamps_double_and_skip_no_frame(fps: int | Fraction, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", numbered_frames(40), fps=fps)  # in whole milliseconds
    assert numbers(read_video(path, fps=fps)[0]) == list(range(40))


def test_frames_hidden_by_an_edit_list_stay_hidden(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", numbered_frames(20), times=[(k - 5) / 25 for k in range(20)])
    with VideoReader(path) as reader:
        assert numbers(np.stack(list(reader))) == list(range(5, 20)) and reader.info.num_frames == 15


def test_the_rate_of_irregular_frames_is_their_average(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", numbered_frames(4), times=[0, 0.1, 0.5, 0.6])
    with VideoReader(path) as reader:
        assert reader.info.duration is not None
        assert float(reader.fps) == pytest.approx(4 / reader.info.duration)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_time_is_counted_from_the_first_frame(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"a{suffix}", numbered_frames(10), times=[2 + k / 25 for k in range(10)])
    assert numbers(read_video(path)[0]) == list(range(10))
    assert numbers(read_video(path, fps=25, start=0.2)[0]) == list(range(5, 10))


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("first", [1, 13, 19])
def test_start_leaves_out_the_frames_no_longer_shown(suffix: str, first: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"a{suffix}", numbered_frames(20), codec=CODECS[suffix])
    frames, _ = read_video(path, start=(first + 0.4) / 25)
    assert numbers(frames) == list(range(first, 20))


def test_a_start_after_the_end_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", numbered_frames(5))
    assert "ends before" in refusal(path, lambda: read_video(path, start=3))


def test_reading_stops_after_num_frames(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", numbered_frames(20))
    assert numbers(read_video(path, start=0.2, num_frames=3)[0]) == [5, 6, 7]


def test_fewer_frames_than_num_frames_are_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", numbered_frames(5))
    assert "only 5 exist" in refusal(path, lambda: read_video(path, num_frames=6))


@pytest.mark.parametrize(
    ("matrix", "rotation", "turn"),
    [
        (CLOCKWISE, 90, lambda picture: np.rot90(picture, -1)),
        (UPSIDE_DOWN, 180, lambda picture: np.rot90(picture, 2)),
        (ANTICLOCKWISE, 270, lambda picture: np.rot90(picture, 1)),
    ],
)
def test_a_turned_video_is_read_as_it_is_shown(
    matrix: tuple[int, ...], rotation: int, turn: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    stored = smooth_frames(1)
    path = make_video(tmp_path / "a.mp4", stored, matrix=matrix)
    with VideoReader(path) as reader:
        (shown,) = reader
    assert (reader.info.height, reader.info.width, 3) == shown.shape and reader.info.rotation == rotation
    assert np.abs(shown - turn(stored[0]).astype(float)).mean() < 3


def test_a_mirrored_video_is_read_as_it_is_shown(tmp_path: Path) -> None:
    stored = smooth_frames(1)
    frames, _ = read_video(make_video(tmp_path / "a.mp4", stored, matrix=MIRRORED))
    assert np.abs(frames - stored[:, :, ::-1].astype(float)).mean() < 3


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mov", "mjpeg")])
def test_colours_without_a_tag_and_of_full_range_are_right(suffix: str, codec: str, tmp_path: Path) -> None:
    frames, _ = read_video(make_video(tmp_path / f"a{suffix}", smooth_frames(2), codec=codec))
    error = frames - smooth_frames(2).astype(float)
    assert np.abs(error).mean() < 4 and np.abs(error.mean(axis=(0, 1, 2))).max() < 2.5


def test_a_transparent_picture_lies_on_black(tmp_path: Path) -> None:
    picture = np.full((1, 16, 16, 4), 200, np.uint8)
    picture[:, :8, :, 3], picture[:, 8:, :, 3] = 0, 255
    frames, _ = read_video(make_video(tmp_path / "a.mov", picture, codec="png"))
    assert (frames[:, :8] == 0).all() and (frames[:, 8:] == 200).all()


def test_the_info_says_what_the_file_holds(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", numbered_frames(10), fps=NTSC)
    with VideoReader(path) as reader:
        info = reader.info
    assert (info.path, info.height, info.width, info.fps, info.num_frames) == (str(path), 48, 64, NTSC, 10)
    assert info.duration == pytest.approx(float(10 / NTSC))


def test_a_name_with_a_colon_is_a_file_and_no_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video("http:a.mp4", numbered_frames(2), 25)
    assert len(read_video("http:a.mp4")[0]) == 2


def test_frames_before_the_damage_come_out_first(tmp_path: Path) -> None:
    path = cut(make_video(tmp_path / "a.mkv", noise(30)), 0.6)
    with VideoReader(path) as reader:
        assert next(iter(reader)).shape == (48, 64, 3)


def test_a_reader_is_iterated_once(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", numbered_frames(3))
    with VideoReader(path) as reader:
        list(reader)
        assert "once" in refusal(path, lambda: list(reader))


def test_a_closed_reader_gives_no_more_frames(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", numbered_frames(20))
    with VideoReader(path) as reader:
        frames = iter(reader)
        next(frames)
    assert "closed" in refusal(path, lambda: list(frames))


# What is refused


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)


def cut(path: Path, part: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


def sound_only(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 8000, "NONE", ""))
        sound.writeframes(bytes(16000))


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "No such file": lambda path: None,
    "Is a directory": lambda path: path.mkdir(),
    "is empty": lambda path: path.touch(),
    "no video FFmpeg knows": lambda path: path.write_text("no video at all\n" * 99),
    "no video stream": sound_only,
}


@pytest.mark.parametrize("reason", UNREADABLE)
def test_what_is_no_video_is_refused_with_the_reason(reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    UNREADABLE[reason](path)
    assert reason in refusal(path, lambda: read_video(path))


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".webm", ".gif"])
@pytest.mark.parametrize("part", [0.3, 0.7, 0.98])
def test_a_file_cut_short_is_refused(suffix: str, part: float, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    write_video(path, noise(20), 25)
    refusal(path, lambda: read_video(cut(path, part)))


def test_a_file_that_lost_its_last_bytes_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.avi", noise(10), codec="mjpeg")
    with av.open(str(path)) as container:
        ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: max(ends) - 4])
    assert "10 frames decode" in refusal(path, lambda: read_video(path))


def test_a_file_that_lost_its_last_frames_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", noise(10), codec="mjpeg")
    assert "header" in refusal(path, lambda: read_video(cut(path, 0.75)))


def damage(path: Path, index: int, part: slice) -> Path:
    """Turns over the bits in a part, in eighths, of a packet."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][index]
        start, end = (packet.pos + packet.size * eighth // 8 for eighth in (part.start, part.stop))
    data = bytearray(path.read_bytes())
    data[start:end] = bytes(255 - byte for byte in data[start:end])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("fps", [None, 8])
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".avi", "mpeg4"), (".mov", "mjpeg")])
def test_a_damaged_frame_is_refused_by_its_number(
    suffix: str, codec: str, fps: int | None, tmp_path: Path
) -> None:
    path = make_video(tmp_path / f"a{suffix}", smooth_frames(12, height=96, width=128), codec=codec)
    reason = refusal(path, lambda: read_video(damage(path, 6, slice(5, 8)), fps=fps))
    assert re.fullmatch(r"frame \d+ is damaged( \(.*\))?\.", reason)


def joined(first: np.ndarray, second: np.ndarray, path: Path) -> Path:
    """A transport stream may be joined from two by joining the bytes."""
    parts = [make_video(path.with_name(f"{k}.ts"), part) for k, part in enumerate((first, second))]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_a_change_of_size_is_refused(tmp_path: Path) -> None:
    path = joined(numbered_frames(5), numbered_frames(5, height=64), tmp_path / "a.ts")
    assert "size changes at frame 5" in refusal(path, lambda: read_video(path))


def test_time_stamps_that_run_back_are_refused(tmp_path: Path) -> None:
    path = joined(numbered_frames(5), numbered_frames(5), tmp_path / "a.ts")
    assert "time stamps do not grow at frame 5" in refusal(path, lambda: read_video(path))


@pytest.mark.parametrize("fps", [0, -1, float("nan"), 1e9])
def test_a_rate_that_is_none_is_refused(fps: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fps must be above 0"):
        VideoReader(tmp_path / "a.mp4", fps=fps)


@pytest.mark.parametrize("start", [-0.1, float("nan"), float("inf")])
def test_a_start_that_is_no_time_is_refused(start: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="start must be"):
        VideoReader(tmp_path / "a.mp4", start=start)


@pytest.mark.parametrize("use", [lambda path: VideoReader(path), lambda path: VideoWriter(path, 25)])
def test_without_pyav_the_error_says_what_to_install(
    use: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_io, "is_av_available", lambda: False)
    with pytest.raises(ImportError, match="pip install av"):
        use(tmp_path / "a.mp4")


# Writing


@pytest.mark.parametrize("count", [1, 7, 16, 17, 33])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif"])
def test_as_many_frames_are_read_as_were_written(suffix: str, count: int, tmp_path: Path) -> None:
    write_video(tmp_path / f"a{suffix}", numbered_frames(count), 25)
    frames, fps = read_video(tmp_path / f"a{suffix}")
    assert numbers(frames) == list(range(count)) and fps == 25


@pytest.mark.parametrize("fps", [NTSC, Fraction(25, 2), Fraction(2160, 77), 29.97, 120])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".webm"])
def test_the_rate_survives_exactly(suffix: str, fps: Fraction | float, tmp_path: Path) -> None:
    write_video(tmp_path / f"a{suffix}", numbered_frames(20), fps)
    assert read_video(tmp_path / f"a{suffix}")[1] == Fraction(fps).limit_denominator(1000000)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm"])
def test_colours_survive_writing_and_reading(suffix: str, tmp_path: Path) -> None:
    frames = smooth_frames(5)
    with VideoWriter(tmp_path / f"a{suffix}", 25, crf=4) as writer:
        writer.write(frames)
    error = read_video(tmp_path / f"a{suffix}")[0] - frames.astype(float)
    assert np.abs(error).mean() < 1.5 and np.abs(error.mean(axis=(0, 1, 2))).max() < 0.4


def test_a_gif_has_a_palette_for_each_frame(tmp_path: Path) -> None:
    frames = np.concatenate([smooth_frames(2), smooth_frames(2)[..., ::-1]])
    write_video(tmp_path / "a.gif", frames, 25)
    assert np.abs(read_video(tmp_path / "a.gif")[0] - frames.astype(float)).mean() < 6


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (1, 1)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_odd_sizes_lose_no_row_and_no_column(suffix: str, size: tuple[int, int], tmp_path: Path) -> None:
    frames = smooth_frames(3, *size)
    write_video(tmp_path / f"a{suffix}", frames, 25)
    read, _ = read_video(tmp_path / f"a{suffix}")
    assert read.shape == frames.shape and np.abs(read[:, -1, -1] - frames[:, -1, -1].astype(float)).max() < 25


def test_an_mp4_says_its_colours_and_starts_to_play_before_it_is_loaded(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", smooth_frames(3), 25)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as container:
        (codec,) = (stream.codec_context for stream in container.streams.video)
        assert (codec.name, codec.pix_fmt, codec.colorspace, codec.color_range) == ("h264", "yuv420p", 1, 1)


def test_an_avi_has_no_frames_out_of_order(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", smooth_frames(20), 25)
    with av.open(str(tmp_path / "a.avi")) as container:
        assert not container.streams.video[0].codec_context.has_b_frames


def test_numpy_and_torch_one_frame_or_many_are_written(tmp_path: Path) -> None:
    frames = numbered_frames(5)
    with VideoWriter(tmp_path / "a.mp4", 25) as writer:
        writer.write(frames[0])
        writer.write(torch.from_numpy(frames[1].copy()))
        writer.write(frames[2:4])
        writer.write(torch.from_numpy(frames[4:].copy()))
        assert writer.num_frames == 5
    assert numbers(read_video(tmp_path / "a.mp4")[0]) == list(range(5))


def test_frames_of_a_generator_are_written(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", (frame for frame in numbered_frames(5)), 25)
    assert numbers(read_video(tmp_path / "a.mp4")[0]) == list(range(5))


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 48, 64, 3), np.float32),
        np.zeros((48, 64), np.uint8),
        np.zeros((3, 48, 64), np.uint8),
        np.zeros((0, 48, 64, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(frames: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 25) as writer:
        assert "must be uint8" in refusal(path, lambda: writer.write(frames))
        writer.write(numbered_frames(1))


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    frames = [*numbered_frames(2), *numbered_frames(1, height=64)]
    assert "frame 2 is 64 x 64, not 48 x 64" in refusal(
        tmp_path / "a.mp4", lambda: write_video(tmp_path / "a.mp4", frames, 25)
    )


def test_a_video_of_no_frames_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    assert "no frame" in refusal(tmp_path / "a.mp4", lambda: write_video(tmp_path / "a.mp4", [], 25))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.txt", "a", "a.mpeg"])
def test_an_unknown_suffix_is_refused(name: str, tmp_path: Path) -> None:
    assert ".mp4" in refusal(tmp_path / name, lambda: VideoWriter(tmp_path / name, 25))


def test_a_gif_too_fast_for_players_is_refused(tmp_path: Path) -> None:
    assert "at most 50" in refusal(tmp_path / "a.gif", lambda: VideoWriter(tmp_path / "a.gif", 60))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.mp4"
    assert f"({path.parent})" in refusal(path, lambda: write_video(path, numbered_frames(1), 25))


@pytest.mark.parametrize("make_target", [Path.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_plain_file_is_not_overwritten(
    make_target: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    make_target(path)
    assert "not a plain file" in refusal(path, lambda: write_video(path, numbered_frames(1), 25))


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_video_leaves_the_old_file_alone(
    suffix: str, error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")

    def frames() -> Iterator[np.ndarray]:
        yield from noise(5)
        raise error

    with pytest.raises(error):
        write_video(path, frames(), 25)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_nothing_is_there_until_the_video_is_whole(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 25) as writer:
        writer.write(noise(5))
        assert not (tmp_path / "a.mp4").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


@pytest.fixture
def files_end_at_20_kilobytes() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("files_end_at_20_kilobytes")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm", ".gif"])
def test_a_video_that_does_not_fit_is_refused_and_leaves_no_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    assert "too large" in refusal(path, lambda: write_video(path, noise(30), 25))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.mp4"
    monkeypatch.setattr(VideoWriter, "_write_one", full)
    assert "No space left" in refusal(path, lambda: write_video(path, numbered_frames(1), 25))


# atomic_path


def test_a_file_written_aside_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with atomic_path(tmp_path / "a") as aside:
        aside.write_text("new")
        assert aside.parent == tmp_path and (tmp_path / "a").read_text() == "old"
    assert (tmp_path / "a").read_text() == "new" and list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_file_written_aside_vanishes_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a") as aside:
        aside.write_text("new")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_writing_aside_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match="no such folder"), atomic_path(tmp_path / "file" / "a"):
        pass


# Real files

ODD_CLIPS = {
    "bad_container_name.mp4": (150, 270, 480), "earth_b.avi": (150, 270, 480), "elf.gif": (24, 86, 128),
    "h264_10bit.mp4": (30, 200, 200), "odd_251x177_yuv444.mp4": (40, 177, 251),
    "one_frame.mp4": (1, 256, 384), "rotated90.mov": (3, 568, 320), "vfr_90000tb.mp4": (25, 720, 1280),
}  # fmt: skip


@pytest.mark.clips
@pytest.mark.parametrize("name", ODD_CLIPS)
def test_an_odd_file_is_read_to_its_end(name: str, clips_folder: Path) -> None:
    with VideoReader(clips_folder / "odd_clips" / name) as reader:
        shapes = [frame.shape for frame in reader]
    count, height, width = ODD_CLIPS[name]
    assert shapes == [(height, width, 3)] * count


@pytest.mark.clips
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("corrupt_decord.mp4", "frame 28 is damaged"),
        ("truncated_faststart.mp4", "promises 240 frames, but 83"),
    ],
)
def test_an_odd_file_that_is_damaged_is_refused(name: str, reason: str, clips_folder: Path) -> None:
    path = clips_folder / "odd_clips" / name
    assert reason in refusal(path, lambda: read_video(path))


@pytest.mark.clips
def test_every_real_clip_has_the_frames_and_the_rate_it_was_listed_with(clips_folder: Path) -> None:
    lines = (clips_folder / "clips" / "CLIPS.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ") and ".mp4 |" in line]
    listed = {row[0]: (int(row[7]), Fraction(row[6])) for row in rows}

    def found(name: str) -> tuple[int, Fraction]:
        with VideoReader(clips_folder / "clips" / name) as reader:
            return sum(1 for _ in reader), reader.fps

    with ThreadPoolExecutor(2) as pool:
        assert dict(zip(listed, pool.map(found, listed), strict=True)) == listed
    assert len(listed) == len(list((clips_folder / "clips").glob("*.mp4")))


def test_the_bytes_of_a_file_are_read_like_the_file(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", numbered_frames(20))
    for options in ({}, {"fps": 8, "start": 0.3}):
        (wanted, rate), (got, same_rate) = (read_video(x, **options) for x in (path, path.read_bytes()))
        assert rate == same_rate and (got == wanted).all()


def test_bytes_that_are_no_video_are_refused_without_a_name() -> None:
    with pytest.raises(VideoError, match="video in memory: is empty, damaged"):
        read_video(b"not a video")
