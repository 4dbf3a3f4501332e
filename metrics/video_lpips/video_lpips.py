"""Learned perceptual distance (LPIPS) of videos per frame, its mean over frames, then clips."""

import evaluate

from vidtwin.metrics import modules

_DESCRIPTION = """Learned perceptual distance (LPIPS) of videos per frame, its mean over frames, then clips.

The maths is that of the vidtwin package (pip install vidtwin)."""
_KWARGS_DESCRIPTION = """
Args, when loading: evaluate.load("video_lpips", net="vgg") or "alex", "squeeze"; network: a module of your
    own with the call of lpips.LPIPS.
Args:
    predictions: clips (clips, frames, height, width, 3), an array or a list of clips of unequal sizes;
        uint8, or float in [0, 1].
    references: as many clips of the same sizes.
Returns:
    video_lpips: 0 for equal clips, lower is better.
    net, n_clips, n_frames, units, protocol.
Examples:
    >>> import evaluate, lpips, numpy as np
    >>> network = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False).eval()  # needs no download
    >>> metric = evaluate.load("video_lpips", network=network)
    >>> clips = np.zeros((1, 2, 64, 64, 3), np.uint8)
    >>> metric.compute(predictions=clips, references=clips)["video_lpips"]
    0.0
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class VideoLpips(modules.VideoLpipsMetric):
    """Video LPIPS."""

    description, inputs_description = _DESCRIPTION, _KWARGS_DESCRIPTION
