"""The stream: nothing lost, nothing twice, resumed exactly, and bad videos counted instead of made up."""

import io
import json
import shutil
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch
from video_maker import make_video, numbered_frames, numbers, write_tar

from vidtwin.training.stream import ClipStream, StreamError, StreamSettings

FRAMES, SIZE = 4, 32


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    return make_video(path, numbered_frames(20)).read_bytes()


@pytest.fixture(scope="module")
def shards(tmp_path_factory, video) -> Path:
    """4 tars of 5 videos, labelled by tar and place; one of them is no video."""
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(4):
        members: dict[str, bytes] = {}
        for place in range(5):
            bad = (shard, place) == (1, 3)
            members[f"{shard}{place}.mp4"] = b"no video" if bad else video
            members[f"{shard}{place}.json"] = json.dumps({"label": f"{shard}-{place}"}).encode()
        write_tar(folder / f"train-{shard:05}.tar", members)
    return folder


def stream(shards: Path, **settings) -> ClipStream:
    options = {"label": "label", "block": 3, **settings}
    return ClipStream(StreamSettings(str(shards), **options), FRAMES, SIZE, seed=7)


def batches(loader, count: int) -> list[dict]:
    return list(islice(loader, count))


def labels(found: list[dict]) -> list[str]:
    return [label for batch in found for label in batch["label"]]


def test_an_epoch_has_every_video_once_and_counts_the_refused(shards):
    loader = stream(shards).loader(batch_size=1)
    seen = labels(batches(loader, 19))
    assert sorted(seen) == sorted(f"{s}-{p}" for s in range(4) for p in range(5) if (s, p) != (1, 3))
    assert loader.refused == {"is empty, damaged or no video FFmpeg knows.": 1}


def test_epochs_have_different_orders_and_different_cuts(shards):
    found = batches(stream(shards).loader(batch_size=1), 38)
    first, second = labels(found[:19]), labels(found[19:])
    assert first != second and sorted(first) == sorted(second)
    same_video = {batch["label"][0]: batch["pixel_values_videos"] for batch in found[:19]}
    assert any(
        not torch.equal(batch["pixel_values_videos"], same_video[batch["label"][0]]) for batch in found[19:]
    )


@pytest.mark.parametrize("world_size", [2, 4, 3])
def test_ranks_share_no_video_and_cover_all(shards, world_size):
    """Three ranks do not divide four shards: then each reads all and keeps its own."""
    counts: Counter[str] = Counter()
    for rank in range(world_size):
        loader = stream(shards).loader(1, rank, world_size)
        iterator = iter(loader)
        while loader.state_dict()["place"]["epoch"] == 0:
            batch = next(iterator)
            if loader.state_dict()["place"]["epoch"] == 0:
                counts.update(batch["label"])
    assert set(counts.values()) == {1} and len(counts) == 19


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("taken", [1, 4, 11])
def test_a_resumed_stream_goes_on_with_the_same_clips(shards, taken, rank):
    """Within a block, across blocks and across an epoch's end; with other workers, after a trip to a file."""
    whole = stream(shards).loader(2, rank, 2)
    expected = batches(whole, taken + 6)[taken:]
    first = stream(shards).loader(2, rank, 2)
    batches(first, taken)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed = stream(shards).loader(2, rank, 2)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for ours, theirs in zip(batches(resumed, 6), expected, strict=True):
        assert ours["label"] == theirs["label"]
        assert torch.equal(ours["pixel_values_videos"], theirs["pixel_values_videos"])
    assert resumed.refused == whole.refused


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 1)])
def test_the_number_of_workers_changes_nothing(shards, before, after):
    expected = batches(stream(shards).loader(2), 10)
    first = stream(shards).loader(2, num_workers=before)
    batches(first, 4)
    resumed = stream(shards).loader(2, num_workers=after)
    resumed.load_state_dict(first.state_dict())
    for ours, theirs in zip(batches(resumed, 6), expected[4:], strict=True):
        assert torch.equal(ours["pixel_values_videos"], theirs["pixel_values_videos"])


def test_the_global_random_state_is_not_touched(shards):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    batches(stream(shards).loader(2), 3)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("fps", [8, 25])
@pytest.mark.parametrize("kind", ["plain", "variable", "turned"])
def test_the_frames_are_those_of_their_times(tmp_path, fps, kind):
    """Brightness tells the frame's number: `fps` frames a second apart of a video of 25."""
    times = None
    if kind == "variable":  # 25 a second, then 12.5
        times = [k / 25 if k < 20 else 0.8 + (k - 20) / 12.5 for k in range(40)]
    matrix = (0, 1, -1, 0) if kind == "turned" else None
    frames = numbered_frames(40)
    data = make_video(tmp_path / "v.mp4", frames, times=times, matrix=matrix).read_bytes()
    write_tar(tmp_path / "train-0.tar", {"a.mp4": data})
    settings = StreamSettings(str(tmp_path), fps=(fps,), least_crop=1.0)
    for batch in batches(ClipStream(settings, FRAMES, 48, seed=1).loader(1), 6):
        clip = batch["pixel_values_videos"][0].permute(0, 2, 3, 1).numpy()
        shown = numbers(clip)
        seconds = [k / 25 for k in shown] if times is None else [times[k] for k in shown]
        steps = [later - earlier for earlier, later in zip(seconds, seconds[1:], strict=False)]
        longest = 1 / 25 if times is None else 1 / 12.5
        assert all(abs(step - 1 / fps) < longest + 1e-6 for step in steps), (shown, steps)


