"""What the `evaluate` modules of this package do; their scripts in metrics/NAME/NAME.py only describe them.

Only scores and features are stored, a row for each clip: raw video takes evaluate's tables minutes.
Axes: b clips, t frames, y x pixels, c colour, n videos, d features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import datasets
import evaluate
import numpy as np
import torch
from torch import Tensor, nn
from transformers.utils import logging

from .frechet import frechet_distance, frechet_interval, small_set_note
from .functional import Frames, compression_rate, psnr, seam_ratio, ssim, unit_range, video_psnr
from .networks import LPIPS_NETS, i3d_features, load_i3d, load_lpips

logger = logging.get_logger(__name__)
Row = Sequence[float]
_FRAMES_AT_ONCE = 16
_READY = "features"  # what FVD calls the network it was not told of


_PAPER = """@article{wang2024vidtwin,
  title = {VidTwin: Video {VAE} with Decoupled Structure and Dynamics},
  author = {Wang, Yuchi and Guo, Junliang and Xie, Xinyi and He, Tianyu and Sun, Xu and Bian, Jiang},
  journal = {arXiv preprint arXiv:2412.17726},
  year = {2024}
}"""


class StreamedMetric(evaluate.Metric, ABC):
    """A metric that turns what it is given into short rows at once."""

    description = inputs_description = ""
    citation = _PAPER
    options: tuple[str, ...] = ()

    def _info(self) -> evaluate.MetricInfo:
        row = datasets.Sequence(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description=self.description,
            citation=self.citation,
            inputs_description=self.inputs_description,
            features=datasets.Features({"predictions": row, "references": row}),
        )

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Adds clips, which may be of unequal sizes."""
        rows = self.rows(predictions, references)
        super().add_batch(predictions=[row for row, _ in rows], references=[row for _, row in rows], **kwargs)

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Adds one clip; evaluate.combine names it in the plural."""
        prediction, reference = kwargs.pop("predictions", prediction), kwargs.pop("references", reference)
        self.add_batch(predictions=[prediction], references=[reference], **kwargs)

    @abstractmethod
    def rows(self, predictions: Any, references: Any) -> list[tuple[Row, Row]]:
        """What is stored of a batch. Raises ValueError for what the metric cannot take."""

    def _compute(self, *, predictions: Any, references: Any, **options: Any) -> dict[str, Any]:
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            known = f"only {', '.join(self.options)}" if self.options else "none"
            raise ValueError(f"{self.name} has no option {unknown[0]!r} at compute, {known}.")
        return self.result([list(row) for row in predictions], [list(row) for row in references], **options)

    @abstractmethod
    def result(self, predictions: list[list[float]], references: list[list[float]], **options: Any) -> dict:
        """The answer from all rows, under the metric's own name."""


def paired(predictions: Any, references: Any) -> list[tuple[Any, Any]]:
    """Clips with their references, one by one. Raises ValueError for unequal numbers and for none."""
    for side in (predictions, references):
        _check_many(side)
    if len(predictions) != len(references) or not len(predictions):
        raise ValueError(
            f"predictions and references must be as many, got {len(predictions)} and {len(references)}."
        )
    return list(zip(predictions, references, strict=True))


def _check_many(side: Any) -> None:
    """Raises ValueError for what is not a batch: nothing, one number, a generator."""
    if side is None:
        raise ValueError("predictions and references must both be given.")
    if not hasattr(side, "__len__") or getattr(side, "shape", None) == ():
        raise ValueError(f"predictions and references must be arrays or lists, got {type(side).__name__}.")


def as_clip(clip: Any) -> Frames:
    """A clip `t y x c` as an array. Raises ValueError for other shapes, a single frame among them."""
    frames = clip if isinstance(clip, Tensor) else np.asarray(clip)
    if frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
        raise ValueError(
            f"a clip must be (frames, height, width, 3), got {tuple(frames.shape)}. Clips go in as an array "
            "(clips, frames, height, width, 3) or a list of clips."
        )
    return frames


