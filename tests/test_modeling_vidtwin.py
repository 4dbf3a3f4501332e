"""The models: parity with the released one, what depends on what, saving and loading, gradients, errors."""

import copy
import json
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from random_weights import full_size_weights
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoVideoProcessor

from vidtwin import VidTwinConfig, VidTwinEncoderModel, VidTwinModel, VidTwinVideoProcessor
from vidtwin.configuration import ABLATIONS
from vidtwin.modeling_vidtwin.conversion import model_from_released, released_config

GOLDEN = Path(__file__).parent / "golden"
IMPLEMENTATIONS = ("eager", "sdpa")


@pytest.fixture
def model(tiny_model: VidTwinModel) -> VidTwinModel:
    """The tiny model in eval mode, its weights of full size: zero projections would hide a mistake."""
    return full_size_weights(tiny_model)


@pytest.fixture
def video() -> Tensor:
    """Two different clips."""
    return torch.rand(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What transformers and vidtwin log; transformers' own records do not reach pytest by themselves."""
    logging.getLogger("transformers").addHandler(caplog.handler)
    yield caplog
    logging.getLogger("transformers").removeHandler(caplog.handler)


def reconstructed(model: VidTwinModel, video: Tensor) -> Tensor:
    with torch.no_grad():
        return model(video).reconstruction


def assert_same(first: Tensor, second: Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=0, atol=2e-5)


# Parity with the released model


def released_model(folder: Path, name: str) -> tuple[VidTwinModel, dict[str, Tensor]]:
    """A tiny released model and all that it computed, as stored in `folder`."""
    golden = load_file(folder / f"official_tiny_{name}.safetensors")
    heads = json.loads((folder / f"official_tiny_{name}.json").read_text())
    weights = {key[11:]: golden.pop(key) for key in list(golden) if key.startswith("state_dict.")}
    config = released_config(weights, heads["num_heads"], heads["qformer_num_attention_heads"])
    return model_from_released(weights, config), golden


def by_released_layout(found: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    """Results under their golden names, channels and frames in the released order."""
    for moment in ("mean", "logvar"):
        dynamics = found.pop(f"dynamics_{moment}")
        found[f"dynamics_x_{moment}"] = dynamics[..., :width]
        found[f"dynamics_y_{moment}"] = dynamics[..., width:]
    channels_last = ("encoder_output", "intermediate.decoder_input")
    for name, result in found.items():
        if name in channels_last:
            found[name] = result.movedim(-1, 1)
        elif name not in ("kl_loss", "intermediate.qformer_output"):
            found[name] = result.transpose(1, 2)
    return found


@torch.no_grad()
def computed(model: VidTwinModel, pixels: Tensor) -> dict[str, Tensor]:
    """All that the golden files store, computed by `model`."""
    found: dict[str, Tensor] = {}
    for module, name in (
        (model.encoder, "encoder_output"),
        (model.structure.encoder.tokens.qformer, "intermediate.qformer_output"),
    ):
        module.register_forward_hook(lambda *call, name=name: found.update({name: call[-1]}))
    inputs: list[Tensor] = []
    model.decoder.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    output, posterior = model(pixels), model.encode(pixels)
    found |= {"kl_loss": output.kl_loss, "reconstruction": output.reconstruction}
    for part in ("structure", "dynamics"):
        gaussian = getattr(posterior, part)
        found |= {f"{part}_mean": gaussian.mean, f"{part}_logvar": gaussian.logvar}
        found[f"reconstruction_{part}_only"] = model.decode(**{part: gaussian.mode()}).reconstruction
    found["intermediate.decoder_input"] = inputs[0]
    return by_released_layout(found, model.config.dynamics_size)


@pytest.mark.parametrize("attention", IMPLEMENTATIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 2e-6)], ids=str)
@pytest.mark.parametrize("name", ["A", pytest.param("B", marks=pytest.mark.clips)])
def test_every_number_of_the_released_model_is_reproduced(
    name: str, dtype: torch.dtype, tolerance: float, attention: str, request: pytest.FixtureRequest
) -> None:
    folder = GOLDEN if name == "A" else request.getfixturevalue("clips_folder") / "golden"
    model, golden = released_model(folder, name)
    model.set_attn_implementation(attention)
    found = computed(model.to(dtype), golden.pop("input").transpose(1, 2).to(dtype))
    assert found.keys() == golden.keys()
    errors = {key: ((found[key] - golden[key]).abs().max() / golden[key].abs().max()).item() for key in found}
    assert {key: error for key, error in errors.items() if not error <= tolerance} == {}


