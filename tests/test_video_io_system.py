"""video_io and the system it runs on: pipes, rights, forked processes."""

import errno
import gc
import multiprocessing
import os
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest
from video_maker import smooth_frames

from vidtwin.modeling_vidtwin.video_io import VideoError, VideoReader, VideoWriter, write_video


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match="pipe"):
        VideoReader(tmp_path / "a.mp4")


def test_an_unwritable_folder_is_noticed_before_the_first_frame(tmp_path: Path, monkeypatch) -> None:
    def refused(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refused)  # root may write everywhere
    with pytest.raises(VideoError, match="Permission denied"), VideoWriter(tmp_path / "a.mp4", 25):
        pytest.fail("the frames would be computed first")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_closed_reader_leaves_nothing_that_hangs_a_forked_process(tmp_path: Path) -> None:
    """A DataLoader's worker, say: FFmpeg's threads, of which it knows but which it has not, never answer."""
    write_video(tmp_path / "a.mp4", smooth_frames(20), 25)
    gc.collect()
    gc.disable()
    try:
        for frames in (1, 20):
            with VideoReader(tmp_path / "a.mp4") as reader:
                for _ in islice(reader, frames):
                    pass
            del reader
        worker = multiprocessing.get_context("fork").Process(target=gc.collect)
        worker.start()
        worker.join(20)
        worker.kill()
        assert worker.exitcode == 0
    finally:
        gc.enable()


def test_a_frame_rate_of_zero_is_a_damaged_file(tmp_path: Path, monkeypatch) -> None:
    write_video(tmp_path / "a.mp4", smooth_frames(3), 25)
    monkeypatch.setattr(VideoReader, "_measure", lambda reader: (Fraction(0), None, None))
    with pytest.raises(VideoError, match="is damaged"):
        VideoReader(tmp_path / "a.mp4")