class FrameMetric(StreamedMetric):
    """A mean over the frames of each clip, then over clips."""

    name_of_result = units = protocol = ""

    @abstractmethod
    def scores(self, prediction: Frames, reference: Frames) -> list[float]:
        """The clip's own score, and others."""

    def rows(self, predictions: Any, references: Any) -> list[tuple[Row, Row]]:
        return [
            (self.scores(as_clip(one), as_clip(other)), [len(one)])
            for one, other in paired(predictions, references)
        ]

    def result(self, predictions: list[list[float]], references: list[list[float]], **options: Any) -> dict:
        return {
            self.name_of_result: fmean(row[0] for row in predictions),
            "n_clips": len(predictions),
            "n_frames": int(sum(row[0] for row in references)),
            "units": self.units,
            "protocol": self.protocol,
        }


class PsnrMetric(FrameMetric):
    """PSNR per frame; "video_psnr" pools the error over each clip first."""

    name_of_result, units = "psnr", "dB"
    protocol = "-10 log10(mse + 1e-8) per frame on [0, 1], mean over frames, then over clips"

    def scores(self, prediction: Frames, reference: Frames) -> list[float]:
        return [psnr(prediction, reference).mean().item(), video_psnr(prediction, reference)]

    def result(self, predictions: list[list[float]], references: list[list[float]], **options: Any) -> dict:
        whole = super().result(predictions, references)
        return {**whole, "video_psnr": fmean(row[1] for row in predictions)}


class SsimMetric(FrameMetric):
    """SSIM per frame."""

    name_of_result, units = "ssim", "1 is equal"
    protocol = "Gaussian window 11, sigma 1.5, valid borders, K 0.01 and 0.03, per colour and frame"

    def scores(self, prediction: Frames, reference: Frames) -> list[float]:
        return [ssim(prediction, reference).mean().item()]


class VideoLpipsMetric(FrameMetric):
    """LPIPS per frame. net: "vgg", "alex" or "squeeze"; network: a module with lpips.LPIPS's call instead."""

    name_of_result, units = "video_lpips", "0 is equal"

    def __init__(self, *args: Any, net: str = "vgg", network: nn.Module | None = None, **kwargs: Any):
        if network is None and net not in LPIPS_NETS:
            raise ValueError(f"net must be one of {', '.join(LPIPS_NETS)}, got {net!r}.")
        self.net = net if network is None else type(network).__name__
        self._network = network
        super().__init__(*args, **kwargs)
        self.protocol = f"LPIPS 0.1, {self.net}, per frame in [-1, 1]"

    @torch.no_grad()
    def scores(self, prediction: Frames, reference: Frames) -> list[float]:
        if self._network is None:
            self._network = load_lpips(self.net)
        if prediction.shape != reference.shape:
            raise ValueError(
                f"predictions and references must be of one size, got {tuple(prediction.shape)} and "
                f"{tuple(reference.shape)}."
            )
        device = next((weight.device for weight in self._network.parameters()), torch.device("cpu"))
        clips = [
            unit_range(name, clip).float().movedim(-1, 1).to(device) * 2 - 1
            for name, clip in (("predictions", prediction), ("references", reference))
        ]
        parts = zip(*(clip.split(_FRAMES_AT_ONCE) for clip in clips), strict=True)
        return [torch.cat([self._network(one, other).flatten() for one, other in parts]).mean().item()]

    def result(self, predictions: list[list[float]], references: list[list[float]], **options: Any) -> dict:
        return {**super().result(predictions, references), "net": self.net}


class SeamRatioMetric(StreamedMetric):
    """The seam ratio of long videos. clip_length: frames of the model's clips."""

    def __init__(self, *args: Any, clip_length: int = 16, **kwargs: Any):
        if clip_length < 2:
            raise ValueError(f"clip_length must be 2 frames or more, got {clip_length}.")
        self.clip_length = clip_length
        super().__init__(*args, **kwargs)

    def rows(self, predictions: Any, references: Any) -> list[tuple[Row, Row]]:
        return [
            ([seam_ratio(as_clip(one), as_clip(other), self.clip_length)], [])
            for one, other in paired(predictions, references)
        ]

    def result(self, predictions: list[list[float]], references: list[list[float]], **options: Any) -> dict:
        return {
            "seam_ratio": fmean(row[0] for row in predictions),
            "n_videos": len(predictions),
            "units": "1 is seamless",
            "protocol": f"clips of {self.clip_length} frames, relative to the source",
        }


