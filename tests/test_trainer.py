"""The trainer's loss, its log, and its refusal to train on nonsense."""

import copy

import pytest
import torch

from vidtwin.training.arguments import VidTwinTrainingArguments
from vidtwin.training.clips import ClipDataset, DataSettings
from vidtwin.training.trainer import NonFiniteLossError, VidTwinTrainer


@pytest.fixture
def trainer(tiny_model, tmp_path):
    arguments = VidTwinTrainingArguments(
        output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=2, logging_steps=1, use_cpu=True,
        disable_tqdm=True, learning_rate=1e-3, save_strategy="no",
    )  # fmt: skip
    clips = ClipDataset(DataSettings(rendered_share=1.0), num_frames=4, image_size=32, length=4)
    return VidTwinTrainer(model=copy.deepcopy(tiny_model), args=arguments, train_dataset=clips)


def test_every_term_of_the_loss_is_logged(trainer):
    trainer.train()
    assert {"loss", "l1", "kl", "psnr"} <= trainer.state.log_history[0].keys()


def test_the_loss_is_l1_plus_the_weighted_kl_per_number_of_a_frame(trainer):
    trainer.args.sample_posterior = False
    video = torch.full((1, 4, 3, 32, 32), 255, dtype=torch.uint8)
    loss, output = trainer.compute_loss(trainer.model, {"pixel_values_videos": video}, return_outputs=True)
    expected = (1 - output.reconstruction).abs().mean() + 0.001 * output.kl_loss / (3 * 32 * 32)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_loss_that_is_not_finite_stops_training_and_names_the_term(trainer):
    with torch.no_grad():
        trainer.model.head.proj.bias.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"after step 0 \(l1 nan, kl [0-9]"):
        trainer.train()
