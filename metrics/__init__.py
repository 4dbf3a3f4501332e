"""Measures of a reconstruction, as the video-tokenizer literature computes them."""
