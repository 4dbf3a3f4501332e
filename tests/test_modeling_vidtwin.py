"""The models: parity with the released behaviour, saving, loading, halves, errors."""

import copy
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoVideoProcessor

from vidtwin import VidTwinConfig, VidTwinEncoderModel, VidTwinModel, VidTwinVideoProcessor
from vidtwin.modeling_vidtwin.conversion import model_from_released, released_config

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def video(tiny_config):
    size = (2, tiny_config.num_frames, 3, tiny_config.image_size, tiny_config.image_size)
    return torch.rand(size, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.fixture
def lively(tiny_model):
    """The tiny model with all weights random at full size, so that no zero hides a mistake."""
    torch.manual_seed(5)
    for name, parameter in tiny_model.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.15)
    return tiny_model


def results(model: VidTwinModel, golden: dict, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Every stored result of the golden file, computed by `model` in the golden file's layout."""
    kept = {}
    tokens = model.structure.encoder.tokens.qformer
    tokens.register_forward_hook(lambda _m, _i, out: kept.update({"intermediate.qformer_output": out}))
    model.decoder.register_forward_hook(
        lambda _m, args, _o: kept.update({"intermediate.decoder_input": args[0].permute(0, 4, 1, 2, 3)})
    )
    video = golden["input"].permute(0, 2, 1, 3, 4).to(dtype)
    with torch.no_grad():
        posterior, output = model.encode(video), model(video)
        both = dict(kept)
        hidden = model.encoder(model.patch_embed(video))
        structure_only = model.decode(structure=posterior.structure.mode()).reconstruction
        dynamics_only = model.decode(dynamics=posterior.dynamics.mode()).reconstruction
    found = {**both, "encoder_output": hidden.permute(0, 4, 1, 2, 3), "kl_loss": output.kl_loss}
    for name, part in (
        ("reconstruction", output.reconstruction),
        ("reconstruction_structure_only", structure_only),
        ("reconstruction_dynamics_only", dynamics_only),
        ("structure_mean", posterior.structure.mean),
        ("structure_logvar", posterior.structure.logvar),
    ):
        found[name] = part.permute(0, 2, 1, 3, 4)
    w = model.config.dynamics_size
    for moment in ("mean", "logvar"):
        axes = getattr(posterior.dynamics, moment).permute(0, 2, 1, 3)
        found[f"dynamics_x_{moment}"], found[f"dynamics_y_{moment}"] = axes[..., :w], axes[..., w:]
    return found


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 2e-6)])
@pytest.mark.parametrize("name", ["A", pytest.param("B", marks=pytest.mark.clips)])
def test_every_result_of_the_released_model_is_reproduced(request, name, dtype, tolerance, attention):
    folder = GOLDEN if name == "A" else request.getfixturevalue("clips_folder") / "golden"
    golden = load_file(folder / f"official_tiny_{name}.safetensors")
    tensors = {key.removeprefix("state_dict."): value for key, value in golden.items() if "state_dict" in key}
    model = model_from_released(tensors, released_config(tensors, num_attention_heads=4)).to(dtype)
    model.set_attn_implementation(attention)
    found = results(model, golden, dtype)
    expected = {key for key in golden if not key.startswith("state_dict.") and key != "input"}
    assert set(found) == expected
    for key, value in found.items():
        error = (value - golden[key]).abs().max() / golden[key].abs().max()
        assert error < tolerance, (key, error)


def test_an_absent_latent_leaves_its_features_out_of_the_sum(lively, video):
    posterior = lively.encode(video)
    structure = posterior.structure.mode()
    features = lively.structure.decode(structure)
    alone = lively.decode(structure=structure).reconstruction
    assert torch.equal(alone, lively.head(lively.decoder(features)))
    zeros = torch.zeros_like(posterior.dynamics.mode())
    assert not torch.allclose(alone, lively.decode(structure=structure, dynamics=zeros).reconstruction)


def test_a_clips_result_does_not_depend_on_the_rest_of_its_batch(lively, video):
    both, alone = lively(video).reconstruction, lively(video[1:]).reconstruction
    assert torch.allclose(both[1:], alone, atol=1e-5)


def test_evaluation_decodes_the_mean_and_training_a_sample(lively, video):
    posterior = lively.encode(video)
    assert torch.equal(lively(video).structure, posterior.structure.mode())
    sampled = lively(video, sample_posterior=True, generator=torch.Generator().manual_seed(0))
    again = lively(video, sample_posterior=True, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(sampled.structure, posterior.structure.mode())
    assert torch.equal(sampled.dynamics, again.dynamics)
    torch.manual_seed(0)
    assert not torch.equal(lively.train()(video).dynamics, posterior.dynamics.mode())


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_gives_every_parameter_the_same_gradient(lively, video, reentrant):
    lively.config.qformer_dropout = 0.0
    plain = VidTwinModel(lively.config).train()
    plain.load_state_dict(lively.state_dict())
    checkpointed = copy.deepcopy(plain)
    checkpointed.gradient_checkpointing_enable({"use_reentrant": reentrant})
    checkpointed.enable_input_require_grads()
    for model in (plain, checkpointed):
        output = model(video, sample_posterior=False)
        (output.reconstruction.square().mean() + 1e-4 * output.kl_loss).backward()
    for (name, ours), theirs in zip(checkpointed.named_parameters(), plain.parameters(), strict=True):
        assert theirs.grad is not None and theirs.grad.abs().sum() > 0, name
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-6), name