class CompressionRateMetric(StreamedMetric):
    """Numbers in latents over numbers in clips: of each clip a list of its latents, and itself; or shapes."""

    def rows(self, predictions: Any, references: Any) -> list[tuple[Row, Row]]:
        rows: list[tuple[Row, Row]] = []
        for latents, clip in paired(predictions, references):
            alone = hasattr(latents, "shape") or all(isinstance(size, int) for size in latents)
            shapes = [_shape(each) for each in ([latents] if alone else latents)]
            video = _shape(clip)
            compression_rate(shapes, video)
            rows.append(([float(sum(map(np.prod, shapes)))], [float(np.prod(video))]))
        return rows

    def result(self, predictions: list[list[float]], references: list[list[float]], **options: Any) -> dict:
        numbers, pixels = (sum(row[0] for row in rows) for rows in (predictions, references))
        return {
            "compression_rate": numbers / pixels,
            "latent_numbers": numbers / len(predictions),
            "n_clips": len(predictions),
            "units": "latent numbers per input number",
            "protocol": "counts of numbers, whatever their bits",
        }


def _shape(thing: Any) -> tuple[int, ...]:
    if getattr(thing, "ndim", 0) == 1 and not np.issubdtype(np.asarray(thing).dtype, np.floating):
        thing = np.asarray(thing).tolist()  # an array of sizes
    shape = tuple(getattr(thing, "shape", thing))
    if not all(isinstance(size, int | np.integer) for size in shape):
        raise ValueError(f"latents and clips must be arrays or shapes, got {thing!r}.")
    return tuple(map(int, shape))


class FvdMetric(StreamedMetric):
    """Frechet video distance of clips, or of features `n d` of any network.

    Options at compute: ddof, 1 unbiased or 0 as the sample; bootstrap, rounds for "interval", in which 95 %
    of such sets lie.

    detector: the path of the I3D file, or a callable with its call; None downloads the file. crop: the
    centre of a clip instead of all of it, squashed.
    """

    options = ("ddof", "bootstrap")

    def __init__(
        self,
        *args: Any,
        detector: Callable[..., Tensor] | str | None = None,
        crop: bool = False,
        device: str = "cpu",
        **kwargs: Any,
    ):
        self.crop, self._device = crop, device
        self._detector: Any = detector
        self._nets: set[str] = set()
        super().__init__(*args, **kwargs)

    def rows(self, predictions: Any, references: Any) -> list[tuple[Row, Row]]:
        """Features of both sides; the shorter side is filled with empty rows."""
        for side in (predictions, references):
            _check_many(side)
        sides = [[self._features(each) for each in side] for side in (predictions, references)]
        longest = max(map(len, sides))
        first, second = ([*side, *[[]] * (longest - len(side))] for side in sides)
        return list(zip(first, second, strict=True))

    def _features(self, thing: Any) -> list[float]:
        values = thing if isinstance(thing, Tensor) else np.asarray(thing)
        if values.ndim == 1:
            if not len(values) or np.asarray(values).dtype.kind not in "iuf":
                raise ValueError(f"features of a video must be numbers, one or more, got {thing!r}.")
            self._nets.add(_READY)
            return [float(value) for value in values]
        if self._detector is None or isinstance(self._detector, str):
            self._detector = load_i3d(self._detector, self._device)
        own = isinstance(self._detector, torch.jit.ScriptModule)
        self._nets.add("I3D, Kinetics-400 logits" if own else type(self._detector).__name__)
        return i3d_features(self._detector, as_clip(values), self.crop).tolist()

    def result(
        self,
        predictions: list[list[float]],
        references: list[list[float]],
        ddof: int = 1,
        bootstrap: int = 0,
        **options: Any,
    ) -> dict:
        first, second = ([row for row in side if row] for side in (predictions, references))
        nets, self._nets = sorted(self._nets), set()
        if note := small_set_note(min(len(first), len(second))):
            logger.warning(note)
        found = {
            "fvd": frechet_distance(first, second, ddof),
            "n_predictions": len(first),
            "n_references": len(second),
            "net": " and ".join(nets),
            "ddof": ddof,
            "units": "squared feature units, 0 is equal",
            "protocol": "224x224, " + ("centre crop" if self.crop else "squashed"),
        }
        if nets in ([], [_READY]):
            found["net"], found["protocol"] = _READY, "features as they were given"
        if bootstrap < 0:
            raise ValueError(f"bootstrap must be a number of rounds from 0 up, got {bootstrap}.")
        if bootstrap:
            found["interval"] = frechet_interval(first, second, ddof, bootstrap)
        return found
