"""The loss terms are the means they say they are."""

import torch

from vidtwin.training.losses import kl_term, reconstruction_term


def test_the_reconstruction_term_is_the_mean_absolute_error_in_float32():
    video = torch.zeros(2, 4, 3, 8, 8)
    term = reconstruction_term(video, torch.full_like(video, 0.5).bfloat16())
    assert term.dtype == torch.float32
    assert term.item() == 0.5


def test_the_kl_term_keeps_the_released_ratio_to_the_pixels_of_one_frame():
    video = torch.zeros(2, 4, 3, 8, 8)
    assert kl_term(torch.tensor(192.0), video).item() == 192.0 / (3 * 8 * 8)
