"""Frechet distances between sets of features, as Gaussians fitted to them.

Axes: n videos, d features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Features = np.ndarray | Sequence[Sequence[float]]
ENOUGH = 2048


def frechet_distance(predictions: Features, references: Features, ddof: int = 1) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2)) of two sets of features `n d`, in float64.

    The trace of the root is the nuclear norm of the product of the centred sets: exact for fewer videos
    than features too. ddof: 1 for unbiased covariances, 0 for those of the sample. Raises ValueError for
    fewer than two videos, unequal widths and features that are not finite.
    """
    first, second = _sets(predictions, references, ddof)
    means = first.mean(0), second.mean(0)
    one, two = (
        (features - mean) / np.sqrt(len(features) - ddof)
        for features, mean in zip((first, second), means, strict=True)
    )
    root = np.linalg.svd(_square(one) @ _square(two).T, compute_uv=False).sum()
    return _distance(means, (np.square(one).sum(), np.square(two).sum()), root)


def _square(features: np.ndarray) -> np.ndarray:
    """A set with the same covariance in no more rows than features."""
    rows, width = features.shape
    return np.asarray(np.linalg.qr(features, mode="r")) if rows > width else features


def small_set_note(count: int) -> str | None:
    """What to say of a distance of so few videos, or None."""
    if count >= ENOUGH:
        return None
    return (
        f"FVD of {count} videos is too high, by an amount that falls as 1/n: compare only values of equal n, "
        f"best of {ENOUGH} or more."
    )


def frechet_interval(
    predictions: Features,
    references: Features,
    ddof: int = 1,
    rounds: int = 100,
    paired: bool = False,
) -> tuple[float, float]:
    """How far the distance of such sets varies: it lies within this interval in 95 % of them.

    `rounds` resamples with replacement are drawn, by a fixed seed. Each is too far by about 1/n once more, so
    their middle 95 % is moved by what their mean differs from the distance. paired: video i of both sets is
    one clip and its reconstruction, drawn together. Errors as the distance's, and ValueError for rounds below
    1.
    """
    first, second = _sets(predictions, references, ddof)
    if rounds < 1 or (paired and len(first) != len(second)):
        raise ValueError(f"an interval needs rounds from 1 up, and pairs if paired, got {rounds} rounds.")
    rng = np.random.default_rng(0)
    found = []
    for _ in range(rounds):
        one = rng.integers(len(first), size=len(first))
        other = one if paired else rng.integers(len(second), size=len(second))
        found.append(frechet_distance(first[one], second[other], ddof))
    moved = frechet_distance(first, second, ddof) - float(np.mean(found))
    low, high = np.quantile(found, (0.025, 0.975))
    return max(0.0, float(low) + moved), float(high) + moved


@dataclass
class FeatureStatistics:
    """Count, mean and scatter of features that stream by, for sets too large to keep."""

    count: int = 0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scatter: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, features: Features) -> None:
        """The next features `n d`. Raises ValueError for another width or values that are not finite."""
        batch = _checked("features", features)
        mean = batch.mean(0)
        centred = batch - mean
        self.merge(FeatureStatistics(len(batch), mean, centred.T @ centred))

    def merge(self, other: FeatureStatistics) -> None:
        """Those of another part, of another process for example."""
        if not self.count or not other.count:
            if other.count:
                self.count, self.mean, self.scatter = other.count, other.mean, other.scatter
            return
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"features must be equally wide, got {self.mean.size} and {other.mean.size}.")
        total = self.count + other.count
        apart = other.mean - self.mean
        self.scatter = (
            self.scatter + other.scatter + np.outer(apart, apart) * (self.count * other.count / total)
        )
        self.mean = self.mean + apart * (other.count / total)
        self.count = total

    def covariance(self, ddof: int = 1) -> np.ndarray:
        """`d d`; ValueError for fewer than two videos."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 videos, got {self.count}.")
        return self.scatter / (self.count - ddof)


def frechet_of_statistics(
    predictions: FeatureStatistics, references: FeatureStatistics, ddof: int = 1
) -> float:
    """The distance of two sets of which only the statistics are at hand; errors as frechet_distance."""
    one, two = predictions.covariance(ddof), references.covariance(ddof)
    if one.shape != two.shape:
        raise ValueError(f"features must be equally wide, got {len(one)} and {len(two)}.")
    values, vectors = np.linalg.eigh(one)
    half = vectors * np.sqrt(values.clip(0)) @ vectors.T
    root = np.sqrt(np.linalg.eigvalsh(half @ two @ half).clip(0)).sum()
    return _distance((predictions.mean, references.mean), (np.trace(one), np.trace(two)), root)


def _distance(means: tuple[np.ndarray, np.ndarray], traces: tuple[float, float], root: float) -> float:
    return max(0.0, float(np.square(means[0] - means[1]).sum() + sum(traces) - 2 * root))


def _sets(predictions: Features, references: Features, ddof: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = _checked("predictions", predictions), _checked("references", references)
    if min(len(first), len(second)) < 2:
        raise ValueError(
            f"a Frechet distance needs at least 2 videos on each side, got {len(first)} and {len(second)}."
        )
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"features must be equally wide, got {first.shape[1]} and {second.shape[1]}.")
    if ddof not in (0, 1):
        raise ValueError(f"ddof must be 0 or 1, got {ddof}.")
    return first, second


def _checked(name: str, features: Features) -> np.ndarray:
    values = np.asarray(features, np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"{name} must be features (videos, features), got shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite features.")
    return values
