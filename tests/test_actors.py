"""The moving people, animals and things."""

import numpy as np
import pytest

from vidtwin.training.actors import CASTS, MAX_PARTS, Clock, Part, Pose, cast, mirrored, occluders


def a_clock(seed: int = 0, frames: int = 16) -> Clock:
    return Clock(np.random.default_rng(seed), np.arange(frames) / 8)


@pytest.mark.parametrize("maker", [*CASTS, occluders], ids=lambda maker: maker.__name__)
def test_every_actor_has_finite_outlines_and_poses_for_every_frame(maker):
    for part in maker(a_clock()):
        corners = part.pose.apply(part.points)
        assert corners.shape == (16, part.points.shape[-1]) and corners.dtype == np.complex64
        assert np.isfinite(corners.view(np.float32)).all()
        assert part.tone.shape == (3,) and 0 <= part.alpha <= 1


@pytest.mark.parametrize("maker", CASTS, ids=lambda maker: maker.__name__)
def test_every_actor_moves_in_most_clips(maker):
    def moves(seed: int) -> bool:
        parts = maker(a_clock(seed))
        return any(np.ptp(np.abs(part.pose.apply(part.points)), 0).max() > 0.005 for part in parts)

    assert sum(moves(seed) for seed in range(10)) >= 8


def test_some_clips_have_nobody_in_them():
    assert 0 < sum(not cast(a_clock(seed)) for seed in range(60)) < 30


def test_a_cast_never_has_more_parts_than_a_byte_can_number():
    assert max(len(cast(a_clock(seed))) for seed in range(100)) <= MAX_PARTS <= 255


def test_poses_compose_like_maps():
    outer, inner = (
        Pose(np.full(1, turn, np.complex64), np.full(1, 1 + turn, np.complex64)) for turn in (2j, 3)
    )
    points = np.array([0.5 + 1j, -2], np.complex64)
    assert np.allclose((outer @ inner).apply(points), outer.apply(inner.apply(points)[0]))


def test_a_mirrored_part_is_the_part_with_left_and_right_exchanged():
    pose = Pose(np.full(2, 1 + 0.5j, np.complex64), np.full(2, 0.1 + 0.2j, np.complex64))
    part = Part(np.array([0.3 + 0.1j, -0.2, 0.1j], np.complex64), pose, np.zeros(3, np.float32))
    other = mirrored(part)
    assert np.allclose(other.pose.apply(other.points), -pose.apply(part.points).conj())


def test_a_clock_with_no_energy_makes_no_drift():
    clock = Clock(np.random.default_rng(0), np.arange(4) / 8, energy=0.0)
    assert not clock.wander(1.0).any()
