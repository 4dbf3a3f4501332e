"""Frechet distances: known values, invariances, and the same from statistics that were streamed."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from vidtwin.metrics.frechet import (
    FeatureStatistics,
    frechet_distance,
    frechet_interval,
    frechet_of_statistics,
)


def features(number: int, width: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(number, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)


X, Y = features(40, seed=1), features(30, seed=2)


def statistics(x: np.ndarray, *cuts: int) -> FeatureStatistics:
    found = FeatureStatistics()
    for part in np.split(x, cuts):
        found.add(part)
    return found


def test_gaussians_with_a_known_distance() -> None:
    """Exactly drawn means and diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2."""
    corners = np.array([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    first, second = corners * [1, 2], corners * [3, 5] + [10, 0]
    assert frechet_distance(first, second, ddof=0) == pytest.approx(100 + 4 + 9)


def test_a_set_is_at_no_distance_from_itself_with_fewer_videos_than_features() -> None:
    few = features(4, 20)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-9)


def test_the_order_of_the_two_sets_does_not_matter() -> None:
    assert frechet_distance(X, Y) == pytest.approx(frechet_distance(Y, X))


def test_turning_both_sets_changes_nothing() -> None:
    turn, _ = np.linalg.qr(features(6))
    assert frechet_distance(X @ turn, Y @ turn) == pytest.approx(frechet_distance(X, Y))


def test_shifting_both_sets_changes_nothing() -> None:
    assert frechet_distance(X + 7, Y + 7) == pytest.approx(frechet_distance(X, Y))


def test_scaling_both_sets_scales_by_the_square() -> None:
    assert frechet_distance(3 * X, 3 * Y) == pytest.approx(9 * frechet_distance(X, Y))


def test_the_bias_falls_as_the_number_of_videos_grows() -> None:
    rng = np.random.default_rng(0)
    drawn = [frechet_distance(*rng.normal(size=(2, number, 32))) for number in (64, 256, 1024)]
    assert drawn[0] > 3 * drawn[1] > 9 * drawn[2] > 0


def test_the_two_kinds_of_covariance_differ_by_their_divisor() -> None:
    same_mean = X - X.mean(0), Y - Y.mean(0)
    wide = [each * np.sqrt((len(each) - 1) / len(each)) for each in same_mean]
    assert frechet_distance(*same_mean, ddof=0) == pytest.approx(frechet_distance(*wide, ddof=1))


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("cuts", [(), (1,), (3, 17, 39)])
def test_streamed_statistics_give_the_same_distance(ddof: int, cuts: tuple[int, ...]) -> None:
    found = frechet_of_statistics(statistics(X, *cuts), statistics(Y), ddof)
    assert found == pytest.approx(frechet_distance(X, Y, ddof), rel=1e-9)


def test_statistics_of_two_processes_merge() -> None:
    merged = statistics(X[:11])
    merged.merge(statistics(X[11:]))
    merged.merge(FeatureStatistics())
    assert merged.count == 40
    np.testing.assert_allclose(merged.covariance(), np.cov(X, rowvar=False))


@pytest.mark.parametrize("paired", [False, True])
def test_the_interval_holds_the_distance_and_repeats(paired: bool) -> None:
    near = X + 0.1 * features(40, seed=3)
    low, high = frechet_interval(near, X, rounds=50, paired=paired)
    assert 0 <= low < frechet_distance(near, X) < high
    assert frechet_interval(near, X, rounds=50, paired=paired) == (low, high)


def test_pairs_vary_less_than_sets_drawn_apart() -> None:
    near = X + 0.1 * features(40, seed=3)
    widths = [np.diff(frechet_interval(near, X, rounds=50, paired=paired))[0] for paired in (True, False)]
    assert widths[0] < widths[1]


def test_the_interval_is_the_middle_95_percent() -> None:
    """With two halves that are drawn anew each time, about 5 % of the distances lie outside."""
    rng = np.random.default_rng(5)
    low, high = frechet_interval(rng.normal(size=(400, 2)), rng.normal(1, 1, size=(400, 2)), rounds=200)
    drawn = [frechet_distance(rng.normal(size=(400, 2)), rng.normal(1, 1, size=(400, 2))) for _ in range(200)]
    assert high - low == pytest.approx(np.diff(np.quantile(drawn, (0.025, 0.975)))[0], rel=0.35)


def test_no_rounds_and_no_pairs_are_refused() -> None:
    for options in ({"rounds": 0}, {"paired": True}):
        with pytest.raises(ValueError, match="needs rounds"):
            frechet_interval(X, Y, **options)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (X[:1], Y, "at least 2 videos"),
        (X[:, :4], Y, "equally wide"),
        (X[0], Y, "must be features"),
        (np.full((3, 6), np.nan), Y, "must be finite"),
        (np.zeros((0, 6)), Y, "must be features"),
    ],
)
def test_features_that_have_no_distance_are_refused(first, second, message) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(first, second)
    with pytest.raises(ValueError, match=message):
        frechet_interval(second, first) if "2 videos" not in message else frechet_distance(second, first)


def test_statistics_that_have_no_distance_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 videos"):
        frechet_of_statistics(statistics(X[:1]), statistics(Y))
    with pytest.raises(ValueError, match="equally wide"):
        frechet_of_statistics(statistics(X[:, :4]), statistics(Y))
    with pytest.raises(ValueError, match="equally wide"):
        statistics(X).merge(statistics(X[:, :4]))


def test_another_ddof_is_refused() -> None:
    with pytest.raises(ValueError, match="ddof must be 0 or 1, got 2"):
        frechet_distance(X, Y, ddof=2)


@pytest.mark.clips
@pytest.mark.parametrize("case", ["full_rank", "rank_deficient"])
def test_the_reference_values_are_met(clips_folder: Path, case: str) -> None:
    values = json.loads((clips_folder / "golden" / "metrics_frechet.json").read_text())["cases"][case]
    arrays = np.load(clips_folder / "golden" / "metrics_frechet.npz")
    first, second = arrays[f"{case}_x"], arrays[f"{case}_y"]
    assert frechet_distance(first, second) == pytest.approx(values["fd_ddof1"], rel=1e-7)
    assert frechet_distance(first, second, ddof=0) == pytest.approx(values["fd_ddof0"], rel=1e-7)
    streamed = frechet_of_statistics(statistics(first, 3), statistics(second, 5))
    assert streamed == pytest.approx(values["fd_ddof1"], rel=1e-7)


def test_many_videos_of_few_features_are_fast_and_the_same() -> None:
    """The decomposition is as large as the features, not as the videos."""
    first, second = features(30_000, 8, seed=3), features(20_000, 8, seed=4)
    started = time.perf_counter()
    found = frechet_distance(first, second)
    assert time.perf_counter() - started < 5
    assert found == pytest.approx(frechet_of_statistics(statistics(first), statistics(second)))
