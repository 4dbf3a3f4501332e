"""Peak signal-to-noise ratio of videos in dB per frame, its mean over frames, then clips."""

import evaluate

from vidtwin.metrics import modules

_DESCRIPTION = """Peak signal-to-noise ratio of videos in dB per frame, its mean over frames, then clips.

The maths is that of the vidtwin package (pip install vidtwin)."""
_KWARGS_DESCRIPTION = """
Args:
    predictions: clips (clips, frames, height, width, 3), an array or a list of clips of unequal sizes;
        uint8, or float in [0, 1].
    references: as many clips of the same sizes.
Returns:
    psnr: in dB, higher is better; equal frames give 80.
    video_psnr: the same with the error pooled over each clip first.
    n_clips, n_frames, units, protocol.
Examples:
    >>> import evaluate, numpy as np
    >>> psnr = evaluate.load("psnr")
    >>> clips = np.zeros((2, 16, 32, 32, 3), np.uint8)
    >>> found = psnr.compute(predictions=clips + 51, references=clips)
    >>> round(found["psnr"], 2), found["n_clips"]
    (13.98, 2)
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Psnr(modules.PsnrMetric):
    """PSNR."""

    description, inputs_description = _DESCRIPTION, _KWARGS_DESCRIPTION
