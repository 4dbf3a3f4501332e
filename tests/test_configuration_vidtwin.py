"""The configuration checks what it is given and says what it holds."""

import json

import numpy as np
import pytest
from huggingface_hub.errors import StrictDataclassError

from vidtwin import VidTwinConfig


def test_the_default_is_the_papers_compression_rate():
    config = VidTwinConfig()
    assert config.structure_shape == (16, 4, 7, 7)
    assert config.dynamics_shape == (16, 8, 14)
    assert config.num_latents == 4928
    assert config.compression_rate == 4928 / 2408448


def test_a_misspelt_keyword_names_the_nearest_field():
    with pytest.raises(ValueError, match="no field 'patchsize'. Did you mean 'patch_size'"):
        VidTwinConfig(patchsize=8)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"hidden_size": 768.0}, "expected int"),
        ({"hidden_size": "768"}, "expected int"),
        ({"image_size": 225}, r"image_size \(225\) must be a multiple of patch_size \(16\), for example 224"),
        ({"hidden_size": 770, "num_attention_heads": 1}, "multiple of the 4 parts"),
        ({"num_attention_heads": 7}, "multiple of num_attention_heads"),
        ({"qformer_num_attention_heads": 7}, "multiple of qformer_num_attention_heads"),
        ({"num_frames": 0}, "num_frames must be at least 1, got 0"),
        ({"structure_num_downsamples": -1}, "at least 0"),
        ({"mlp_ratio": True}, "must be a number|expected int"),
        ({"layer_norm_eps": 0.0}, "layer_norm_eps must be positive"),
        ({"qformer_dropout": 1.0}, r"qformer_dropout must be in \[0, 1\)"),
        ({"structure_head": "mean"}, "structure_head must be one of qformer, linear"),
        ({"dynamics_head": "linear"}, "dynamics_head must be one of mean, qformer"),
        ({"structure_mean": [0.0]}, "structure_mean must have 4 numbers"),
        ({"dynamics_std": [0.0] * 8}, "finite .and positive"),
        ({"structure_mean": np.zeros(4)}, "structure_mean"),
    ],
)
def test_a_wrong_value_is_refused(fields, reason):
    with pytest.raises((StrictDataclassError, ValueError), match=reason):
        VidTwinConfig(**fields)


def test_tuples_of_statistics_become_lists_as_json_has_them():
    assert VidTwinConfig(structure_mean=(0, 1.5, 2, 3)).structure_mean == [0, 1.5, 2, 3]


def test_transformers_own_keywords_are_accepted():
    config = VidTwinConfig(num_labels=3, attn_implementation="eager", dtype="bfloat16", return_dict=True)
    assert config._attn_implementation == "eager"


def test_a_saved_file_holds_every_own_field_and_loads_to_the_same_numbers(tmp_path):
    config = VidTwinConfig(hidden_size=96, structure_std=[1.0, 2.0, 3.0, 4.0])
    before = config.to_dict()
    config.save_pretrained(tmp_path)
    assert config.to_dict() == before
    assert set(VidTwinConfig._own_fields()) <= json.loads((tmp_path / "config.json").read_text()).keys()
    loaded = VidTwinConfig.from_pretrained(tmp_path)
    assert {name: getattr(loaded, name) for name in loaded._own_fields()} == {
        name: getattr(config, name) for name in config._own_fields()
    }


def test_an_unknown_key_of_a_file_warns_once_and_is_kept(tmp_path, monkeypatch):
    VidTwinConfig().save_pretrained(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**content, "from_the_future": 3}))
    warnings = []
    monkeypatch.setattr("vidtwin.configuration.configuration_vidtwin.logger.warning", warnings.append)
    assert VidTwinConfig.from_pretrained(tmp_path).from_the_future == 3
    assert len(warnings) == 1
    assert "from_the_future" in warnings[0]
