"""What the evaluate modules answer, and what they refuse."""

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import evaluate
import numpy as np
import pytest
import torch
from torch import nn

from vidtwin.metrics import path
from vidtwin.metrics.frechet import ENOUGH, frechet_distance
from vidtwin.metrics.functional import psnr, ssim, video_psnr
from vidtwin.metrics.networks import i3d_features


def load(name: str, cache, **options):
    return evaluate.load(path(name), cache_dir=str(cache), **options)


def clips(number: int = 2, seed: int = 0, size: tuple[int, ...] = (4, 16, 20, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, *size), dtype=np.uint8)


class Distance(nn.Module):
    """A stand-in with the call of lpips.LPIPS: the mean of absolute differences, per frame."""

    def forward(self, first, second):
        assert first.ndim == 4 and first.shape[1] == 3 and first.min() >= -1
        return (first - second).abs().mean(dim=(1, 2, 3), keepdim=True)


def pooled(x, rescale, resize, return_features):
    """A stand-in for the I3D detector."""
    return nn.functional.adaptive_avg_pool3d(x, (2, 2, 2)).flatten(1)


def test_psnr_is_the_mean_over_frames_then_clips(tmp_path):
    found = load("psnr", tmp_path).compute(predictions=clips(), references=clips(seed=1))
    wanted = psnr(clips(), clips(seed=1))
    assert found["psnr"] == pytest.approx(wanted.mean().item())
    assert (found["n_clips"], found["n_frames"], found["units"]) == (2, 8, "dB")
    assert found["video_psnr"] == pytest.approx(
        np.mean([video_psnr(one, other) for one, other in zip(clips(), clips(seed=1), strict=True)])
    )


def test_clips_of_unequal_sizes_go_in_as_a_list(tmp_path):
    metric = load("ssim", tmp_path)
    one, other = clips(1)[0], clips(1, size=(7, 30, 12, 3))[0]
    metric.add(prediction=one, reference=one[::-1].copy())
    metric.add_batch(predictions=[torch.from_numpy(other)], references=[other / 255.0])
    found = metric.compute()
    assert found["n_frames"] == 11
    assert found["ssim"] == pytest.approx((ssim(one, one[::-1].copy()).mean().item() + 1) / 2, abs=1e-5)


def test_two_processes_give_the_numbers_of_one(tmp_path):
    first, second = clips(4), clips(4, seed=1)
    whole = load("psnr", tmp_path / "one").compute(predictions=first, references=second)
    parts = [
        load("psnr", tmp_path / "two", num_process=2, process_id=rank, experiment_id="both")
        for rank in (0, 1)
    ]

    def work(rank: int):
        parts[rank].add_batch(predictions=first[rank::2], references=second[rank::2])
        return parts[rank].compute()

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, (0, 1)))
    assert found[1] is None
    assert found[0] == pytest.approx(whole)


def test_metrics_can_be_combined(tmp_path):
    both = evaluate.combine([load("psnr", tmp_path), load("ssim", tmp_path)])
    both.add_batch(predictions=clips(), references=clips())
    found = both.compute()
    assert found["psnr"] == pytest.approx(80) and found["ssim"] == pytest.approx(1)


def test_lpips_uses_the_given_network_and_names_it(tmp_path):
    metric = load("video_lpips", tmp_path, network=Distance())
    found = metric.compute(predictions=clips(size=(20, 16, 20, 3)), references=clips(size=(20, 16, 20, 3)))
    assert (found["video_lpips"], found["net"], found["n_frames"]) == (0, "Distance", 40)
    black = np.zeros((1, 2, 16, 16, 3), np.uint8)
    far = load("video_lpips", tmp_path, network=Distance()).compute(predictions=black, references=black + 255)
    assert far["video_lpips"] == pytest.approx(2)


def test_fvd_of_clips_is_that_of_their_features(tmp_path):
    first, second = clips(5, size=(9, 16, 20, 3)), clips(6, seed=1, size=(9, 16, 20, 3))
    whole = load("fvd", tmp_path, detector=pooled)
    found = whole.compute(predictions=list(first), references=list(second), ddof=0, bootstrap=10)
    assert (found["n_predictions"], found["n_references"], found["ddof"]) == (5, 6, 0)
    assert found["interval"][0] < found["interval"][1] and found["net"] == "function"
    features = [np.stack([i3d_features(pooled, clip) for clip in side]) for side in (first, second)]
    assert found["fvd"] == pytest.approx(frechet_distance(*features, ddof=0))
    ready = load("fvd", tmp_path).compute(predictions=features[0], references=features[1], ddof=0)
    assert ready["fvd"] == pytest.approx(found["fvd"]) and ready["net"] == "features"


