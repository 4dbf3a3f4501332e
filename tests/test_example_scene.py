"""The scene of the bundled example clip."""

import numpy as np

from vidtwin.training import example_scene
from vidtwin.training.example_scene import example_frame, render_example


def test_a_frame_is_the_same_every_time():
    assert np.array_equal(example_frame(1.2, 32), example_frame(1.2, 32))


def test_the_picture_is_bright_by_the_sun_and_dark_in_the_upper_corner():
    frame = example_frame(0.0, 64).astype(float)
    y, x = (int((place + 0.5) * 64) for place in (example_scene.SUN[1] - 0.03, example_scene.SUN[0]))
    assert frame[y, x].mean() > 200 and frame[:4, -4:].mean() < 120


def test_the_boat_moves_and_the_far_hills_hardly_do():
    change = np.abs(example_frame(0.0, 64).astype(float) - example_frame(1.0, 64)).mean(-1)
    assert change[40:52].mean() > 2 * change[24:30].mean()


def test_the_example_is_five_seconds_long_and_its_length_no_multiple_of_a_clip(monkeypatch):
    monkeypatch.setattr(example_scene, "SIZE", 16)
    frames, fps = render_example()
    assert frames.shape == (125, 16, 16, 3) and frames.dtype == np.uint8
    assert len(frames) / fps == 5 and len(frames) % 16 != 0