# What depends on what


@pytest.mark.parametrize("attention", IMPLEMENTATIONS)
def test_a_frame_never_changes_the_encoders_output_before_it(
    attention: str, model: VidTwinModel, video: Tensor
) -> None:
    model.set_attn_implementation(attention)
    outputs: list[Tensor] = []
    model.encoder.register_forward_hook(lambda *call: outputs.append(call[-1].detach()))
    other = video.clone()
    other[:, 2] *= -1
    model.encode(video), model.encode(other)
    moved = (outputs[0] - outputs[1]).abs().amax(dim=(0, 2, 3, 4)) > 1e-5
    assert moved.tolist() == [False, False, True, True]


def test_the_dynamics_of_a_frame_see_no_further_than_the_next_frame(
    model: VidTwinModel, video: Tensor
) -> None:
    other = video.clone()
    other[:, 3] *= -1
    moved = (model.encode(video).dynamics.mean - model.encode(other).dynamics.mean).abs().amax(dim=(0, 2, 3))
    assert (moved > 1e-5).tolist() == [False, False, True, True]


def test_every_frame_reaches_the_structure(model: VidTwinModel, video: Tensor) -> None:
    for frame in range(4):
        other = video.clone()
        other[:, frame] *= -1
        moved = (model.encode(video).structure.mean - model.encode(other).structure.mean).abs()
        assert (moved.amax(dim=(0, 2, 3, 4)) > 1e-5).all()


def test_a_clip_does_not_depend_on_the_rest_of_its_batch(model: VidTwinModel, video: Tensor) -> None:
    assert_same(reconstructed(model, video)[1:], reconstructed(model, video[1:]))


def test_evaluation_gives_the_same_every_time(model: VidTwinModel, video: Tensor) -> None:
    assert torch.equal(reconstructed(model, video), reconstructed(model, video))


@torch.no_grad()
@pytest.mark.parametrize("part", ["structure", "dynamics"])
def test_an_absent_latents_features_are_left_out_of_the_sum(
    part: str, model: VidTwinModel, video: Tensor
) -> None:
    latents = getattr(model.encode(video), part).mode()
    features = getattr(model, part).decode(latents)
    assert torch.equal(model.decode(**{part: latents}).reconstruction, model.head(model.decoder(features)))


@torch.no_grad()
def test_an_absent_latent_is_not_a_latent_of_zeros(model: VidTwinModel, video: Tensor) -> None:
    structure = model.encode(video).structure.mode()
    alone = model.decode(structure=structure).reconstruction
    zeros = torch.zeros(2, *model.config.dynamics_shape)
    assert (alone - model.decode(structure=structure, dynamics=zeros).reconstruction).abs().max() > 0.1


@torch.no_grad()
def test_the_features_of_both_latents_are_added(model: VidTwinModel, video: Tensor) -> None:
    posterior = model.encode(video)
    structure, dynamics = posterior.structure.mode(), posterior.dynamics.mode()
    features = model.structure.decode(structure) + model.dynamics.decode(dynamics)
    both = model.decode(structure=structure, dynamics=dynamics).reconstruction
    assert_same(both, model.head(model.decoder(features)))