def test_fvd_warns_of_few_videos(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("vidtwin.metrics.modules.logger.warning", said.append)
    features = np.random.default_rng(0).normal(size=(ENOUGH, 2))
    load("fvd", tmp_path).compute(predictions=features, references=features)
    assert said == []
    load("fvd", tmp_path).compute(predictions=features[1:], references=features)
    assert len(said) == 1 and "2047 videos" in said[0]


def test_rates_come_from_shapes_or_from_arrays(tmp_path):
    shapes = [(16, 4, 7, 7), (16, 8, 14)], (16, 3, 224, 224)
    found = load("compression_rate", tmp_path).compute(predictions=[shapes[0]], references=[shapes[1]])
    assert found["latent_numbers"] == 4928 and found["compression_rate"] == pytest.approx(0.0020461, abs=1e-7)
    arrays = load("compression_rate", tmp_path)
    arrays.add(prediction=[np.zeros((16, 4, 7, 7)), torch.zeros(16, 8, 14)], reference=np.zeros(shapes[1]))
    arrays.add(prediction=torch.zeros(4928), reference=shapes[1])
    assert arrays.compute()["compression_rate"] == pytest.approx(found["compression_rate"])


def test_seams_are_where_the_clips_meet(tmp_path):
    videos = clips(2, size=(12, 4, 4, 3))
    found = load("seam_ratio", tmp_path, clip_length=4).compute(predictions=videos, references=videos)
    assert found["seam_ratio"] == pytest.approx(1) and found["n_videos"] == 2


@pytest.mark.parametrize("name", ["psnr", "ssim", "video_lpips", "seam_ratio"])
@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (clips(), clips(3), "as many, got 2 and 3"),
        (clips()[0], clips()[0], r"a clip must be \(frames, height, width, 3\), got \(16, 20, 3\)"),
        (clips()[..., :1], clips()[..., :1], "a clip must be"),
        (clips(), clips(size=(4, 16, 24, 3)), r"\(4, 16, 20, 3\) and \(4, 16, 24, 3\)"),
        (clips().astype(int), clips(), r"uint8, or float in \[0, 1\], got int64"),
        (clips() * 1.0, clips(), r"got float in \[0, 255\]"),
        ([], [], "must be as many"),
        (iter(clips()), clips(), "arrays or lists, got"),
        (3, clips(), "arrays or lists, got int"),
        (clips().astype(object), clips(), r"uint8, or float in \[0, 1\], got object"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(tmp_path, name, predictions, references, message):
    options = {"network": Distance()} if name == "video_lpips" else {}
    options |= {"clip_length": 2} if name == "seam_ratio" else {}
    with pytest.raises(ValueError, match=message):
        load(name, tmp_path, **options).compute(predictions=predictions, references=references)


@pytest.mark.parametrize(
    ("latents", "clip"),
    [
        (np.array([[16, 4, 7, 7]]), np.array([[16, 3, 224, 224]])),
        ([(16, 4, 7, 7)], [(16, 3, 224, 224)]),
        ([[np.array([16, 4, 7, 7])]], [torch.tensor([16, 3, 224, 224])]),
    ],
)
def test_shapes_may_be_arrays_and_a_latent_may_stand_alone(tmp_path, latents, clip):
    found = load("compression_rate", tmp_path).compute(predictions=latents, references=clip)
    assert found["compression_rate"] == pytest.approx(16 * 4 * 49 / (16 * 3 * 224 * 224))


def test_fvd_tells_whether_it_computed_the_features_itself(tmp_path):
    """One module used for both in turn."""
    metric = load("fvd", tmp_path, detector=pooled)
    many = list(clips(3, size=(9, 16, 20, 3)))
    assert metric.compute(predictions=many, references=many)["protocol"] == "224x224, squashed"
    features = np.random.default_rng(0).normal(size=(3, 24))
    ready = metric.compute(predictions=features, references=features)
    assert (ready["net"], ready["protocol"]) == ("features", "features as they were given")
    mixed = metric.compute(predictions=many, references=features)
    assert mixed["net"] == "features and function"


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        ([[], [1.0, 2.0]], {}, "must be numbers, one or more"),
        ([["a", "b"]] * 2, {}, "must be numbers"),
        ([[1.0], [2.0]], {"bootstrap": -1}, "from 0 up, got -1"),
        ([[1.0], [2.0]], {"rounds": 3}, "fvd has no option 'rounds' at compute, only ddof, bootstrap"),
        (iter([[1.0]]), {}, "arrays or lists"),
    ],
)
def test_features_and_options_that_do_not_fit_are_refused(tmp_path, features, options, message):
    with pytest.raises(ValueError, match=message):
        load("fvd", tmp_path).compute(predictions=features, references=[[1.0], [2.0]], **options)


def test_an_unknown_option_is_not_ignored(tmp_path):
    with pytest.raises(ValueError, match="psnr has no option 'data_range' at compute, none"):
        load("psnr", tmp_path).compute(predictions=clips(), references=clips(), data_range=255)


WORKER = """
import sys, time, numpy as np, evaluate, vidtwin.metrics
rank, cache = int(sys.argv[1]), sys.argv[2]
metric = evaluate.load("psnr", num_process=2, process_id=rank, experiment_id="x", cache_dir=cache)
clips = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 16, 20, 3), dtype=np.uint8)
for clip in range(rank, 5, 2):
    metric.add(prediction=clips[0, clip], reference=clips[1, clip])
print(metric.compute())
"""


@pytest.mark.slow
def test_two_real_processes_give_the_numbers_of_one(tmp_path):
    first, second = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 16, 20, 3), dtype=np.uint8)
    alone = load("psnr", tmp_path / "one").compute(predictions=first, references=second)
    commands = [[sys.executable, "-c", WORKER, str(rank), str(tmp_path / "two")] for rank in (0, 1)]
    workers = [subprocess.Popen(each, stdout=subprocess.PIPE, text=True) for each in commands]
    said = [worker.communicate(timeout=120)[0].strip().splitlines()[-1] for worker in workers]
    assert said[1] == "None" and ast.literal_eval(said[0]) == pytest.approx(alone)


def test_combined_metrics_take_single_clips(tmp_path):
    both = evaluate.combine([load("psnr", tmp_path), load("ssim", tmp_path)])
    both.add(clips()[0], clips()[0])
    both.add(prediction=clips()[1], reference=clips()[1])
    found = both.compute()
    assert found["psnr"] == pytest.approx(80) and found["ssim"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("video_lpips", {"net": "foo"}, "net must be one of vgg, alex, squeeze, got 'foo'"),
        ("seam_ratio", {"clip_length": 1}, "clip_length must be 2 frames or more, got 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused_when_loading(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        load(name, tmp_path, **options)