def test_short_videos_are_refused_with_their_reason(tmp_path, video):
    short = make_video(tmp_path / "v.mp4", numbered_frames(2)).read_bytes()
    write_tar(tmp_path / "train-0.tar", {"a.mp4": short, "b.mp4": video, "c.mp4": video[: len(video) // 2]})
    loader = stream(tmp_path, label=None).loader(1)
    batches(loader, 2)
    reasons = " | ".join(loader.refused)
    assert "has about N frames; a clip needs N" in reasons and len(loader.refused) == 2


def test_nothing_but_bad_videos_is_an_error_with_the_last_reason(tmp_path):
    write_tar(tmp_path / "train-0.tar", {"a.mp4": b"no video", "b.mp4": b"nor this"})
    loader = stream(tmp_path, label=None, max_refused_in_a_row=5).loader(1)
    with pytest.raises(StreamError, match="5 videos in a row cannot be used, the last one .*no video FFmpeg"):
        next(iter(loader))


def test_a_missing_label_names_the_fields_there_are(shards):
    with pytest.raises(StreamError, match="has no label 'title': it has .*label"):
        next(iter(stream(shards, label="title").loader(1)))


def test_a_missing_folder_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="nowhere is no tar and no folder with tars"):
        stream(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": ()}, "data.fps must be positive"),
        ({"least_crop": 0.0}, "data.least_crop must be in"),
        ({"block": 0}, "data.block must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(shards, options, message):
    with pytest.raises(ValueError, match=message):
        stream(shards, **options)


@pytest.mark.clips
def test_every_odd_video_is_decoded_or_counted(clips_folder, tmp_path):
    files = [path for path in sorted((clips_folder / "odd_clips").iterdir()) if path.suffix == ".mp4"]
    write_tar(tmp_path / "train-0.tar", {f"{i}.mp4": path.read_bytes() for i, path in enumerate(files)})
    loader = stream(tmp_path, label=None).loader(1)
    iterator, decoded = iter(loader), 0
    while loader.state_dict()["place"]["epoch"] == 0:
        next(iterator)
        decoded += loader.state_dict()["place"]["epoch"] == 0
    assert decoded + sum(loader.refused.values()) >= len(files) and sum(loader.refused.values()) > 0


@pytest.mark.parametrize(
    ("settings", "ranks", "message"),
    [
        ({}, (0, 2), "had processes 1, this one has 2"),
        ({"block": 4}, (0, 1), "had block 3, this one has 4"),
        (
            {"shards": "one"},
            (0, 1),
            r"had shards \[.*, this one has \['train-00000.tar'\]",
        ),
    ],
)
def test_the_place_of_another_stream_is_refused(shards, settings, ranks, message):
    loader = stream(shards).loader(2)
    batches(loader, 2)
    if "shards" in settings:
        settings = {"shards": str(shards / "train-00000.tar")}
    options = {"shards": str(shards), "label": "label", "block": 3, **settings}
    other = ClipStream(StreamSettings(**options), FRAMES, SIZE, seed=7).loader(2, *ranks)
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(loader.state_dict())


def test_shards_that_moved_are_the_same_stream(shards, tmp_path):
    loader = stream(shards).loader(2)
    batches(loader, 2)
    shutil.copytree(shards, tmp_path / "moved [1]")
    moved = stream(tmp_path / "moved [1]").loader(2)
    moved.load_state_dict(loader.state_dict())
    assert labels(batches(moved, 3)) == labels(batches(loader, 3))


def test_a_label_that_some_shards_lack_is_refused(shards, video, tmp_path):
    write_tar(tmp_path / "0.tar", {"a.mp4": video, "a.json": b'{"label": "x"}'})
    write_tar(tmp_path / "1.tar", {"b.mp4": video, "b.json": b'{"other": "y"}'})
    with pytest.raises(StreamError, match="b has no label 'label'"):
        batches(stream(tmp_path).loader(1), 2)


def test_a_tar_cut_short_stops_the_stream_by_name(shards, tmp_path):
    folder = Path(shutil.copytree(shards, tmp_path / "shards"))
    data = (folder / "train-00002.tar").read_bytes()
    (folder / "train-00002.tar").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="train-00002.tar is cut short"):
        batches(stream(folder).loader(1), 20)


def test_a_damaged_tar_stops_the_stream(shards, tmp_path):
    folder = Path(shutil.copytree(shards, tmp_path / "shards"))
    data = bytearray((folder / "train-00002.tar").read_bytes())
    data[124:136] = b"99999999999\0"  # the first member's size
    (folder / "train-00002.tar").write_bytes(data)
    with pytest.raises((StreamError, ValueError), match=r"cannot be read.*shards check|shards check"):
        batches(stream(folder).loader(1), 20)


def test_other_members_are_not_decoded(video, tmp_path):
    """A sound track would need libraries, and a damaged picture would stop everything."""
    for number in range(2):
        write_tar(
            tmp_path / f"{number}.tar",
            {f"{number}.mp4": video, f"{number}.wav": b"no sound", f"{number}.jpg": b"no picture"},
        )
    assert len(batches(stream(tmp_path, label=None).loader(1), 2)) == 2


def test_refusals_with_good_videos_between_them_never_stop_the_stream(shards):
    """One of 20 videos is bad, again in each epoch."""
    assert len(batches(stream(shards, max_refused_in_a_row=2).loader(1), 80)) == 80
