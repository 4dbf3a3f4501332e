"""VidTwinConfig: what it refuses, what it accepts, what it derives, and what a saved one holds."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub.errors import (
    StrictDataclassClassValidationError,
    StrictDataclassError,
    StrictDataclassFieldValidationError,
)
from transformers import AutoConfig

from vidtwin import VidTwinConfig

STATISTICS = ("structure_mean", "structure_std", "dynamics_mean", "dynamics_std")
COUNTS = [
    name
    for name, value in VidTwinConfig().to_dict().items()
    if name in VidTwinConfig._own_fields() and isinstance(value, int)
]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What transformers and vidtwin log; transformers' own records do not reach pytest by themselves."""
    logging.getLogger("transformers").addHandler(caplog.handler)
    yield caplog
    logging.getLogger("transformers").removeHandler(caplog.handler)


def saved(config: VidTwinConfig, folder: Path) -> dict[str, Any]:
    """What config.json holds."""
    config.save_pretrained(folder)
    return json.loads((folder / "config.json").read_text())


def in_a_file(folder: Path, **content: Any) -> Path:
    """A folder whose config.json also holds `content`."""
    (folder / "config.json").write_text(json.dumps({"model_type": "vidtwin", **content}))
    return folder


# Types


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_size", 768.0),
        ("hidden_size", "768"),
        ("image_size", True),
        ("image_size", [224, 224]),
        ("num_frames", None),
        ("num_frames", np.int64(16)),
        ("layer_norm_eps", "1e-6"),
        ("qformer_dropout", None),
        ("structure_head", None),
        ("structure_mean", 0.0),
        ("structure_mean", ["0", "0", "0", "0"]),
        ("structure_std", np.ones(4)),
        ("dynamics_mean", list(np.ones(8, dtype=np.float32))),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(field: str, value: object) -> None:
    with pytest.raises(StrictDataclassFieldValidationError, match=field):
        VidTwinConfig(**{field: value})


def test_a_field_set_later_is_checked_too() -> None:
    config = VidTwinConfig()
    with pytest.raises(StrictDataclassFieldValidationError, match="num_frames"):
        config.num_frames = "sixteen"


def test_a_config_made_wrong_later_is_not_saved(tmp_path: Path) -> None:
    config = VidTwinConfig()
    config.image_size = 225
    with pytest.raises(StrictDataclassClassValidationError, match="image_size"):
        config.save_pretrained(tmp_path)


def test_a_whole_number_may_stand_for_a_float() -> None:
    assert VidTwinConfig(qformer_dropout=0).qformer_dropout == 0


# Keywords


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [
        ("patchsize", "patch_size"),
        ("num_frame", "num_frames"),
        ("hiden_size", "hidden_size"),
        ("structure_channel", "structure_channels"),
        ("qformer_num_layers", "qformer_num_hidden_layers"),
    ],
)
def test_a_misspelt_keyword_is_refused_with_the_nearest_field(misspelt: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"no field '{misspelt}'. Did you mean '{nearest}'"):
        VidTwinConfig(**{misspelt: 8})


def test_a_keyword_like_no_field_is_refused_with_all_fields() -> None:
    with pytest.raises(ValueError, match="no field 'zzz'. Known are: image_size, .*dynamics_std"):
        VidTwinConfig(zzz=1)


def test_every_wrong_keyword_is_named() -> None:
    with pytest.raises(ValueError, match="'patchsize'.*'framerate'"):
        VidTwinConfig(patchsize=8, framerate=8)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("num_labels", 3),
        ("id2label", {0: "a", 1: "b"}),
        ("label2id", {"a": 0, "b": 1}),
        ("problem_type", "regression"),
        ("output_attentions", True),
        ("output_hidden_states", True),
        ("return_dict", False),
        ("dtype", "float16"),
        ("torch_dtype", "float16"),
        ("attn_implementation", "eager"),
        ("tie_word_embeddings", False),
        ("architectures", ["VidTwinModel"]),
        ("chunk_size_feed_forward", 3),
        ("name_or_path", "org/name"),
        ("use_cache", False),
        ("trust_remote_code", True),
        ("auto_map", {}),
        ("model_type", "vidtwin"),
        ("quantization_config", {}),
        ("_commit_hash", "0" * 40),
        ("_attn_implementation", "eager"),
    ],
)
def test_a_keyword_of_transformers_is_accepted(keyword: str, value: object) -> None:
    assert VidTwinConfig(**{keyword: value}).num_frames == 16