@pytest.mark.parametrize("shard", ["10GB", "40KB"])
def test_a_saved_model_loads_to_equal_outputs(lively, video, tmp_path, shard):
    lively.save_pretrained(tmp_path, max_shard_size=shard)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard == "40KB")
    loaded = VidTwinModel.from_pretrained(tmp_path)
    assert torch.equal(loaded(video).reconstruction, lively(video).reconstruction)


def test_a_bfloat16_folder_takes_a_float32_video_and_keeps_its_position_tables_exact(lively, video, tmp_path):
    lively.to(torch.bfloat16).save_pretrained(tmp_path)
    loaded = VidTwinModel.from_pretrained(tmp_path)
    assert loaded.dtype == torch.bfloat16
    assert loaded.encoder.spatial_position.dtype == torch.float32
    assert loaded(video).reconstruction.dtype == torch.bfloat16
    assert torch.isfinite(loaded(video).kl_loss)


def test_device_map_auto_loads_to_equal_outputs(lively, video, tmp_path):
    lively.save_pretrained(tmp_path)
    loaded = VidTwinModel.from_pretrained(tmp_path, device_map="auto")
    assert torch.allclose(loaded(video).reconstruction.cpu(), lively(video).reconstruction, atol=1e-5)


def test_weights_kept_on_disk_give_equal_outputs(lively, video, tmp_path):
    lively.save_pretrained(tmp_path / "model")
    places = dict.fromkeys([name for name, _ in lively.named_children()], "cpu") | {"decoder": "disk"}
    loaded = VidTwinModel.from_pretrained(
        tmp_path / "model", device_map=places, offload_folder=tmp_path / "offload"
    )
    assert torch.allclose(loaded(video).reconstruction, lively(video).reconstruction, atol=1e-5)


def test_the_auto_classes_load_a_saved_folder(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path)
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), VidTwinConfig)
    assert isinstance(AutoModel.from_pretrained(tmp_path), VidTwinModel)
    assert isinstance(AutoVideoProcessor.from_pretrained(tmp_path), VidTwinVideoProcessor)


def test_the_encoder_half_loads_from_a_whole_model_without_its_decoder(lively, video, tmp_path):
    lively.save_pretrained(tmp_path)
    encoder, info = VidTwinEncoderModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert not [name for name, _ in encoder.named_parameters() if "decoder" in name or "head" in name]
    assert torch.equal(encoder(video).dynamics, lively.encode(video).dynamics.mode())
    with pytest.raises(ValueError, match="encoder half"):
        encoder.structure.decode(encoder(video).structure)


def test_the_whole_model_refuses_a_folder_with_the_encoder_half(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "whole")
    VidTwinEncoderModel.from_pretrained(tmp_path / "whole").save_pretrained(tmp_path / "half")
    with pytest.raises(ValueError, match="only the encoder half"):
        VidTwinModel.from_pretrained(tmp_path / "half")


def test_config_json_names_the_version_that_wrote_it(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["vidtwin_version"] == "0.1.0"


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_compute_the_same(lively, video, duplicate):
    assert torch.equal(duplicate(lively)(video).reconstruction, lively(video).reconstruction)


def test_return_dict_false_gives_tuples_with_the_reconstruction_first(lively, video):
    whole = lively(video)
    assert torch.equal(lively(video, return_dict=False)[0], whole.reconstruction)
    (decoded,) = lively.decode(structure=whole.structure, dynamics=whole.dynamics, return_dict=False)
    assert torch.equal(decoded, whole.reconstruction)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_the_model_compiles_as_one_graph(lively, video, backend):
    compiled = torch.compile(lively, fullgraph=True, backend=backend)
    with torch.no_grad():
        assert torch.allclose(compiled(video).reconstruction, lively(video).reconstruction, atol=1e-4)


def test_the_model_exports(lively, video):
    exported = torch.export.export(lively, (video,)).module()
    assert torch.allclose(exported(video).reconstruction, lively(video).reconstruction, atol=1e-5)


def test_weights_follow_from_the_seed_and_start_as_released(tiny_config):
    torch.manual_seed(7)
    first = VidTwinModel(tiny_config)
    torch.manual_seed(7)
    second = VidTwinModel(tiny_config)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    block = first.encoder.layers[0]
    assert block.temporal_attention.proj.weight.abs().max() == 0
    assert block.mlp.fc1.bias.abs().max() == 0
    assert block.modulation.std().item() == pytest.approx(tiny_config.hidden_size**-0.5, rel=0.25)
    assert first.structure.encoder.tokens.qformer.queries.std().item() == pytest.approx(1, rel=0.4)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((1, 3, 4, 32, 32), r"look swapped: use video.permute\(0, 2, 1, 3, 4\)"),
        ((1, 5, 3, 32, 32), "long_video cuts longer videos"),
        ((4, 3, 32, 32), r"must be \(batch, 4, 3, 32, 32\), got \(4, 3, 32, 32\)"),
    ],
)
def test_a_video_of_a_wrong_shape_is_refused_with_what_to_do(tiny_model, shape, reason):
    with pytest.raises(ValueError, match=reason):
        tiny_model(torch.zeros(shape))


def test_wrong_latents_are_refused(tiny_model):
    structure, dynamics = torch.zeros(2, 4, 2, 2, 2), torch.zeros(1, 4, 4, 4)
    with pytest.raises(ValueError, match="both are absent"):
        tiny_model.decode()
    with pytest.raises(ValueError, match="as many clips, got 2 and 1"):
        tiny_model.decode(structure=structure, dynamics=dynamics)
    with pytest.raises(ValueError, match=r"structure must be \(batch, 4, 2, 2, 2\), got \(2, 4, 2, 2\)"):
        tiny_model.decode(structure=structure[..., 0])
