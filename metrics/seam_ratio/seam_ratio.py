"""How much more a long reconstruction changes where its clips meet than within them."""

import evaluate

from vidtwin.metrics import modules

_DESCRIPTION = """How much more a long reconstruction changes where its clips meet than within them.

The maths is that of the vidtwin package (pip install vidtwin)."""
_KWARGS_DESCRIPTION = """
Args, when loading: evaluate.load("seam_ratio", clip_length=16), the frames of the model's clips.
Args:
    predictions: long videos (videos, frames, height, width, 3), an array or a list of videos of unequal
        lengths; uint8, or float in [0, 1].
    references: as many videos of the same sizes.
Returns:
    seam_ratio: 1 is seamless, up to 1.2 is good, 10 is broken.
    n_videos, units, protocol.
Examples:
    >>> import evaluate, numpy as np
    >>> seam = evaluate.load("seam_ratio", clip_length=4)
    >>> videos = np.random.default_rng(0).random((1, 12, 16, 16, 3))
    >>> seam.compute(predictions=videos, references=videos)["seam_ratio"]
    1.0
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class SeamRatio(modules.SeamRatioMetric):
    """Seam ratio."""

    description, inputs_description = _DESCRIPTION, _KWARGS_DESCRIPTION
