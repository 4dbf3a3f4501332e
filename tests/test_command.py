"""Training by recipe: what it leaves behind, and resuming."""

import pytest
import torch

from vidtwin import VidTwinModel, VidTwinVideoProcessor
from vidtwin.training.command import train_recipe

QUICK = ["max_steps=4", "save_steps=2", "logging_steps=1", "use_cpu=true", "disable_tqdm=true"]


def losses(trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the smoke recipe with checkpoints at steps 2 and 4: (folder, trainer)."""
    folder = tmp_path_factory.mktemp("run")
    return folder, train_recipe("smoke", folder, overrides=QUICK)


def test_training_leaves_a_folder_that_from_pretrained_loads(run):
    folder, trainer = run
    model = VidTwinModel.from_pretrained(folder)
    assert torch.equal(model.head.proj.weight, trainer.model.head.proj.weight)
    assert VidTwinVideoProcessor.from_pretrained(folder).crop_size.height == 32


def test_a_resumed_run_ends_with_the_same_weights_and_log(run, tmp_path):
    folder, whole = run
    resumed = train_recipe("smoke", tmp_path, resume=str(folder / "checkpoint-2"), overrides=QUICK)
    assert losses(resumed) == losses(whole)
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_folder_with_checkpoints_is_not_trained_over(run):
    with pytest.raises(ValueError, match="Give --resume, or another folder"):
        train_recipe("smoke", run[0], overrides=QUICK)


def test_naming_something_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        train_recipe("smoke", tmp_path, resume=str(tmp_path / "checkpoint-9"), overrides=QUICK)


def test_weights_and_an_architecture_together_are_refused(tmp_path):
    with pytest.raises(ValueError, match="model must be empty with from_pretrained"):
        train_recipe("smoke", tmp_path, overrides=["from_pretrained=demo"])


def test_training_starts_from_a_models_weights(run, tmp_path):
    overrides = [*QUICK, "model={}", f"from_pretrained={run[0]}", "learning_rate=0.0", "weight_decay=0.0"]
    trainer = train_recipe("smoke", tmp_path, overrides=overrides)
    assert torch.equal(trainer.model.head.proj.weight, run[1].model.head.proj.weight)
