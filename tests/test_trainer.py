"""The trainer: its log, its two networks, its refusal to train on nonsense, and exact resuming."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from video_maker import make_video, numbered_frames, write_tar

from vidtwin import VidTwinModel
from vidtwin.training.arguments import VidTwinTrainingArguments
from vidtwin.training.clips import ClipDataset, DataSettings
from vidtwin.training.gan import AdversarialVidTwin, LossWeights
from vidtwin.training.stream import ClipStream, StreamSettings
from vidtwin.training.trainer import NonFiniteLossError, VidTwinTrainer

OPTIONS = {
    "max_steps": 6,
    "per_device_train_batch_size": 2,
    "logging_steps": 1,
    "save_steps": 3,
    "use_cpu": True,
    "disable_tqdm": True,
    "learning_rate": 1e-3,
    "perceptual_weight": 0.0,
    "gan_start": 2,
    "discriminator_learning_rate": 1e-3,
    "ema_decay": 0.9,
}


@pytest.fixture
def make(tiny_model, tmp_path):
    def trainer(folder="run", model=None, clips=None, **options):
        arguments = VidTwinTrainingArguments(output_dir=str(tmp_path / folder), **{**OPTIONS, **options})
        rendered = ClipDataset(DataSettings(rendered_share=1.0), num_frames=4, image_size=32, length=64)
        torch.manual_seed(0)
        return VidTwinTrainer(
            model=copy.deepcopy(tiny_model) if model is None else model,
            args=arguments,
            train_dataset=clips or rendered,
            eval_dataset=torch.utils.data.Subset(rendered, range(3)),
        )

    return trainer


def log(trainer):
    """What was logged of training, without the clock's share."""
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def tensors(trainer):
    """Every trained number, the average, and the optimizer's state."""
    found = dict(trainer.model.state_dict())
    if trainer.ema is not None:
        found |= {f"ema.{name}": value for name, value in trainer.ema.state_dict().items()}
    for index, state in trainer.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return found


def assert_equal(first, second):
    assert log(first) == log(second)
    ours, theirs = tensors(first), tensors(second)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_every_term_of_both_networks_is_logged(make):
    trainer = make()
    trainer.train()
    before, after = log(trainer)[0], log(trainer)[-1]
    assert {"loss", "l1", "kl", "psnr", "grad_norm"} <= before.keys() and "discriminator" not in before
    assert {"generator", "adversarial_weight", "logits_real", "grad_norm_discriminator"} <= after.keys()


def test_the_discriminator_does_not_move_before_its_start(make):
    trainer = make(gan_start=3, max_steps=3)
    start = copy.deepcopy(trainer.model.discriminator.state_dict())
    trainer.train()
    moved = [
        name
        for name, value in trainer.model.discriminator.state_dict().items()
        if not value.equal(start[name])
    ]
    assert moved == []


def test_the_discriminator_moves_after_its_start(make):
    trainer = make(gan_start=2, max_steps=3)
    start = copy.deepcopy(trainer.model.discriminator.state_dict())
    trainer.train()
    assert not any(
        torch.equal(value, start[name]) for name, value in trainer.model.discriminator.named_parameters()
    )


