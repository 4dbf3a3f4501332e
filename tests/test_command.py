"""Training by recipe: what it leaves behind, and resuming."""

import shutil
import subprocess
import sys

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


def test_a_finished_run_is_not_trained_further(tmp_path):
    """The stream has no end, so the stock loop would begin another epoch."""
    video = make_video(tmp_path / "v.mp4", numbered_frames(30)).read_bytes()
    write_tar(tmp_path / "0.tar", {f"{number}.mp4": video for number in range(4)})
    data = [*QUICK, f"data={{shards: {tmp_path / '0.tar'}}}"]
    first = train_recipe("smoke", tmp_path / "run", overrides=data)
    again = train_recipe("smoke", tmp_path / "run", resume=True, overrides=data)
    assert again.state.global_step == 4 and losses(again) == losses(first)
    assert torch.equal(again.averaged_generator.head.proj.weight, first.averaged_generator.head.proj.weight)
    assert sorted(path.name for path in (tmp_path / "run").glob("checkpoint-*")) == [
        "checkpoint-2",
        "checkpoint-4",
    ]


def test_what_killed_runs_left_is_removed(run, tmp_path):
    shutil.copytree(run[0] / "checkpoint-4", tmp_path / "checkpoint-4")
    (tmp_path / "_tmp-checkpoint-8").mkdir()
    train_recipe("smoke", tmp_path, resume=True, overrides=QUICK)
    assert not (tmp_path / "_tmp-checkpoint-8").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.hidden_size=16", "is of another model: hidden_size 32, not 16"),
        ("gan_weight=0", r"has a discriminator \(gan_weight\), this run not"),
        ("discriminator_dims=3", "has another discriminator"),
        ("ema_decay=0", r"has averaged weights \(ema_decay\), this run not"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(run, tmp_path, change, message):
    shutil.copytree(run[0] / "checkpoint-2", tmp_path / "checkpoint-2")
    with pytest.raises(ValueError, match=message):
        train_recipe("smoke", tmp_path, resume=True, overrides=[*QUICK, change])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data={rendered_share: 1.0, block: 5}"], r"data\.block goes with data\.shards"),
        (["data={shards: here, include: a}"], r"data\.include goes with data\.videos"),
        (["max_steps=1.5"], "max_steps must be a whole number"),
        (["gradient_accumulation_steps=0"], "gradient_accumulation_steps must be above 0"),
        (["save_only_model=true"], "save_only_model would leave checkpoints"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        train_recipe("smoke", tmp_path, overrides=[*QUICK, *settings])


def test_the_launchers_module_fails_in_one_line(tmp_path):
    command = [sys.executable, "-m", "vidtwin.training", "smoke", "--output-dir", str(tmp_path)]
    done = subprocess.run([*command, "--set", "max_stepz=3"], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(
        "Error: --set max_stepz: unknown name. Did you mean 'max_steps'"
    )
