"""The shard maker: labels, even tars that any reader of WebDataset reads, refusals, and going on."""

import csv
import json
import os
import shutil
import sys
import tarfile
from itertools import islice
from pathlib import Path

import pytest
from datasets import Video, load_dataset
from filelock import FileLock
from video_maker import make_video, numbered_frames, numbers

from vidtwin.modeling_vidtwin.video_io import read_video
from vidtwin.training import shards
from vidtwin.training.shards import REPORT, Clip, ShardSettings, find_sources, make_shards, pack


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """9 videos in two folders, video n of n + 2 frames; a file that is no video; one of another suffix."""
    root = tmp_path_factory.mktemp("videos")
    for number in range(9):
        folder = root / ("cats" if number % 3 else "dogs") / "deep"
        folder.mkdir(parents=True, exist_ok=True)
        make_video(folder / f"clip {number}.mp4", numbered_frames(number + 2))
    (root / "cats" / "broken.mp4").write_bytes(b"no video")
    (root / "notes.txt").write_text("nothing")
    return root


@pytest.fixture(scope="module")
def made(videos, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("made") / "shards"
    make(videos, target)
    return target


def make(source: Path, target: Path, **settings) -> tuple[dict, list[str]]:
    remarks: list[str] = []
    return make_shards(source, target, ShardSettings(**settings), 1, remarks.append), remarks


def members(folder: Path) -> dict[str, bytes]:
    found = {}
    for file in sorted(folder.glob("*.tar")):
        with tarfile.open(file) as tar:
            found.update({member.name: tar.extractfile(member).read() for member in tar})
    return found


def fields(folder: Path) -> dict[str, dict]:
    return {
        json.loads(data)["source"]: json.loads(data)
        for name, data in members(folder).items()
        if name.endswith(".json")
    }


def test_every_readable_video_is_in_a_tar_with_its_label(made):
    found = fields(made)
    assert len(found) == 9
    assert (
        found["cats/deep/clip 1.mp4"]["label"] == "cats" and found["dogs/deep/clip 0.mp4"]["label"] == "dogs"
    )


def test_the_json_tells_what_the_video_is(made):
    assert fields(made)["cats/deep/clip 7.mp4"] == {
        "label": "cats", "source": "cats/deep/clip 7.mp4", "start": 0.0, "seconds": 0.36, "frames": 9,
        "fps": "25", "height": 48, "width": 64,
    }  # fmt: skip


def test_the_video_beside_a_json_is_the_one_it_names(made):
    found = members(made)
    for name, data in found.items():
        if name.endswith(".json"):
            frames, _ = read_video(found[name.replace(".json", ".mp4")])
            assert numbers(frames) == list(range(json.loads(data)["frames"]))


def test_datasets_streams_the_tars(made):
    files = sorted(str(file) for file in made.glob("*.tar"))
    data = load_dataset("webdataset", data_files={"train": files}, split="train", streaming=True)
    examples = list(data.cast_column("mp4", Video(decode=False)))
    assert {example["json"]["label"] for example in examples} == {"cats", "dogs"}
    assert sorted(len(read_video(example["mp4"]["bytes"])[0]) for example in examples) == list(range(2, 11))


def test_the_report_counts_and_names_what_was_refused(made):
    report = json.loads((made / REPORT).read_text())
    assert (report["videos"], report["made"], report["clips"]) == (10, 9, 9)
    assert report["refused"] == [
        {"file": "cats/broken.mp4", "reason": "is empty, damaged or no video FFmpeg knows."}
    ]
    assert report["ignored"] == {".txt": 1} and report["labels"] == {"cats": 6, "dogs": 3}
    assert {name: (made / name).stat().st_size for name in report["tars"]} == {
        name: tar["bytes"] for name, tar in report["tars"].items()
    }


def test_nothing_but_the_target_is_left(made):
    assert [path.name for path in made.parent.iterdir()] == ["shards"]


def clips_of(tmp_path: Path, sizes: list[int]) -> list[Clip]:
    found = []
    for number, size in enumerate(sizes):
        file = tmp_path / f"{number}.mp4"
        file.write_bytes(bytes(size))
        found.append(Clip(f"{number:03}", file, {"source": str(number)}))
    return found


@pytest.mark.parametrize(("clips", "tars"), [(3, 1), (7, 1), (8, 8), (9, 8), (40, 8), (120, 16)])
def test_tars_are_a_multiple_of_8_and_even(tmp_path, clips, tars):
    folder = tmp_path / "out"
    folder.mkdir()
    found = pack(clips_of(tmp_path, [20_000 + 50 * n for n in range(clips)]), folder, 220_000)
    assert len(found) == tars
    counts = [tar["clips"] for tar in found.values()]
    assert sum(counts) == clips and max(counts) - min(counts) <= 1
    assert max(tar["bytes"] for tar in found.values()) <= 220_000


def test_clips_larger_than_a_tar_still_fill_a_multiple_of_8(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    assert len(pack(clips_of(tmp_path, [9_000] * 21), folder, 1_000)) == 16


def test_neighbours_are_not_packed_together_and_always_alike(tmp_path):
    clips = clips_of(tmp_path, [5_000] * 40)
    packed = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        pack(clips, folder, 10**6)
        packed.append([file.read_bytes() for file in sorted(folder.iterdir())])
    assert packed[0] == packed[1]
    with tarfile.open(tmp_path / "a" / "train-00000.tar") as tar:
        names = [int(name[:3]) for name in tar.getnames()[::2]]
    assert names != sorted(names)


def test_a_csv_gives_paths_from_its_own_folder_and_labels(tmp_path, videos):
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = [["path", "label"], [videos / "dogs/deep/clip 0.mp4", "a dog"], ["missing.mp4", "nothing"]]
        csv.writer(file).writerows(rows)
    report, _ = make(tmp_path / "list.csv", tmp_path / "shards")
    assert report["labels"] == {"a dog": 1}
    assert report["refused"] == [{"file": "missing.mp4", "reason": "No such file or directory."}]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("file\na.mp4\n", "column 'path', got file"),
        ("path\n", "lists no video"),
        ("path\na.mp4\na.mp4\n", "'a.mp4' twice"),
        ("path,label\na.mp4,cat\nb.mp4,\n", "1 of 2 videos have no label, the first is b.mp4"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused(tmp_path, text, error):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=error):
        find_sources(tmp_path / "list.csv", "folder")


def test_labels_can_be_left_out(videos):
    assert {source.label for source in find_sources(videos, "none")[0]} == {None}


def test_keys_are_unique_and_without_dots(videos):
    sources, _ = find_sources(videos, "folder")
    keys = {source.key for source in sources}
    assert len(keys) == len(sources) and not any("." in key or " " in key for key in keys)


def test_a_stopped_run_goes_on_to_the_same_tars(videos, made, tmp_path, monkeypatch):
    whole = shards.encode_all

    def stopped(jobs, workers):
        yield from islice(whole(jobs, workers), 4)
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "encode_all", stopped)
    with pytest.raises(KeyboardInterrupt):
        make(videos, tmp_path / "shards")
    assert not (tmp_path / "shards").exists()
    seen = []
    monkeypatch.setattr(shards, "encode_all", lambda jobs, workers: seen.append(jobs) or whole(jobs, workers))
    _, remarks = make(videos, tmp_path / "shards")
    done = 10 - len(seen[0])
    assert done in (3, 4) and remarks == [f"goes on: {done} of 10 videos are encoded already"]
    assert members(tmp_path / "shards") == members(made)


def test_a_run_killed_while_packing_goes_on(videos, made, tmp_path, monkeypatch):
    def killed(file, clips):
        file.write_bytes(b"half a tar")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shards, "_write_tar", killed)
        make(videos, tmp_path / "shards")
    assert not (tmp_path / "shards").exists()
    make(videos, tmp_path / "shards")
    assert members(tmp_path / "shards") == members(made)


