"""Files that were cut short are not whole, wherever they were cut."""

from pathlib import Path

import numpy as np
import pytest
from video_maker import make_video

from vidtwin.modeling_vidtwin.video_io import VideoError, VideoReader, write_video
from vidtwin.modeling_vidtwin.whole_files import avi_is_whole, gif_is_whole


def frames(number: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (number, 32, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole")
    write_video(path / "a.gif", frames(10), 10)
    write_video(path / "a.avi", frames(), 25)
    make_video(path / "mjpeg.avi", frames(), codec="mjpeg")
    return path


@pytest.mark.parametrize("name", ["a.avi", "mjpeg.avi"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.97, 0.999])
def test_an_avi_cut_anywhere_is_refused(folder: Path, tmp_path: Path, name: str, share: float) -> None:
    data = (folder / name).read_bytes()
    assert avi_is_whole(data) and avi_is_whole(str(folder / name))
    short = data[: int(len(data) * share)]
    assert not avi_is_whole(short)
    (tmp_path / name).write_bytes(short)
    with pytest.raises(VideoError), VideoReader(tmp_path / name) as reader:
        for _ in reader:
            pass


def test_an_avi_without_a_length_counts_as_whole(folder: Path) -> None:
    data = bytearray((folder / "a.avi").read_bytes())
    data[4:8] = bytes(4)
    assert avi_is_whole(bytes(data))


def test_an_avi_in_several_parts_is_whole_if_the_last_one_is() -> None:
    part = b"RIFF" + (6).to_bytes(4, "little") + b"AVIX12"
    assert avi_is_whole(part + part) and not avi_is_whole(part + part[:-1])
    assert avi_is_whole(part + b"and something else")


def test_a_gif_is_whole_if_it_ends_as_one(folder: Path) -> None:
    data = (folder / "a.gif").read_bytes()
    assert gif_is_whole(data) and gif_is_whole(data + b"\0\0") and gif_is_whole(str(folder / "a.gif"))
    assert not gif_is_whole(data[:-1])
