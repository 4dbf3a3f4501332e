"""The loss terms are the means they say they are, in the released ratio."""

import pytest
import torch

from vidtwin.training.losses import (
    adaptive_weight,
    discriminator_term,
    generator_term,
    kl_term,
    likelihood_term,
    psnr_term,
    reconstruction_term,
)

VIDEO = torch.zeros(2, 4, 3, 8, 8)
N = 3 * 8 * 8


@pytest.mark.parametrize(("error", "expected"), [("l1", 0.5), ("l2", 0.25)])
def test_the_reconstruction_term_is_the_mean_error_in_float32(error, expected):
    term = reconstruction_term(VIDEO, torch.full_like(VIDEO, 0.5).bfloat16(), error)
    assert term.dtype == torch.float32
    assert term.item() == expected


def test_another_error_is_refused_by_name():
    with pytest.raises(ValueError, match="error must be one of l1, l2, got 'l3'"):
        reconstruction_term(VIDEO, VIDEO, "l3")


def test_the_kl_term_keeps_the_released_ratio_to_the_pixels_of_one_frame():
    assert kl_term(torch.tensor(192.0), VIDEO).item() == 192.0 / N


def test_the_hinge_rests_where_the_logits_are_right_by_a_margin():
    assert discriminator_term(torch.tensor([1.5]), torch.tensor([-2.0])).item() == 0
    assert discriminator_term(torch.tensor([0.0]), torch.tensor([0.0])).item() == 1


def test_the_generator_wants_high_logits():
    assert generator_term(torch.tensor([1.0, 3.0])).item() == -2


def test_psnr_is_taken_per_frame_of_clamped_pixels():
    prediction = VIDEO.clone()
    prediction[0, 0] = 5.0  # clamped to 1, off by half the range
    scores = psnr_term(VIDEO, prediction)
    assert scores[0].item() == pytest.approx((6.0206 + 3 * 80) / 4, abs=1e-3)
    assert scores[1].item() == pytest.approx(80, abs=1e-4)


def released_sums(x, y, s, kl, last):
    """The released loss and its adaptive weight, in sums over the numbers of a frame, written out."""
    frames = x.shape[0] * x.shape[1]
    nll = ((x - y).abs() / s.exp() + s).sum() / frames
    g = -(y * last).mean()
    nll_gradient, g_gradient = (torch.autograd.grad(each, y, retain_graph=True)[0] for each in (nll, g))
    weight = (nll_gradient.norm() / (g_gradient.norm() + 1e-4)).clamp(0, 1e4)
    return nll + 0.001 * kl + weight * 0.05 * g, nll_gradient, g_gradient


def test_the_mean_form_is_the_released_sum_divided_by_the_numbers_of_a_frame():
    generator = torch.Generator().manual_seed(0)
    x, y, last = (torch.randn(VIDEO.shape, generator=generator) for _ in range(3))
    y.requires_grad_()
    s, kl = torch.tensor(0.3), torch.tensor(900.0)
    released, nll_gradient, g_gradient = released_sums(x, y, s, kl, last)
    weight = adaptive_weight(nll_gradient / N, g_gradient, N)
    ours = (
        likelihood_term(reconstruction_term(x, y), s)
        + 0.001 * kl_term(kl, x)
        + weight * 0.05 * -(y * last).mean()
    )
    torch.testing.assert_close(ours * N, released, rtol=1e-5, atol=1e-5)


def test_the_adaptive_weight_is_bounded_like_the_released_one():
    assert adaptive_weight(torch.tensor([1e9]), torch.tensor([0.0]), N).item() == pytest.approx(1e4 / N)


def reference_step(theta, s, x, bounded):
    """Sum form with a learned log-variance; bounded: mean form, log-variance kept in [-6, 6]."""
    y = (theta * x).clamp(-1, 1)  # saturates, so the error can become exactly zero
    error = (x - y).abs()
    if bounded:
        return likelihood_term(error.mean(), s)
    return (error / s.exp() + s).sum() / x.shape[0]


@pytest.mark.parametrize("bounded", [False, True])
def test_a_learned_log_variance_diverges_in_the_reference_form_and_not_in_ours(bounded):
    """Saturated clips (black or white ones, say) can be fitted exactly; then only the bounds hold s back."""
    x = torch.ones(4, 100)
    theta, s = (torch.zeros((), requires_grad=True) for _ in range(2))
    optimizer = torch.optim.Adam([theta, s], lr=0.5, betas=(0.0, 0.9))
    seen = []
    for _ in range(400):
        loss = reference_step(theta, s, x, bounded)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if bounded:
            s.data.clamp_(-6, 6)
        seen.append(loss.item())
    assert torch.isfinite(torch.tensor(seen)).all().item() is bounded