def test_the_attention_can_be_switched_after_loading(model: VidTwinModel, video: Tensor) -> None:
    results = []
    for attention in IMPLEMENTATIONS:
        model.set_attn_implementation(attention)
        assert model.config._attn_implementation == attention
        results.append(reconstructed(model, video))
    assert_same(*results)
    assert not torch.equal(*results), "the same kernel ran twice"


# Outputs


def test_kl_loss_is_the_mean_over_the_batch(model: VidTwinModel, video: Tensor) -> None:
    kl_loss = model(video).kl_loss
    assert kl_loss.ndim == 0
    torch.testing.assert_close(kl_loss, model.encode(video).kl().sum() / 2)
    half = VidTwinEncoderModel(model.config)
    half.load_state_dict(model.state_dict(), strict=False)
    torch.testing.assert_close(half.eval()(video).kl_loss, kl_loss)


@pytest.mark.parametrize(
    ("training", "asked", "sampled"),
    [
        (False, None, False),
        (True, None, True),
        (False, True, True),
        (False, False, False),
        (True, False, False),
    ],
)
@pytest.mark.parametrize("kind", [VidTwinModel, VidTwinEncoderModel])
def test_latents_are_sampled_in_training_or_when_asked(
    kind: type, training: bool, asked: bool | None, sampled: bool, tiny_config: VidTwinConfig, video: Tensor
) -> None:
    tiny_config.qformer_dropout = 0.0
    model = full_size_weights(kind(tiny_config)).train(training)
    output, posterior = model(video, sample_posterior=asked), model.encode(video)
    for part in ("structure", "dynamics"):
        assert torch.equal(getattr(output, part), getattr(posterior, part).mode()) is not sampled


