"""Videos of an evaluation come from folders, lists and shards, each by a name of its own."""

from pathlib import Path

import pytest
from video_maker import make_video, numbered_frames

from vidtwin.evaluation.sources import videos_of
from vidtwin.training.shards import ShardSettings, make_shards


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("videos")
    (path / "cats").mkdir()
    for name in ("b.mp4", "cats/a.mp4", "cats/b.mp4"):
        make_video(path / name, numbered_frames(3))
    (path / "notes.txt").write_text("no video")
    return path


def test_a_folder_gives_all_its_videos_by_their_paths(folder):
    videos = list(videos_of(str(folder)))
    assert [video.name for video in videos] == ["b.mp4", "cats/a.mp4", "cats/b.mp4"]
    assert [video.read() for video in videos] == [folder / video.name for video in videos]


def test_a_csv_gives_the_videos_it_lists(folder):
    (folder / "some.csv").write_text("path\ncats/b.mp4\nb.mp4\n")
    videos = list(videos_of(str(folder / "some.csv")))
    assert [(video.name, video.read()) for video in videos] == [
        ("cats/b.mp4", folder / "cats/b.mp4"),
        ("b.mp4", folder / "b.mp4"),
    ]


def test_shards_give_the_bytes_of_their_videos(folder, tmp_path):
    make_shards(folder, tmp_path / "shards", ShardSettings("none"), 1, lambda _: None)
    videos = list(videos_of(str(tmp_path / "shards")))
    assert len({video.name for video in videos}) == 3
    assert all(b"ftyp" in video.read()[:16] for video in videos)
    (tar, *_) = sorted((tmp_path / "shards").glob("*.tar"))
    assert [video.name for video in videos_of(str(tar))] == [
        video.name for video in videos if video.name.startswith(tar.name)
    ]


def test_damaged_shards_are_refused(folder, tmp_path):
    make_shards(folder, tmp_path / "shards", ShardSettings("none"), 1, lambda _: None)
    (tar, *_) = sorted((tmp_path / "shards").glob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"train-00000\.tar: .*shards check"):
        list(videos_of(str(tmp_path / "shards")))


@pytest.mark.parametrize("name", ["nowhere", "notes.txt"])
def test_other_sources_are_refused(folder, name):
    with pytest.raises(ValueError, match="videos must come from a folder or a .csv file"):
        next(videos_of(str(folder / name)))