def test_a_keyword_of_transformers_has_its_effect() -> None:
    config = VidTwinConfig(num_labels=3, attn_implementation="eager")
    assert (config.num_labels, config._attn_implementation) == (3, "eager")


# Sizes that do not fit


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_below_its_least_is_refused(name: str) -> None:
    least = 0 if name.endswith("num_downsamples") else 1
    with pytest.raises(StrictDataclassError, match=f"{name} must be at least {least}, got {least - 1}"):
        VidTwinConfig(**{name: least - 1})


@pytest.mark.parametrize("part", ["structure", "dynamics"])
def test_a_branch_may_keep_the_whole_grid(part: str) -> None:
    config = VidTwinConfig(**{f"{part}_num_downsamples": 0})
    assert getattr(config, f"{part}_size") == config.grid_size


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": 225}, r"image_size \(225\) must be a multiple of patch_size \(16\), for example 224"),
        ({"patch_size": 448}, r"image_size \(224\) must be a multiple of patch_size \(448\)"),
        ({"hidden_size": 770, "num_attention_heads": 10}, r"hidden_size \(770\) must be a multiple of .*4"),
        ({"hidden_size": 772}, r"hidden_size \(772\) must be a multiple of num_attention_heads \(12\)"),
        ({"num_attention_heads": 7}, r"multiple of num_attention_heads \(7\)"),
        ({"qformer_num_attention_heads": 7}, r"qformer_num_attention_heads \(7\), for example 63"),
    ],
)
def test_sizes_that_do_not_divide_are_refused_with_one_that_does(
    fields: dict[str, int], message: str
) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match=message):
        VidTwinConfig(**fields)


@pytest.mark.parametrize("field", ["structure_head", "dynamics_head"])
def test_an_unknown_head_is_refused_with_the_known_ones(field: str) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match=f"{field} must be one of .*qformer"):
        VidTwinConfig(**{field: "pooling"})


@pytest.mark.parametrize("value", [0.0, -1e-6, float("inf"), float("nan")])
@pytest.mark.parametrize("field", ["layer_norm_eps", "qformer_layer_norm_eps"])
def test_an_epsilon_that_is_not_positive_and_finite_is_refused(field: str, value: float) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match=f"{field} must be positive"):
        VidTwinConfig(**{field: value})


@pytest.mark.parametrize("value", [-0.1, 1.0, 1, float("nan")])
def test_a_dropout_outside_0_and_1_is_refused(value: float) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match="qformer_dropout must be in"):
        VidTwinConfig(qformer_dropout=value)


# Latent statistics


@pytest.mark.parametrize("field", STATISTICS)
def test_statistics_of_another_length_are_refused(field: str) -> None:
    channels = getattr(VidTwinConfig(), field.split("_")[0] + "_channels")
    with pytest.raises(StrictDataclassClassValidationError, match=f"{field} must have {channels} numbers"):
        VidTwinConfig(**{field: [1.0] * (channels + 1)})


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_standard_deviation_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match="structure_std must be finite"):
        VidTwinConfig(structure_std=[1.0, 1.0, 1.0, value])


def test_a_mean_may_be_negative_and_must_be_finite() -> None:
    assert VidTwinConfig(structure_mean=[-1, 0, 1, 2]).structure_mean == [-1, 0, 1, 2]
    with pytest.raises(StrictDataclassClassValidationError, match="structure_mean must be finite"):
        VidTwinConfig(structure_mean=[0.0, 0.0, 0.0, float("nan")])


@pytest.mark.parametrize("field", STATISTICS)
def test_a_tuple_of_statistics_becomes_a_list(field: str) -> None:
    channels = getattr(VidTwinConfig(), field.split("_")[0] + "_channels")
    assert getattr(VidTwinConfig(**{field: (1.0,) * channels}), field) == [1.0] * channels


# Derived numbers


def test_the_default_has_the_papers_latents() -> None:
    config = VidTwinConfig()
    assert config.structure_shape == (16, 4, 7, 7) and config.dynamics_shape == (16, 8, 14)


def test_the_default_compresses_to_0_2046_percent() -> None:
    config = VidTwinConfig()
    assert config.num_latents == 4928
    assert config.compression_rate == 4928 / 2_408_448
    assert f"{config.compression_rate:.4%}" == "0.2046%"


