"""The painted still pictures."""

import numpy as np
import pytest

from vidtwin.training.textures import PICTURES, blur, paint_picture, palette, spectral_noise


@pytest.mark.parametrize("kind", [painter.__name__ for painter in PICTURES])
def test_every_kind_of_picture_is_finite_in_range_and_not_flat(kind):
    picture = paint_picture(np.random.default_rng(3), 64, 1.7, kind)
    assert picture.shape == (64, 64, 3) and picture.dtype == np.float32
    assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1
    assert picture.std() > 0.01


def test_an_unknown_kind_of_picture_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="landscape.*'opera'"):
        paint_picture(np.random.default_rng(0), 64, 1.7, "opera")


def test_the_chances_of_the_pictures_add_up_to_one():
    assert sum(PICTURES.values()) == pytest.approx(1)


@pytest.mark.parametrize("exponent", [1.6, 2.4])
def test_the_power_of_spectral_noise_falls_with_the_given_exponent(exponent):
    field = spectral_noise(np.random.default_rng(1), 256, exponent)[0]
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.fft.fftfreq(256)
    radius = np.hypot(frequency[:, None], frequency)
    band = (radius > 0.01) & (radius < 0.4)
    slope = np.polyfit(np.log(radius[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.1)


def test_stretched_noise_changes_more_slowly_along_x():
    field = spectral_noise(np.random.default_rng(1), 128, 2.0, stretch=4.0)[0]
    assert np.abs(np.diff(field, axis=1)).mean() < 0.7 * np.abs(np.diff(field, axis=0)).mean()


def test_palettes_hold_colours_whose_channels_are_strongly_correlated():
    colours = np.concatenate([palette(np.random.default_rng(seed), 16) for seed in range(100)])
    assert colours.min() >= 0 and colours.max() <= 1
    assert np.corrcoef(colours[:, 0], colours[:, 2])[0, 1] > 0.4


def test_a_wide_blur_keeps_the_mean_and_lowers_the_contrast():
    picture = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    soft = blur(picture, 5)
    assert soft.mean() == pytest.approx(picture.mean(), abs=0.01) and soft.std() < 0.3 * picture.std()


def test_a_blur_of_less_than_two_pixels_changes_nothing():
    picture = np.random.default_rng(0).random((16, 16, 3), dtype=np.float32)
    assert np.array_equal(blur(picture, 0.2), picture)
