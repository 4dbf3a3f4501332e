"""Training by recipe: what it leaves behind, and resuming."""

import shutil

import pytest
import torch
from video_maker import make_video, numbered_frames, write_tar

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
    assert torch.equal(model.head.proj.weight, trainer.averaged_generator.head.proj.weight)
    assert VidTwinVideoProcessor.from_pretrained(folder).crop_size.height == 32


@pytest.mark.parametrize("by_name", [True, False])
def test_a_resumed_run_ends_with_the_same_weights_and_log(run, tmp_path, by_name):
    folder, whole = run
    shutil.copytree(folder / "checkpoint-2", tmp_path / "checkpoint-2")
    resumed = train_recipe("smoke", tmp_path, str(tmp_path / "checkpoint-2") if by_name else True, QUICK)
    assert losses(resumed) == losses(whole)
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_resuming_passes_over_torn_checkpoints(run, tmp_path):
    folder, whole = run
    shutil.copytree(folder / "checkpoint-2", tmp_path / "checkpoint-2")
    shutil.copytree(folder / "checkpoint-4", tmp_path / "checkpoint-3")
    (tmp_path / "checkpoint-3" / "optimizer.pt").unlink()
    (tmp_path / "_tmp-checkpoint-3").mkdir()
    assert losses(train_recipe("smoke", tmp_path, resume=True, overrides=QUICK)) == losses(whole)


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
    torch.testing.assert_close(trainer.generator.head.proj.weight, run[1].averaged_generator.head.proj.weight)


def test_evaluation_clips_are_evaluated_while_training(tmp_path):
    settings = ["eval_data={rendered_share: 1.0}", "eval_clips=2", "eval_strategy=steps", "eval_steps=2"]
    trainer = train_recipe("smoke", tmp_path, overrides=[*QUICK, *settings])
    assert sum("eval_psnr" in entry for entry in trainer.state.log_history) == 2


def test_the_finished_model_knows_its_latents_statistics_and_has_a_card(run):
    config = VidTwinModel.from_pretrained(run[0]).config
    assert len(config.structure_mean) == config.structure_channels
    assert "steps: 4 of 4, 2 clips each" in (run[0] / "README.md").read_text()


@pytest.fixture
def shards(tmp_path):
    video = make_video(tmp_path / "v.mp4", numbered_frames(12)).read_bytes()
    write_tar(tmp_path / "train-0.tar", {f"{number}.mp4": video for number in range(3)})
    return tmp_path / "train-0.tar"


def test_training_streams_from_shards(shards, tmp_path):
    trainer = train_recipe("smoke", tmp_path / "run", overrides=[*QUICK, f"data={{shards: {shards}}}"])
    assert [entry["refused_clips"] for entry in trainer.state.log_history if "loss" in entry] == [0] * 4


def test_two_sources_of_clips_are_refused(shards, tmp_path):
    settings = [f"data.shards={shards}", "data.rendered_share=0.5"]
    with pytest.raises(ValueError, match="two sources: give one"):
        train_recipe("smoke", tmp_path / "run", overrides=[*QUICK, *settings])


def test_a_recipe_without_its_shards_says_what_to_set(tmp_path):
    settings = ["perceptual_weight=0", "bf16=false", "model={num_hidden_layers: 1, hidden_size: 32}"]
    with pytest.raises(ValueError, match="--set data.shards=FOLDER"):
        train_recipe("small", tmp_path / "run", overrides=[*QUICK, *settings])
