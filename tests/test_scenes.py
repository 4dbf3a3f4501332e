"""The rendered training clips."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from vidtwin.training import scenes
from vidtwin.training.actors import Part, Pose
from vidtwin.training.scenes import contact_sheet, draw_parts, main, render_clip


def digest(clip: np.ndarray) -> str:
    return hashlib.sha256(clip.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return np.stack([render_clip(seed, size=48) for seed in range(60)])


def test_a_clip_is_sixteen_frames_of_112_pixels_by_default():
    clip = render_clip(0)
    assert clip.shape == (16, 112, 112, 3) and clip.dtype == np.uint8


@pytest.mark.parametrize(("num_frames", "size"), [(1, 112), (7, 50), (33, 16)])
def test_clips_come_in_any_length_and_size(num_frames, size):
    assert render_clip(2, num_frames=num_frames, size=size).shape == (num_frames, size, size, 3)


def test_a_seed_gives_the_same_bytes_in_another_process():
    code = (
        "import hashlib; from vidtwin.training.scenes import render_clip\n"
        "for seed in range(4): print(hashlib.sha256(render_clip(seed, size=48).tobytes()).hexdigest())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=".")
    assert found.stdout.split() == [digest(render_clip(seed, size=48)) for seed in range(4)]


def test_different_seeds_give_different_clips(clips):
    assert len({digest(clip) for clip in clips}) == len(clips)


def test_most_clips_move(clips):
    change = np.abs(np.diff(clips.astype(np.float32), axis=1)).mean((1, 2, 3, 4))
    assert (change > 0.5).mean() > 0.85


def test_clips_use_a_decent_range_of_brightness(clips):
    spread = np.ptp(np.percentile(clips.reshape(len(clips), -1), [2, 98], axis=1), axis=0)
    assert np.median(spread) > 100 and (spread > 25).mean() > 0.9


def test_a_higher_frame_rate_makes_smaller_steps():
    def step(fps: float) -> float:
        clips = np.stack([render_clip(seed, size=48, fps=fps) for seed in range(20)]).astype(np.float32)
        return float(np.median(np.abs(np.diff(clips, axis=1)).mean((1, 2, 3, 4))))

    assert step(25.0) < step(4.0)


@pytest.mark.parametrize("wrong", [{"num_frames": 0}, {"size": 8}, {"fps": 0.0}])
def test_impossible_clips_are_refused_with_what_was_wanted_and_got(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(ValueError, match=f"wants .*{name}={value}"):
        render_clip(0, **wrong)


def test_a_part_covers_its_outline_in_its_tone_and_nothing_else():
    still = Pose(np.ones(1, np.complex64), np.zeros(1, np.complex64))
    square = np.array([-0.25 - 0.25j, 0.25 - 0.25j, 0.25 + 0.25j, -0.25 + 0.25j], np.complex64)
    part = Part(square, still, np.array([0.5, 0.25, 0.0], np.float32), texture=0.0, roundness=0.0)
    frames = np.ones((1, 16, 16, 3), np.float32)
    draw_parts([part], still, frames, np.zeros((scenes.ATLAS, scenes.ATLAS, 3), np.float32))
    assert np.allclose(frames[0, 8, 8] / frames[0, 8, 8, 0], [1, 0.5, 0], atol=1e-5)
    assert (frames[0, :3] == 1).all() and (frames[0, :, 13:] == 1).all()


def test_a_still_camera_sees_the_middle_of_the_picture():
    picture = np.zeros((34, 34, 3), np.float32)
    picture[:17, :17] = 1
    still = Pose(np.ones(2, np.complex64), np.zeros(2, np.complex64))
    frames = scenes.project(picture, still, 20, None)
    assert frames[:, :9, :9].min() == 1 and frames[:, 11:].max() == frames[:, :, 11:].max() == 0


def test_a_contact_sheet_has_a_row_of_four_frames_for_each_seed():
    assert contact_sheet([1, 2, 3]).size == (4 * 112, 3 * 112)


def test_the_command_writes_a_contact_sheet(tmp_path):
    main(["contact-sheet", str(tmp_path / "sheet.png"), "--seed", "5", "--count", "1"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (448, 112)


def test_the_command_writes_the_example_with_its_frame_rate(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(scenes, "render_example", lambda: ("frames", 25))
    monkeypatch.setattr(scenes, "write_video", lambda *given: written.append(given))
    main(["example", str(tmp_path / "example.mp4")])
    assert written == [(tmp_path / "example.mp4", "frames", 25)]
