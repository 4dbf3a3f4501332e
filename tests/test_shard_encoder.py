"""The encoder of shards: every frame at its own time, small, quickly sought, and nothing half done."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_maker import CLOCKWISE, make_video, numbered_frames, numbers, smooth_frames, with_sound

from vidtwin.modeling_vidtwin.video_io import VideoReader, read_video
from vidtwin.training import shard_encoder
from vidtwin.training.shard_encoder import EncodingForm, encode_all, encode_video, small_size

FORM = EncodingForm(short_side=32, gop=12, max_seconds=60)


def encoded(video: Path, form: EncodingForm = FORM) -> tuple[list[dict], list[Path]]:
    """A video's pieces and their files; the video must be readable."""
    _, pieces, reason = encode_video(("key", video, video.parent, form))
    assert reason == ""
    return pieces, [video.parent / f"{piece['key']}.mp4" for piece in pieces]


def stamps(video: Path) -> list[Fraction]:
    with av.open(str(video)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("picture", "small"),
    [
        ((720, 1280), (256, 456)),
        ((1280, 720), (456, 256)),
        ((177, 251), (176, 250)),
        ((256, 256), (256, 256)),
        ((2, 3), (2, 2)),
    ],
)
def test_sides_are_even_and_never_larger(picture, small):
    assert small_size(*picture, short_side=256) == small


def test_an_odd_short_side_is_rounded_down():
    assert small_size(100, 200, short_side=33) == (32, 64)


def test_frames_at_irregular_times_keep_them(tmp_path):
    times = [0, 0.04, 0.2, 0.21, 0.5, 0.9]
    video = make_video(tmp_path / "video.mkv", numbered_frames(6), times=times)
    (piece,), (file,) = encoded(video)
    assert stamps(file) == stamps(video)
    assert piece["frames"] == 6


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30000, 1001), 25])
def test_a_constant_rate_stays_exact(tmp_path, fps):
    video = make_video(tmp_path / "video.mp4", numbered_frames(20), fps=fps)
    (piece,), (file,) = encoded(video)
    assert piece["fps"] == str(Fraction(fps))
    assert piece["seconds"] == pytest.approx(20 / fps, abs=1e-5)
    assert numbers(read_video(file)[0]) == list(range(20))


def test_the_last_frame_is_shown_as_long_as_before(tmp_path):
    video = make_video(tmp_path / "video.mkv", numbered_frames(3), times=[0, 0.1, 0.5])
    (piece,), _ = encoded(video)
    with VideoReader(video) as reader:
        assert piece["seconds"] == pytest.approx(reader.info.duration, abs=2e-3)


def test_a_turned_video_is_stored_upright(tmp_path):
    video = make_video(tmp_path / "video.mp4", smooth_frames(3, 48, 64), matrix=CLOCKWISE)
    (piece,), (file,) = encoded(video)
    assert (piece["height"], piece["width"]) == (42, 32)
    with VideoReader(file) as reader:
        assert reader.info.rotation == 0


def test_colours_stay(tmp_path):
    frames = smooth_frames(4, 32, 44)
    _, (file,) = encoded(make_video(tmp_path / "video.mp4", frames))
    original, small = read_video(tmp_path / "video.mp4")[0], read_video(file)[0]
    assert np.abs(original.astype(int) - small).mean() < 2


def test_key_frames_come_every_gop_and_no_frame_waits_for_a_later_one(tmp_path):
    _, (file,) = encoded(make_video(tmp_path / "video.mp4", numbered_frames(30)), EncodingForm(32, 5, 60))
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
    assert max(np.diff([*keys, 30])) <= 5
    assert all(packet.pts == packet.dts for packet in packets)


def test_sound_is_left_out(tmp_path):
    _, (file,) = encoded(with_sound(tmp_path / "video.mov", numbered_frames(5)))
    with av.open(str(file)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("max_seconds", [0.3, 0.5, 0.7])
def test_pieces_cover_a_long_video_evenly(tmp_path, max_seconds):
    video = make_video(tmp_path / "video.mp4", numbered_frames(40), fps=25)
    pieces, files = encoded(video, EncodingForm(32, 12, max_seconds))
    assert [number for file in files for number in numbers(read_video(file)[0])] == list(range(40))
    lengths = [piece["frames"] for piece in pieces]
    assert max(lengths) / 25 <= max_seconds and min(lengths) >= max(lengths) / 2
    starts = np.cumsum([0, *lengths[:-1]]) / 25
    assert [piece["start"] for piece in pieces] == pytest.approx(list(starts))


def test_a_damaged_video_leaves_a_reason_and_no_file(tmp_path):
    video = make_video(tmp_path / "video.mp4", smooth_frames(40), fps=25)
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 4) + whole[-len(whole) // 4 :])
    folder = tmp_path / "out"
    folder.mkdir()
    _, pieces, reason = encode_video(("key", video, folder, EncodingForm(32, 12, 0.3)))
    assert pieces == [] and reason and "\n" not in reason and str(tmp_path) not in reason
    assert list(folder.iterdir()) == []


def test_a_disk_that_cannot_be_written_is_not_blamed_on_the_video(tmp_path):
    video = make_video(tmp_path / "video.mp4", numbered_frames(3))
    with pytest.raises(OSError):
        encode_video(("key", video, tmp_path / "missing", FORM))


@pytest.mark.slow
def test_processes_give_what_one_gives(tmp_path):
    videos = [make_video(tmp_path / f"{n}.mp4", numbered_frames(3 + n)) for n in range(2)]
    found = {}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        jobs = [(video.stem, video, folder, FORM) for video in videos]
        results = sorted(encode_all(jobs, workers))
        found[workers] = [(folder / f"{key}-0000.mp4").read_bytes() for key, _, _ in results], results
    assert found[1] == found[2]


def test_an_encoder_told_to_stop_does(tmp_path, monkeypatch):
    video = make_video(tmp_path / "video.mp4", numbered_frames(3))

    class Told:
        def is_set(self) -> bool:
            return True

    monkeypatch.setattr(shard_encoder, "_stop", Told())
    with pytest.raises(KeyboardInterrupt):
        encode_video(("key", video, tmp_path, FORM))