def test_a_finished_target_is_left_alone(videos, made):
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    report, remarks = make(videos, made)
    assert remarks == [f"{made} is finished; nothing to do."] and report["clips"] == 9
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before


def test_other_settings_are_refused_by_name(videos, made):
    with pytest.raises(ValueError, match=r"begun with --gop 12 \(not 24\)"):
        make(videos, made, gop=24)


def test_other_settings_are_refused_by_name_when_going_on(videos, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(shards, "pack", lambda *_: 1 / 0)
        make(videos, tmp_path / "shards")
    with pytest.raises(ValueError, match=r"begun with --short-side 256 \(not 32\)"):
        make(videos, tmp_path / "shards", short_side=32)


def test_videos_that_changed_since_are_refused(made, tmp_path):
    make_video(tmp_path / "other.mp4", numbered_frames(3))
    with pytest.raises(ValueError, match="not those of SRC now"):
        make(tmp_path, made)


def test_a_target_with_other_things_in_it_is_refused(videos, tmp_path):
    (tmp_path / "precious.txt").write_text("keep")
    with pytest.raises(ValueError, match="not empty"):
        make(videos, tmp_path)


def test_a_target_inside_the_source_is_refused(videos):
    with pytest.raises(ValueError, match="lies in SRC"):
        make(videos, videos / "shards")


def test_two_runs_at_once_are_refused(videos, tmp_path):
    (tmp_path / "shards.making").mkdir()
    with FileLock(tmp_path / "shards.making" / "lock"), pytest.raises(ValueError, match="another run"):
        make(videos, tmp_path / "shards")


def test_nothing_usable_is_an_error_with_the_reasons_in_a_file(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"none of 1 videos can be used; .*report.json says why"):
        make(tmp_path / "src", tmp_path / "dst")
    assert not (tmp_path / "dst").exists()
    assert "no video FFmpeg knows" in (tmp_path / "dst.making" / REPORT).read_text()


@pytest.mark.parametrize("setting", [{"short_side": 8}, {"gop": 0}, {"shard_mb": 0}, {"max_seconds": -1}])
def test_settings_that_cannot_be_meant_are_refused_by_name(setting):
    with pytest.raises(ValueError, match="--" + next(iter(setting)).replace("_", "-")):
        ShardSettings(**setting)


@pytest.mark.clips
def test_every_odd_video_is_made_or_refused_with_a_reason(clips_folder, tmp_path):
    report, _ = make(clips_folder / "odd_clips", tmp_path / "shards")
    refused = {each["file"]: each["reason"] for each in report["refused"]}
    assert set(refused) == {"corrupt_decord.mp4", "truncated_faststart.mp4"}
    assert all(reason and "\n" not in reason for reason in refused.values())
    assert report["made"] == report["videos"] - 2 == 8


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_names_that_are_no_utf_8_stay_apart(tmp_path):
    video = make_video(tmp_path / "v.mp4", numbered_frames(3)).read_bytes()
    (tmp_path / "src").mkdir()
    for name in (b"\xff.mp4", b"\xfe.mp4"):
        Path(os.fsdecode(os.fsencode(tmp_path / "src") + b"/" + name)).write_bytes(video)
    report, _ = make(tmp_path / "src", tmp_path / "out")
    assert report["clips"] == 2 and len(members(tmp_path / "out")) == 4


def test_a_csv_may_have_spaces_around_its_cells(videos, tmp_path):
    name = next(videos.rglob("clip 1.mp4"))
    (tmp_path / "list.csv").write_text(f'path, label\n"{name}", cat\n')
    sources, _ = find_sources(tmp_path / "list.csv", "folder")
    assert [(source.path, source.label) for source in sources] == [(name, "cat")]


def test_a_csv_that_lists_a_video_by_two_names_is_refused(videos, tmp_path):
    name = next(videos.rglob("clip 1.mp4"))
    (tmp_path / "list.csv").write_text(f"path\n{name}\n{name.parent}/../deep/{name.name}\n")
    with pytest.raises(ValueError, match="twice"):
        find_sources(tmp_path / "list.csv", "none")


def test_a_csv_that_is_no_text_is_refused_by_name(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(ValueError, match=r"list\.csv is no csv in UTF-8"):
        find_sources(tmp_path / "list.csv", "none")


def test_a_video_that_changed_is_encoded_again(videos, tmp_path, monkeypatch):
    source = shutil.copytree(videos, tmp_path / "src")
    monkeypatch.setattr(shards, "_publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make(source, tmp_path / "out")
    monkeypatch.undo()
    make_video(source / "dogs" / "deep" / "clip 0.mp4", numbered_frames(7))
    report, remarks = make(source, tmp_path / "out")
    assert remarks == ["goes on: 8 of 10 videos are encoded already"]
    assert fields(tmp_path / "out")["dogs/deep/clip 0.mp4"]["frames"] == 7


def test_a_place_begun_from_another_source_is_refused(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make(videos, tmp_path / "out")
    other = shutil.copytree(videos, tmp_path / "other")
    with pytest.raises(ValueError, match="was begun from"):
        make(other, tmp_path / "out")
