"""Averaged weights, bounds, sample videos."""

import copy
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from vidtwin.modeling_vidtwin.video_io import read_video
from vidtwin.training.callbacks import AfterEachStep, SampleVideos, averaged
from vidtwin.training.gan import AdversarialVidTwin, LossWeights


@pytest.fixture
def module(tiny_model):
    return AdversarialVidTwin(copy.deepcopy(tiny_model), LossWeights(), learn_logvar=True)


@pytest.fixture
def clips():
    return torch.randint(
        0, 256, (2, 4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def state(step: int = 1) -> SimpleNamespace:
    return SimpleNamespace(global_step=step, max_steps=4, epoch=0.0)


def test_the_epoch_is_the_share_of_the_run_that_is_done(module):
    at = state(step=3)
    AfterEachStep(module, None, (-1, 1)).on_step_end(None, at, None)
    assert at.epoch == 0.75


def test_the_average_starts_at_the_first_weights_and_follows_by_its_decay(module):
    ema = averaged(module.generator, 0.75)
    weight = module.generator.head.proj.weight
    after = AfterEachStep(module, ema, (-1, 1))
    with torch.no_grad():
        for value in (1.0, 5.0):
            weight.fill_(value)
            after.on_step_end(None, state(), None)
    assert torch.equal(ema.module.head.proj.weight, torch.full_like(weight, 2.0))


def test_the_log_variance_is_brought_back_into_its_bounds(module):
    with torch.no_grad():
        module.logvar.fill_(-9.0)
    AfterEachStep(module, None, (-2.0, 2.0)).on_step_end(None, state(), None)
    assert module.logvar.item() == -2


def test_each_clip_is_shown_beside_its_three_decodings(tiny_model, clips, tmp_path):
    model = copy.deepcopy(tiny_model).train()
    SampleVideos(clips, lambda: model, every=5).write(tmp_path / "samples", 5)
    frames, fps = read_video(tmp_path / "samples" / "step-5.mp4")
    assert len(frames) == 4 and fps == 8
    assert frames.shape[2] == 2 * (4 * 32 + 3 * 4)
    with Image.open(tmp_path / "samples" / "step-5.png") as picture:
        assert picture.width == 2 * 32 + 4
    assert model.training


def test_samples_come_at_their_steps_from_the_first_process_alone(tiny_model, clips, tmp_path):
    samples = SampleVideos(clips, lambda: tiny_model, every=5)
    arguments = SimpleNamespace(output_dir=str(tmp_path))
    for step, first in ((4, True), (5, False)):
        samples.on_step_end(arguments, SimpleNamespace(global_step=step, is_world_process_zero=first), None)
    assert not (tmp_path / "samples").exists()
    samples.on_step_end(arguments, SimpleNamespace(global_step=5, is_world_process_zero=True), None)
    assert (tmp_path / "samples" / "step-5.mp4").exists()
