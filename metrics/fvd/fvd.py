"""Frechet video distance: between the I3D features of two sets of videos, or any features."""

import evaluate

from vidtwin.metrics import modules

_DESCRIPTION = """Frechet video distance: between the I3D features of two sets of videos, or any features.

The maths is that of the vidtwin package (pip install vidtwin)."""
_KWARGS_DESCRIPTION = """
Args, when loading: evaluate.load("fvd", detector=None, crop=False, device="cpu"); detector: the path of the
    I3D TorchScript file (None downloads its 51 MB once and verifies them), or a callable with its call.
Args:
    predictions, references: clips (clips, frames, height, width, 3), arrays or lists of clips, uint8 or float
        in [0, 1], of 9 frames or more; or features (videos, features) of any network.
    ddof: 1 for unbiased covariances, 0 for those of the sample.
    bootstrap: resamples for "interval", the middle 95 %.
Returns:
    fvd: 0 for equal sets, lower is better. Too high by an amount that falls as 1/n: compare equal n only.
    n_predictions, n_references, net, ddof, units, protocol.
Examples:
    >>> import evaluate, numpy as np
    >>> fvd = evaluate.load("fvd")
    >>> features = np.random.default_rng(0).normal(size=(64, 8))
    >>> round(fvd.compute(predictions=features + 1, references=features)["fvd"], 3)
    8.0
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Fvd(modules.FvdMetric):
    """FVD."""

    description, inputs_description = _DESCRIPTION, _KWARGS_DESCRIPTION