def test_a_sampled_forward_is_repeated_by_its_generators_seed(model: VidTwinModel, video: Tensor) -> None:
    first, second, other = (
        model(video, sample_posterior=True, generator=torch.Generator().manual_seed(seed)).reconstruction
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_the_latents_given_back_are_those_decoded(model: VidTwinModel, video: Tensor) -> None:
    output = model(video, sample_posterior=True)
    again = model.decode(structure=output.structure, dynamics=output.dynamics).reconstruction
    assert torch.equal(again, output.reconstruction)


def test_without_return_dict_the_reconstruction_comes_first(model: VidTwinModel, video: Tensor) -> None:
    named, plain = model(video), model(video, return_dict=False)
    assert type(plain) is tuple and len(plain) == 4
    assert all(torch.equal(a, b) for a, b in zip(plain, named.to_tuple(), strict=True))
    assert torch.equal(plain[0], named.reconstruction)


def test_without_return_dict_decode_gives_a_tuple(model: VidTwinModel) -> None:
    latents = torch.zeros(1, *model.config.structure_shape)
    (plain,) = model.decode(structure=latents, return_dict=False)
    assert torch.equal(plain, model.decode(structure=latents).reconstruction)


def test_a_config_may_ask_for_tuples(model: VidTwinModel, video: Tensor) -> None:
    model.config.return_dict = False
    assert torch.equal(model(video)[0], model(video, return_dict=True).reconstruction)


# Gradients


def gradients(model: VidTwinModel, video: Tensor) -> dict[str, Tensor | None]:
    """One training step's gradients by name, dropout and sampling drawn from one seed."""
    torch.manual_seed(0)
    output = model.train()(video)
    (output.reconstruction.square().mean() + 1e-4 * output.kl_loss).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("ablation", [{}, *ABLATIONS.values()], ids=str)
def test_the_loss_reaches_every_parameter(
    ablation: dict[str, str], tiny_config: VidTwinConfig, video: Tensor
) -> None:
    for name, value in ablation.items():
        setattr(tiny_config, name, value)
    model = full_size_weights(VidTwinModel(tiny_config))
    # A key's bias moves all scores of a query alike, which softmax takes away again.
    found = {name: grad for name, grad in gradients(model, video).items() if not name.endswith("key.bias")}
    assert [name for name, grad in found.items() if grad is None or not grad.abs().max() > 1e-7] == []


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_no_gradient(
    reentrant: bool, model: VidTwinModel, video: Tensor
) -> None:
    checkpointed = copy.deepcopy(model)
    checkpointed.gradient_checkpointing_enable({"use_reentrant": reentrant})
    plain, found = gradients(model, video), gradients(checkpointed, video)
    for name, gradient in plain.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_gradient_checkpointing_computes_the_blocks_and_the_qformer_twice(
    model: VidTwinModel, video: Tensor
) -> None:
    calls: list[str] = []
    for name, part in (
        ("block", model.encoder.layers[0].mlp),
        ("qformer", model.structure.encoder.tokens.qformer.layers[0].fc1),
        ("head", model.head.proj),
    ):
        part.register_forward_hook(lambda *_, name=name: calls.append(name))
    model.gradient_checkpointing_enable()
    gradients(model, video)
    assert {name: calls.count(name) for name in calls} == {"block": 2, "qformer": 2, "head": 1}


def test_reentrant_checkpointing_with_input_gradients_trains_the_patch_embedding(
    model: VidTwinModel, video: Tensor
) -> None:
    model.gradient_checkpointing_enable({"use_reentrant": True})
    model.enable_input_require_grads()
    assert gradients(model, video)["patch_embed.proj.weight"].abs().max() > 1e-7


# Saving and loading


@pytest.mark.parametrize(("max_shard_size", "cut"), [("1GB", False), ("100KB", True)])
def test_a_loaded_model_computes_what_the_saved_one_did(
    max_shard_size: str, cut: bool, model: VidTwinModel, video: Tensor, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert (tmp_path / "model.safetensors.index.json").exists() is cut
    loaded = VidTwinModel.from_pretrained(tmp_path)
    assert torch.equal(reconstructed(loaded, video), reconstructed(model, video))


def test_a_bfloat16_folder_takes_a_float32_video(model: VidTwinModel, video: Tensor, tmp_path: Path) -> None:
    model.to(torch.bfloat16).save_pretrained(tmp_path)
    loaded = VidTwinModel.from_pretrained(tmp_path)
    assert loaded.dtype == torch.bfloat16
    assert torch.equal(reconstructed(loaded, video), reconstructed(model, video.to(torch.bfloat16)))


def test_a_bfloat16_folder_can_be_loaded_as_float32(
    model: VidTwinModel, video: Tensor, tmp_path: Path
) -> None:
    model.to(torch.bfloat16).save_pretrained(tmp_path)
    wanted = model.float()
    for name, table in VidTwinModel(model.config).named_buffers():
        wanted.get_buffer(name).copy_(table)
    loaded = VidTwinModel.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.equal(reconstructed(loaded, video), reconstructed(wanted, video))


def test_device_map_auto_computes_the_same(model: VidTwinModel, video: Tensor, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded = VidTwinModel.from_pretrained(tmp_path, device_map="auto")
    assert_same(reconstructed(loaded, video).cpu(), reconstructed(model, video))


def test_weights_left_on_the_disk_compute_the_same(
    model: VidTwinModel, video: Tensor, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path / "model")
    places = {name: "cpu" for name, _ in model.named_children()}
    places |= {"structure": "disk", "decoder": "disk"}
    loaded = VidTwinModel.from_pretrained(
        tmp_path / "model", device_map=places, offload_folder=tmp_path / "aside"
    )
    assert {p.device.type for p in loaded.decoder.parameters()} == {"meta"}
    assert_same(reconstructed(loaded, video), reconstructed(model, video))


def test_blocks_on_other_places_than_their_transformer_compute_the_same(
    model: VidTwinModel, video: Tensor, tmp_path: Path
) -> None:
    """A map of single blocks puts no hook on the transformer, whose tables then stay where they were."""
    model.save_pretrained(tmp_path / "model")
    places = {name: "cpu" for name, _ in model.named_children() if name != "decoder"}
    places |= {"decoder.layers.0": "cpu", "decoder.layers.1": "disk"}
    loaded = VidTwinModel.from_pretrained(
        tmp_path / "model", device_map=places, offload_folder=tmp_path / "aside"
    )
    assert_same(reconstructed(loaded, video), reconstructed(model, video))


def test_the_position_tables_follow_the_tokens(model: VidTwinModel) -> None:
    hidden = torch.empty(1, 4, 4, 4, 32, device="meta")
    for layer in model.encoder.layers.to("meta"):
        assert next(layer.parameters()).device.type == "meta"
    assert model.encoder(hidden).device.type == "meta"


def test_a_misspelt_argument_is_refused(model: VidTwinModel, video: Tensor) -> None:
    with pytest.raises(TypeError, match="no argument 'sample_posteriorr'"):
        model(video, sample_posteriorr=False)
    with pytest.raises(TypeError, match="structur"):
        model.decode(structur=torch.zeros(1, *model.config.structure_shape))


def test_bytes_are_refused_as_pixels(model: VidTwinModel, video: Tensor) -> None:
    with pytest.raises(ValueError, match=r"must be floats in \[-1, 1\], got torch.uint8"):
        model(video.to(torch.uint8))


def test_the_auto_classes_load_a_saved_folder(model: VidTwinModel, video: Tensor, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    VidTwinVideoProcessor.from_config(model.config).save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is VidTwinConfig
    assert type(AutoVideoProcessor.from_pretrained(tmp_path)) is VidTwinVideoProcessor
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is VidTwinModel
    assert torch.equal(reconstructed(loaded, video), reconstructed(model, video))


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_a_copy_computes_the_same_with_weights_of_its_own(
    copied: Callable[[VidTwinModel], VidTwinModel], model: VidTwinModel, video: Tensor
) -> None:
    before = reconstructed(model, video)
    copy_of_model = copied(model)
    model.head.proj.weight.data.zero_()
    assert torch.equal(reconstructed(copy_of_model, video), before)


def test_an_output_can_be_pickled(model: VidTwinModel, video: Tensor) -> None:
    output = model(video)
    detached = type(output)(**{name: tensor.detach() for name, tensor in output.items()})
    loaded = pickle.loads(pickle.dumps(detached))
    assert torch.equal(loaded.reconstruction, output.reconstruction)


def test_loading_and_saving_warn_of_nothing(
    model: VidTwinModel, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    model.save_pretrained(tmp_path)
    VidTwinModel.from_pretrained(tmp_path)
    assert log.messages == []


# The encoder half


def test_the_encoder_half_loads_from_a_whole_model_without_warnings(
    model: VidTwinModel, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    model.save_pretrained(tmp_path)
    VidTwinEncoderModel.from_pretrained(tmp_path)
    assert log.messages == []


def test_the_encoder_half_gives_the_whole_models_posteriors(
    model: VidTwinModel, video: Tensor, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    half, whole = VidTwinEncoderModel.from_pretrained(tmp_path).encode(video), model.encode(video)
    for part in ("structure", "dynamics"):
        assert torch.equal(getattr(half, part).mean, getattr(whole, part).mean)
        assert torch.equal(getattr(half, part).logvar, getattr(whole, part).logvar)


def test_the_encoder_half_holds_no_decoder(tiny_config: VidTwinConfig) -> None:
    whole, half = VidTwinModel(tiny_config).state_dict(), VidTwinEncoderModel(tiny_config).state_dict()
    assert set(whole) - set(half) == {
        name for name in whole if ".decoder." in name or name.startswith(("decoder.", "head."))
    }
    assert set(half) < set(whole)


def test_the_whole_model_refuses_a_folder_of_the_encoder_half(
    tiny_config: VidTwinConfig, tmp_path: Path
) -> None:
    VidTwinEncoderModel(tiny_config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="only the encoder half of a VidTwin, saved by VidTwinEncoderModel"):
        VidTwinModel.from_pretrained(tmp_path)


def test_the_encoder_half_loads_from_a_folder_of_its_own(
    tiny_config: VidTwinConfig, video: Tensor, tmp_path: Path
) -> None:
    saved = full_size_weights(VidTwinEncoderModel(tiny_config)).eval()
    saved.save_pretrained(tmp_path)
    assert torch.equal(VidTwinEncoderModel.from_pretrained(tmp_path)(video).dynamics, saved(video).dynamics)


# Compiled and exported


@pytest.fixture
def shallow(tiny_config: VidTwinConfig) -> VidTwinModel:
    """One block and one Q-Former layer a stack: every kind of layer once, quick to trace."""
    tiny_config.num_hidden_layers = tiny_config.qformer_num_hidden_layers = 1
    return full_size_weights(VidTwinModel(tiny_config)).eval()


@torch.no_grad()
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_model_computes_the_same_in_one_graph(
    backend: str, shallow: VidTwinModel, video: Tensor
) -> None:
    compiled = torch.compile(shallow, fullgraph=True, backend=backend)
    found, wanted = compiled(video), shallow(video)
    assert_same(found.reconstruction, wanted.reconstruction)
    torch.testing.assert_close(found.kl_loss, wanted.kl_loss)


def test_an_exported_model_computes_the_same(shallow: VidTwinModel, video: Tensor) -> None:
    exported = torch.export.export(shallow, (video,)).module()
    assert_same(exported(video * 0.5).reconstruction, shallow(video * 0.5).reconstruction)


# First weights


def test_first_weights_follow_from_the_seed(tiny_config: VidTwinConfig) -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(torch.cat([tensor.flatten() for tensor in VidTwinModel(tiny_config).parameters()]))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_convolutions_of_the_branches_start_as_torchs_default(tiny_model: VidTwinModel) -> None:
    convolutions = [module for module in tiny_model.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(convolutions) == 8
    for convolution in convolutions:
        bound = convolution.weight[0].numel() ** -0.5
        assert 0.9 * bound < convolution.weight.abs().max() <= bound


# Errors


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 4, 32, 32), r"1 and 2 look swapped: use video.permute\(0, 2, 1, 3, 4\)"),
        ((2, 5, 3, 32, 32), r"must be \(batch, 4, 3, 32, 32\), got \(2, 5, 3, 32, 32\).*long_video"),
        ((2, 4, 3, 32, 40), r"got \(2, 4, 3, 32, 40\)"),
        ((2, 4, 1, 32, 32), r"got \(2, 4, 1, 32, 32\)"),
        ((4, 3, 32, 32), r"got \(4, 3, 32, 32\)"),
    ],
)
def test_a_video_of_another_shape_is_refused_with_the_remedy(
    shape: tuple[int, ...], message: str, tiny_model: VidTwinModel
) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_model(torch.zeros(shape))


def test_decoding_nothing_is_refused(tiny_model: VidTwinModel) -> None:
    with pytest.raises(ValueError, match="needs structure, dynamics or both"):
        tiny_model.decode()


@pytest.mark.parametrize("part", ["structure", "dynamics"])
def test_latents_of_another_shape_are_refused(part: str, tiny_model: VidTwinModel) -> None:
    wanted = getattr(tiny_model.config, f"{part}_shape")
    message = rf"{part} must be \(batch, {', '.join(map(str, wanted))}\), got \(1, 9"
    with pytest.raises(ValueError, match=message):
        tiny_model.decode(**{part: torch.zeros(1, 9, *wanted[1:])})


def test_latents_of_different_counts_of_clips_are_refused(tiny_model: VidTwinModel) -> None:
    structure = torch.zeros(2, *tiny_model.config.structure_shape)
    dynamics = torch.zeros(3, *tiny_model.config.dynamics_shape)
    with pytest.raises(ValueError, match="as many clips, got 2 and 3"):
        tiny_model.decode(structure=structure, dynamics=dynamics)
