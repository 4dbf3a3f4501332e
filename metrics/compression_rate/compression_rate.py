"""Numbers in the latents over numbers in the video."""

import evaluate

from vidtwin.metrics import modules

_DESCRIPTION = """Numbers in the latents over numbers in the video.

The maths is that of the vidtwin package (pip install vidtwin)."""
_KWARGS_DESCRIPTION = """
Args:
    predictions: for each clip the list of its latents, or of their shapes.
    references: the clips, or their shapes.
Returns:
    compression_rate: a share (0.002046 is 0.2046 %).
    latent_numbers: numbers in the latents of a clip.
    n_clips, units, protocol.
Examples:
    >>> import evaluate
    >>> rate = evaluate.load("compression_rate")
    >>> latents, clip = [(16, 4, 7, 7), (16, 8, 14)], (16, 3, 224, 224)
    >>> round(rate.compute(predictions=[latents], references=[clip])["compression_rate"], 6)
    0.002046
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class CompressionRate(modules.CompressionRateMetric):
    """Compression rate."""

    description, inputs_description = _DESCRIPTION, _KWARGS_DESCRIPTION
