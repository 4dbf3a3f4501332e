"""Structural similarity of videos per colour and frame, its mean over frames, then clips."""

import evaluate

from vidtwin.metrics import modules

_DESCRIPTION = """Structural similarity of videos per colour and frame, its mean over frames, then clips.

The maths is that of the vidtwin package (pip install vidtwin)."""
_KWARGS_DESCRIPTION = """
Args:
    predictions: clips (clips, frames, height, width, 3), an array or a list of clips of unequal sizes, of 11
        pixels a side or more; uint8, or float in [0, 1].
    references: as many clips of the same sizes.
Returns:
    ssim: 1 for equal clips.
    n_clips, n_frames, units, protocol.
Examples:
    >>> import evaluate, numpy as np
    >>> ssim = evaluate.load("ssim")
    >>> clips = np.zeros((2, 16, 32, 32, 3), np.uint8)
    >>> round(ssim.compute(predictions=clips, references=clips)["ssim"], 2)
    1.0
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Ssim(modules.SsimMetric):
    """SSIM."""

    description, inputs_description = _DESCRIPTION, _KWARGS_DESCRIPTION
