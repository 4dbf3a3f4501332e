"""Measures of a reconstruction, as the video-tokenizer literature computes them.

Importing this room makes `evaluate.load("fvd")` and the others work from any folder, also offline; see
`install`.
"""

from .hub_names import NAMES, install, install_quietly, path

__all__ = ["NAMES", "install", "path"]

install_quietly()