def test_an_odd_grid_is_halved_upwards() -> None:
    config = VidTwinConfig(image_size=112, structure_num_downsamples=2, dynamics_num_downsamples=1)
    assert (config.grid_size, config.structure_size, config.dynamics_size) == (7, 2, 4)


@pytest.mark.parametrize("name", ["structure_shape", "num_latents", "compression_rate", "grid_size"])
def test_a_derived_number_cannot_be_set(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(VidTwinConfig(), name, 1)


# Files


def test_the_default_config_logs_nothing(log: pytest.LogCaptureFixture) -> None:
    VidTwinConfig()
    assert log.messages == []


def test_a_saved_config_holds_every_number_of_its_own(tmp_path: Path) -> None:
    config = VidTwinConfig()
    content = saved(config, tmp_path)
    assert {name: content[name] for name in config._own_fields()} == {
        name: getattr(config, name) for name in config._own_fields()
    }


def test_a_saved_config_names_its_kind(tmp_path: Path) -> None:
    assert saved(VidTwinConfig(), tmp_path)["model_type"] == "vidtwin"


def test_saving_leaves_the_config_as_it_was(tiny_config: VidTwinConfig, tmp_path: Path) -> None:
    before = tiny_config.to_dict()
    tiny_config.save_pretrained(tmp_path)
    after = tiny_config.to_dict()
    assert after.pop("auto_map") == json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert after == before


def test_a_loaded_config_is_the_saved_one(tiny_config: VidTwinConfig, tmp_path: Path) -> None:
    tiny_config.structure_mean = [0.5, -0.5]
    tiny_config.save_pretrained(tmp_path)
    assert VidTwinConfig.from_pretrained(tmp_path).to_dict() == tiny_config.to_dict()


def test_the_auto_class_loads_a_saved_config(tiny_config: VidTwinConfig, tmp_path: Path) -> None:
    tiny_config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is VidTwinConfig and loaded.to_diff_dict() == tiny_config.to_diff_dict()


def test_a_loaded_config_is_checked(tmp_path: Path) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match="image_size"):
        VidTwinConfig.from_pretrained(in_a_file(tmp_path, image_size=225))


def test_a_keyword_overrides_the_file(tmp_path: Path) -> None:
    assert VidTwinConfig.from_pretrained(in_a_file(tmp_path, num_frames=8), num_frames=4).num_frames == 4


def test_unknown_keys_of_a_file_give_one_warning(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    VidTwinConfig.from_pretrained(in_a_file(tmp_path, vidtwin_version="9.0", gate="soft", audio=1))
    [message] = log.messages
    assert "['audio', 'gate']" in message and "9.0" in message


def test_unknown_keys_of_a_file_are_kept(tmp_path: Path) -> None:
    config = VidTwinConfig.from_pretrained(in_a_file(tmp_path, gate="soft"))
    assert config.gate == "soft" and saved(config, tmp_path)["gate"] == "soft"


def test_a_derived_number_in_a_file_is_no_crash(tmp_path: Path) -> None:
    assert VidTwinConfig.from_pretrained(in_a_file(tmp_path, num_latents=3)).num_latents == 4928


def test_a_file_without_unknown_keys_gives_no_warning(
    tiny_config: VidTwinConfig, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    tiny_config.save_pretrained(tmp_path)
    VidTwinConfig.from_pretrained(tmp_path)
    assert log.messages == []


def test_the_name_of_a_method_is_no_keyword() -> None:
    with pytest.raises(ValueError, match="has no field 'save_pretrained'"):
        VidTwinConfig(save_pretrained=3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_hidden_layers", 10**7, "num_hidden_layers must be at most 512, got 10,000,000"),
        ("image_size", 160_000, "image_size must be at most 8,192"),
    ],
)
def test_sizes_that_would_exhaust_a_machine_are_refused(name: str, value: int, message: str) -> None:
    """A configuration comes from strangers."""
    with pytest.raises(StrictDataclassError, match=message):
        VidTwinConfig(**{name: value})


def test_a_frame_has_a_bounded_number_of_patches() -> None:
    assert VidTwinConfig(image_size=512, patch_size=1).grid_size == 512
    with pytest.raises(StrictDataclassError, match="at most 512 patches wide, got 513"):
        VidTwinConfig(image_size=513, patch_size=1)
