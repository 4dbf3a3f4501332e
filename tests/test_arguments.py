"""Training arguments are checked where they are made."""

import pytest

from vidtwin.training.arguments import VidTwinTrainingArguments


def make(tmp_path, **options):
    return VidTwinTrainingArguments(output_dir=str(tmp_path), **{"max_steps": 1, "use_cpu": True, **options})


def test_max_steps_must_be_given(tmp_path):
    with pytest.raises(ValueError, match="max_steps must be given"):
        make(tmp_path, max_steps=-1)


@pytest.mark.parametrize(
    "name", ["kl_weight", "perceptual_weight", "gan_weight", "gan_start", "sample_steps"]
)
def test_a_negative_number_is_refused_by_name(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got -1"):
        make(tmp_path, **{name: -1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": "l3"}, "error must be one of l1, l2"),
        ({"discriminator_norm": "layer"}, "discriminator_norm must be one of batch, group, sync"),
        ({"discriminator_dims": 4}, "discriminator_dims must be 2 or 3"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\)"),
        ({"max_grad_norm": 0.0}, "max_grad_norm must be above 0"),
        ({"logvar_min": 2.0, "logvar_max": 1.0}, "logvar_min .2.0. must not be above"),
        ({"discriminator_norm": "sync"}, "sync exists on GPUs only"),
        ({"torch_compile": True}, "set compile_blocks instead"),
        ({"fp16": True}, "use bf16"),
        ({"fsdp": True}, "use DDP"),
        ({"push_to_hub": True, "hub_strategy": "every_save"}, "hub_strategy must be end"),
    ],
)
def test_what_cannot_be_trained_with_is_refused_in_a_sentence(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make(tmp_path, **options)


def test_many_gpus_in_one_process_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(VidTwinTrainingArguments, "n_gpu", 2)
    with pytest.raises(ValueError, match="one process per GPU"):
        make(tmp_path)


def test_nothing_is_reported_anywhere_by_default(tmp_path):
    assert make(tmp_path).report_to == []
