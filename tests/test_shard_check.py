"""The check of shards: what is broken is found and named, what is not is counted."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from video_maker import make_video, numbered_frames, write_tar

from vidtwin.training.shard_check import (
    check_shards,
    contact_sheet,
    speed_of_folder,
    speed_of_shards,
)
from vidtwin.training.shards import ShardSettings, make_shards


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    for number in range(8):
        folder = root / ("cats" if number % 4 else "dogs")
        folder.mkdir(exist_ok=True)
        make_video(folder / f"{number}.mp4", numbered_frames(18 if number else 3))
    return root


@pytest.fixture(scope="module")
def made(videos, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("made") / "shards"
    make_shards(videos, target, ShardSettings(), 1, lambda _: None)
    return target


@pytest.fixture
def shards(made, tmp_path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(made, tmp_path / "shards"))


def test_good_shards_have_nothing_broken(made):
    check = check_shards(made)
    assert check.broken == [] and check.decoded == len(check.members) == 8


def test_the_lines_tell_what_is_there(made):
    lines = "\n".join(check_shards(made).lines())
    assert "8 tars (a multiple of 8), 8 clips, 0.001 hours" in lines
    assert "clips in a tar: 1 to 1" in lines
    assert "labels: cats (6), dogs (2)" in lines and "pictures: 64x48 (8)" in lines


def test_a_folder_without_tars_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no folder with tars"):
        check_shards(tmp_path)


def test_a_damaged_video_is_named(shards):
    tar = shards / "train-00003.tar"
    member = next(member for member in check_shards(shards).members if member.tar == tar)
    data = bytearray(tar.read_bytes())
    data[member.offset : member.offset + member.size] = bytes(member.size)
    tar.write_bytes(data)
    assert check_shards(shards).broken == [
        f"train-00003.tar: {member.key}.mp4: is empty, damaged or no video FFmpeg knows."
    ]


def test_a_tar_cut_short_is_named(shards):
    tar = shards / "train-00003.tar"
    tar.write_bytes(tar.read_bytes()[:1000])
    broken = "\n".join(check_shards(shards).broken)
    assert "train-00003.tar: unexpected end of data" in broken
    assert "train-00003.tar: has 1000 bytes; report.json says 10240" in broken


def test_a_missing_tar_is_named(shards):
    (shards / "train-00003.tar").unlink()
    assert check_shards(shards).broken == ["train-00003.tar: is missing; report.json says 10240 bytes"]


def test_a_tar_that_nobody_made_is_named(shards):
    shutil.copy(shards / "train-00003.tar", shards / "train-00008.tar")
    assert check_shards(shards).broken == ["train-00008.tar: report.json does not know it"]


def test_members_that_miss_their_other_half_are_named(tmp_path):
    write_tar(tmp_path / "a.tar", {"one.mp4": b"", "two.json": b"{}", "three.mp4": b"", "three.json": b"[]"})
    assert check_shards(tmp_path).broken == [
        "a.tar: two.json has no video beside it",
        "a.tar: one.mp4 has no json object beside it",
        "a.tar: three.mp4 has no json object beside it",
    ]


def test_a_video_that_is_not_what_its_json_says_is_named(tmp_path):
    video = make_video(tmp_path / "video.mp4", numbered_frames(3)).read_bytes()
    fields = {"frames": 4, "height": 48, "width": 64}
    write_tar(tmp_path / "a.tar", {"one.mp4": video, "one.json": json.dumps(fields).encode()})
    assert check_shards(tmp_path).broken == ["a.tar: one.mp4: frames 3, but its json says 4"]


def test_a_sample_is_decoded_unless_all_is_asked_for(tmp_path):
    video = make_video(tmp_path / "video.mp4", numbered_frames(1)).read_bytes()
    members = {f"{n}.{kind}": data for n in range(70) for kind, data in (("mp4", video), ("json", b"{}"))}
    write_tar(tmp_path / "a.tar", members)
    assert check_shards(tmp_path).decoded == 64
    assert check_shards(tmp_path, decode_all=True).decoded == 70


def test_speed_counts_clips_and_the_videos_too_short_for_one(made, videos):
    for speed in (speed_of_shards(check_shards(made).members), speed_of_folder(videos)):
        assert (speed.clips, speed.refused) == (7, 1) and speed.clips_per_second > 0
        assert "7 measured; 1 too short or broken" in speed.line("here")


def test_the_contact_sheet_shows_each_clip_whole_under_its_middle_frame(made, tmp_path):
    members = check_shards(made).members
    assert contact_sheet(members, tmp_path / "sheet.png") == 8
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 * 128, 144)
        long_one = next(index for index, member in enumerate(members) if member.fields["frames"] == 18)
        red, green, blue = sheet.getpixel((128 * long_one + 64, 64))
        assert red == green == blue and abs(red - (20 + 5 * 9)) <= 6
        assert sheet.getpixel((128 * long_one + 64, 4)) == (0, 0, 0)


def test_a_damaged_header_in_the_middle_is_found(shards):
    """tarfile stops there as if the file ended."""
    tar = sorted(shards.glob("*.tar"))[0]
    data = bytearray(tar.read_bytes())
    second = data.index(b".json") // 512 * 512
    data[second + 10] ^= 1
    tar.write_bytes(data)
    (shards / "report.json").unlink()
    assert any(line.startswith(f"{tar.name}: is damaged after") for line in check_shards(shards).broken)


def test_fewer_clips_than_the_report_says_are_told(shards):
    tar = sorted(shards.glob("*.tar"))[0]
    report = json.loads((shards / "report.json").read_text())
    report["tars"][tar.name]["clips"] += 1
    (shards / "report.json").write_text(json.dumps(report))
    assert f"{tar.name}: 1 clips; report.json says 2" in check_shards(shards).broken


def test_names_with_a_dot_and_a_slash_are_members_like_others(videos, tmp_path):
    video = next(videos.rglob("1.mp4")).read_bytes()
    write_tar(tmp_path / "a.tar", {"./k.mp4": video, "./k.json": b"{}"})
    check = check_shards(tmp_path)
    assert check.broken == [] and [member.key for member in check.members] == ["k"]


def test_a_tar_without_videos_is_told(tmp_path):
    write_tar(tmp_path / "a.tar", {})
    assert "a.tar: holds no video" in check_shards(tmp_path).broken
