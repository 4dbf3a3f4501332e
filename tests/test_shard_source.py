"""Where shards are found, and what is told when they are not."""

import functools
import http.server
import io
import tarfile
import threading

import pytest

from vidtwin.training.shard_source import open_shards, shard_files


@pytest.fixture
def folder(tmp_path):
    for number in range(2):
        with tarfile.open(tmp_path / f"train-{number}.tar", "w") as tar:
            for key in "ab":
                member = tarfile.TarInfo(f"{number}{key}.mp4")
                member.size = 3
                tar.addfile(member, io.BytesIO(b"mp4"))
    return tmp_path


def read(files, **options):
    stream = open_shards(files, **{"column": "mp4", "seed": 0, "rank": 0, "world_size": 1, **options})
    return [example["__key__"] for example in stream]


def test_a_folder_a_file_a_pattern_and_a_list_name_tars(folder):
    both = [str(folder / "train-0.tar"), str(folder / "train-1.tar")]
    assert shard_files(str(folder)) == shard_files(str(folder / "*.tar")) == shard_files(both) == both
    assert shard_files(both[1]) == both[1:]


def test_addresses_are_left_alone():
    assert shard_files("hf://datasets/me/clips/*.tar") == ["hf://datasets/me/clips/*.tar"]


@pytest.mark.parametrize("name", ["nothing", "*.zip", "empty"])
def test_what_is_missing_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is no tar and no folder with tars"):
        shard_files(str(tmp_path / name))


def test_videos_come_undecoded(folder):
    stream = open_shards(shard_files(str(folder)), "mp4", seed=0, rank=0, world_size=1)
    assert next(iter(stream))["mp4"]["bytes"] == b"mp4"


def test_every_rank_opens_its_own_shards(folder):
    files = shard_files(str(folder))
    found = [read(files, rank=rank, world_size=2) for rank in (0, 1)]
    assert sorted(map(sorted, found)) == [["0a", "0b"], ["1a", "1b"]]


def test_a_missing_column_names_those_there_are(folder):
    with pytest.raises(ValueError, match="data.column: the shards have no 'webm', but .*mp4"):
        read(shard_files(str(folder)), column="webm")


def test_a_missing_file_is_told(folder):
    with pytest.raises(ValueError, match="data.shards: .*gone.tar"):
        read([str(folder / "gone.tar")])


def test_shards_are_streamed_over_http(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            assert sorted(read([f"{address}/train-{number}.tar" for number in range(2)])) == [
                "0a", "0b", "1a", "1b"
            ]  # fmt: skip
            with pytest.raises(ValueError, match="data.shards: .*gone.tar"):
                read([f"{address}/gone.tar"])
        finally:
            server.shutdown()
