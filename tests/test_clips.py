"""Training clips: the right frames, reproducible by number, real and rendered."""

import errno
import os

import numpy as np
import pytest
import torch
from PIL import Image
from video_maker import make_video, numbered_frames

from vidtwin.modeling_vidtwin.video_io import write_video
from vidtwin.training.clips import ClipDataset, DataSettings, as_clip, duration_of, find_videos, random_square


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one video of 24 frames at 8 fps whose brightness is ten times the frame's number."""
    path = tmp_path_factory.mktemp("videos")
    numbers = np.arange(24, dtype=np.uint8)[:, None, None, None]
    write_video(path / "counting.mp4", np.broadcast_to(numbers * 10, (24, 48, 64, 3)).copy(), 8)
    (path / "notes.txt").write_text("not a video")
    return path


def dataset(settings: DataSettings, seed: int = 0) -> ClipDataset:
    return ClipDataset(settings, num_frames=4, image_size=32, length=20, seed=seed)


def test_a_clip_depends_on_the_seed_and_its_number_alone(folder):
    settings = DataSettings(videos=str(folder), rendered_share=0.5)
    late = dataset(settings)[7]["pixel_values_videos"]
    clips = dataset(settings)
    for number in range(7):
        clips[number]
    assert torch.equal(clips[7]["pixel_values_videos"], late)
    assert not torch.equal(dataset(settings, seed=1)[7]["pixel_values_videos"], late)


def test_clips_are_uint8_frames_of_the_models_size(folder):
    clip = dataset(DataSettings(videos=str(folder)))[0]["pixel_values_videos"]
    assert clip.dtype == torch.uint8
    assert clip.shape == (4, 3, 32, 32)


@pytest.mark.parametrize("fps", [2.0, 4.0, 8.0])
def test_frames_follow_each_other_at_the_rate_asked_for(folder, fps):
    clip = dataset(DataSettings(videos=str(folder), fps=(fps,)))[3]["pixel_values_videos"]
    brightness = clip.float().mean(dim=(1, 2, 3))
    assert brightness.diff().tolist() == pytest.approx([80 / fps] * 3, abs=4)


def test_a_rate_too_low_for_a_short_video_is_raised_instead_of_repeating_frames(folder):
    clip = dataset(DataSettings(videos=str(folder), fps=(0.5,)))[0]["pixel_values_videos"]
    assert (clip.float().mean(dim=(1, 2, 3)).diff() > 20).all()


def test_patterns_choose_videos_by_name(folder):
    assert [path.name for path in find_videos(folder, ["count*"])] == ["counting.mp4"]
    with pytest.raises(ValueError, match="no video files that match other"):
        find_videos(folder, ["other*"])


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="data.videos must be a folder"):
        find_videos(tmp_path / "nowhere")


def test_a_video_shorter_than_a_clip_is_refused_by_name(folder):
    with pytest.raises(ValueError, match=r"counting\.mp4: has about 24 frames; a clip needs 25"):
        ClipDataset(DataSettings(videos=str(folder)), num_frames=25, image_size=32, length=1)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "No clips"),
        ({"rendered_share": 2.0}, "rendered_share must be in"),
        ({"rendered_share": 1.0, "least_crop": 0.0}, "least_crop must be in"),
        ({"rendered_share": 1.0, "fps": []}, "fps must be positive"),
    ],
)
def test_settings_that_give_no_clips_are_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        DataSettings(**settings)


def test_a_pattern_alone_is_one_pattern():
    assert DataSettings(videos="x", include="bbb_*", fps=8).include == ("bbb_*",)
    assert DataSettings(videos="x", fps=8).fps == (8,)


@pytest.mark.parametrize("options", [{"rendered_share": "half"}, {"fps": ["fast"]}, {"least_crop": None}])
def test_what_is_no_number_is_refused_by_name(options):
    with pytest.raises(ValueError, match=f"data.{next(iter(options))} must be a number"):
        DataSettings(videos="x", **options)


def test_a_container_that_tells_no_length_is_counted(tmp_path):
    path = make_video(tmp_path / "v.mpg", numbered_frames(30), codec="mpeg1video")
    assert duration_of(path, 16) == pytest.approx(30 / 25, abs=0.1)


def test_clips_start_anywhere_and_are_never_upside_down(tmp_path):
    """Brightness tells the frame; the upper half is black."""
    frames = numbered_frames(40).copy()
    frames[:, : frames.shape[1] // 2] = 0
    make_video(tmp_path / "v.mp4", frames)
    clips = ClipDataset(DataSettings(videos=str(tmp_path), fps=25, least_crop=1.0), 4, 48, length=8)
    found = [clips[number]["pixel_values_videos"].float() for number in range(8)]
    assert all(clip[:, :, :20].mean() < clip[:, :, -20:].mean() - 3 for clip in found)
    assert len({round(clip[0, :, -10:].mean().item()) for clip in found}) > 3


def test_a_square_is_cut_and_resized_as_pillow_does():
    """With antialiasing: within one level of Pillow's own, for squares of every size."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), dtype=np.uint8)
    for seed in range(20):
        square = random_square(frames, 16, 0.5, np.random.default_rng(seed))
        draws = np.random.default_rng(seed)
        side = round(40 * draws.uniform(0.5, 1.0))
        top, left = int(draws.integers(40 - side + 1)), int(draws.integers(56 - side + 1))
        for found, frame in zip(square, frames, strict=True):
            part = Image.fromarray(frame[top : top + side, left : left + side])
            wanted = np.asarray(part.resize((16, 16), Image.Resampling.BILINEAR))
            assert np.abs(found.astype(int) - wanted).max() <= 1


def test_a_folder_that_may_not_be_read_is_no_empty_one(folder, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refused)  # root may read everything
    with pytest.raises(PermissionError):
        find_videos(folder)


def test_half_of_the_clips_are_mirrored():
    frames = np.arange(8, dtype=np.uint8).reshape(1, 1, 8, 1).repeat(3, axis=-1)
    clips = [as_clip(frames, np.random.default_rng(seed))[0, 0, 0].tolist() for seed in range(200)]
    mirrored = clips.count(list(range(8))[::-1])
    assert 70 < mirrored < 130 and mirrored + clips.count(list(range(8))) == 200