def test_each_network_has_its_own_schedule(make):
    trainer = make(
        max_steps=10, gan_start=4, warmup_steps=2, discriminator_warmup_steps=4, discriminator_warmup_from=0.5
    )
    trainer.create_optimizer_and_scheduler(10)
    rates = {"generator": [], "discriminator": []}
    for _ in range(10):
        for group in trainer.optimizer.param_groups:
            rates[group["name"]].append(group["lr"] / 1e-3)
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    per_step = {name: values[:: len(values) // 10] for name, values in rates.items()}
    assert per_step["generator"][:4] == pytest.approx([0, 0.5, 1, 7 / 8])
    assert per_step["discriminator"] == pytest.approx([0, 0, 0, 0, 0.5, 0.625, 0.75, 0.875, 1, 0.5])


def test_weight_decay_spares_biases_and_norms(make):
    trainer = make(weight_decay=0.1)
    for group in trainer.create_optimizer().param_groups:
        assert group["weight_decay"] == (0.1 if any(p.ndim > 1 for p in group["params"]) else 0.0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_accumulation_steps": 2},
        pytest.param({"bf16": True}, marks=pytest.mark.slow),  # emulated on most processors
        {"ema_decay": 0.0},
    ],
)
@pytest.mark.parametrize("gan_start", [1, 4])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(make, tmp_path, options, gan_start):
    whole = make("whole", gan_start=gan_start, **options)
    whole.train()
    resumed = make("resumed", gan_start=gan_start, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert_equal(resumed, whole)


def test_a_streamed_run_resumes_exactly_with_its_refused_clips(make, tmp_path):
    """Across an epoch's end: the stream has 5 videos, one of them broken, and a step takes 2."""
    video = make_video(tmp_path / "v.mp4", numbered_frames(12)).read_bytes()
    write_tar(tmp_path / "train-0.tar", {f"{i}.mp4": b"" if i == 3 else video for i in range(5)})
    clips = ClipStream(StreamSettings(str(tmp_path), block=2), num_frames=4, image_size=32)
    whole, resumed = make("whole", clips=clips), make("resumed", clips=clips)
    whole.train()
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert_equal(resumed, whole)
    assert log(resumed)[-1]["refused_clips"] == 3


def test_resuming_with_other_weights_in_memory_changes_nothing(make, tmp_path, tiny_config):
    whole = make("whole")
    whole.train()
    torch.manual_seed(9)
    resumed = make("resumed", model=VidTwinModel(tiny_config))
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert_equal(resumed, whole)


def test_a_checkpoint_and_its_average_load_as_models(make, tmp_path):
    trainer = make()
    trainer.train()
    last = tmp_path / "run" / "checkpoint-6"
    raw, average = VidTwinModel.from_pretrained(last), VidTwinModel.from_pretrained(last / "ema")
    assert torch.equal(raw.head.proj.weight, trainer.generator.head.proj.weight)
    assert torch.equal(average.head.proj.weight, trainer.averaged_generator.head.proj.weight)
    assert not torch.equal(raw.head.proj.weight, average.head.proj.weight)


def test_the_finished_model_has_the_averaged_weights_and_no_discriminator(make, tmp_path):
    trainer = make()
    trainer.train()
    trainer.save_model()
    saved = load_file(tmp_path / "run" / "model.safetensors")
    assert torch.equal(saved["head.proj.weight"], trainer.averaged_generator.head.proj.weight)
    assert saved.keys() == trainer.generator.state_dict().keys()


def test_old_checkpoints_are_removed_by_the_limit(make, tmp_path):
    make(save_steps=2, save_total_limit=2).train()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"checkpoint-4", "checkpoint-6"}


def test_an_incomplete_checkpoint_is_refused_by_file_name(make, tmp_path):
    make().train()
    checkpoint = tmp_path / "run" / "checkpoint-3"
    (checkpoint / "optimizer.pt").unlink()
    with pytest.raises(ValueError, match="not a whole checkpoint: missing or cut short are optimizer.pt"):
        make("again").train(resume_from_checkpoint=str(checkpoint))


def test_evaluation_is_of_the_averaged_weights_at_the_posterior_mean(make):
    trainer = make()
    trainer.train()
    first, again = trainer.evaluate(), trainer.evaluate()
    assert first["eval_psnr"] == again["eval_psnr"]
    with torch.no_grad():
        trainer.averaged_generator.head.proj.bias.fill_(3.0)
    assert trainer.evaluate()["eval_psnr"] < first["eval_psnr"] - 1


def test_the_best_checkpoint_is_remembered_under_its_final_name(make, tmp_path):
    trainer = make(
        eval_strategy="steps", eval_steps=3, load_best_model_at_end=True, metric_for_best_model="psnr"
    )
    trainer.train()
    best = tmp_path / "run" / f"checkpoint-{trainer.state.best_global_step}"
    assert trainer.state.best_model_checkpoint == str(best) and best.is_dir()


@pytest.mark.parametrize("when", ["loss", "gradient"])
def test_a_number_that_is_not_finite_stops_the_run_with_the_last_good_weights_saved(make, tmp_path, when):
    trainer = make(gan_start=9, max_steps=4, save_steps=100)
    compute = trainer.compute_loss

    def spoiled(model, inputs, **kwargs):
        loss = compute(model, inputs, **kwargs)
        if trainer.state.global_step == 2:
            spoil = trainer.generator.head.proj.bias.sum()
            if when == "loss":
                trainer._latest["l1"] = torch.tensor(float("nan"))
            loss = loss + (spoil.abs() - spoil.abs()).sqrt()  # zero, with a gradient that is not a number
        return loss

    trainer.compute_loss = spoiled
    with pytest.raises(NonFiniteLossError, match=r"not finite at step 3 \(.*nan.*checkpoint-2"):
        trainer.train()
    saved = VidTwinModel.from_pretrained(tmp_path / "run" / "checkpoint-2")
    assert all(torch.isfinite(parameter).all() for parameter in saved.parameters())


def test_frames_too_small_for_the_discriminator_are_refused(make, tiny_config):
    small = VidTwinModel(type(tiny_config).from_dict({**tiny_config.to_dict(), "image_size": 16}))
    with pytest.raises(ValueError, match="needs frames of 24 pixels, got 16"):
        make(model=small)


def test_samples_are_written_while_training(make, tmp_path):
    make(sample_steps=3, max_steps=3).train()
    assert (tmp_path / "run" / "samples" / "step-3.png").exists()


def test_gradient_checkpointing_reaches_the_generators_blocks(make):
    trainer = make(gradient_checkpointing=True, max_steps=1)
    trainer.train()
    assert all(layer.gradient_checkpointing for layer in trainer.generator.encoder.layers)


def test_only_the_generators_blocks_are_compiled(make, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    generator = make(compile_blocks=True).generator
    assert compiled == [*generator.encoder.layers, *generator.decoder.layers]


def test_a_run_shorter_than_its_decay_still_trains(make):
    """A decay of 600 steps would leave a run of 10 with almost no learning rate."""
    trainer = make(
        max_steps=10,
        warmup_steps=2,
        gan_start=4,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": 600},
    )
    trainer.create_optimizer_and_scheduler(10)
    rates: dict[str, list[float]] = {"generator": [], "discriminator": []}
    for _ in range(10):
        for group in trainer.optimizer.param_groups:
            rates[group["name"]].append(group["lr"] / 1e-3)
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    generator, discriminator = (values[:: len(values) // 10] for values in rates.values())
    assert generator[2] == 1 and generator[2:] == sorted(generator[2:], reverse=True) and generator[6] > 0.3
    assert discriminator[4] == 1 and discriminator[:4] == [0] * 4


def test_a_term_that_starts_within_a_window_of_the_log_is_averaged_over_its_own_steps(make):
    logs = []
    for every in (1, 4):
        trainer = make(str(every), max_steps=4, logging_steps=every)
        trainer.train()
        logs.append(log(trainer))
    each, (whole,) = logs
    for name in ("generator", "adversarial_weight"):
        values = [entry[name] for entry in each if name in entry][-2:]
        assert whole[name] == pytest.approx(sum(values) / 2, rel=1e-3)


def test_a_learned_log_variance_at_an_aggressive_rate_is_stopped_and_not_spoilt(make, tiny_model):
    """The plain loop goes on with what is no number; the trainer stops before that step, weights intact."""
    clips = ClipDataset(DataSettings(rendered_share=1.0), num_frames=4, image_size=32, length=64)
    torch.manual_seed(0)
    module = AdversarialVidTwin(copy.deepcopy(tiny_model), LossWeights(perceptual=0.0), learn_logvar=True)
    optimizer = torch.optim.AdamW(module.train().parameters(), lr=3.0)
    for number in range(60):
        video = clips[number]["pixel_values_videos"][None] / 127.5 - 1
        optimizer.zero_grad()
        module(video)["loss"].backward()
        optimizer.step()
    assert not all(weight.isfinite().all() for weight in module.parameters())

    trainer = make(max_steps=60, learning_rate=3.0, learn_logvar=True, gan_weight=0.0, max_grad_norm=1e9)
    with pytest.raises(NonFiniteLossError, match="logvar"):
        trainer.train()
    assert all(weight.isfinite().all() for weight in trainer.model.parameters())
    assert -6 <= trainer.model.logvar.item() <= 6


def test_a_run_that_pushes_leaves_the_averaged_weights_and_its_card_on_the_hub(make, hub):
    trainer = make(push_to_hub=True, hub_model_id="me/trained", save_steps=2)
    trainer.train()
    trainer.save_model()
    files = hub.files("me/trained")
    found, wanted = VidTwinModel.from_pretrained("me/trained"), trainer.averaged_generator.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.state_dict().items())
    assert "- steps: 6 of 6" in files["README.md"].decode() and "modeling_vidtwin.py" in files
    assert not {"optimizer.pt", "training_args.bin", "scheduler.pt"} & {Path(name).name for name in files}
