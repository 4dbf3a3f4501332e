"""Posteriors, the Q-Former and both branches: what each latent sees, and what it is decoded to."""

import pytest
import torch
from random_weights import full_size_weights
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from vidtwin import VidTwinConfig, VidTwinModel
from vidtwin.modeling_vidtwin.latents_vidtwin import (
    AverageMoments,
    DiagonalGaussian,
    DynamicsDecoder,
    DynamicsEncoder,
    LinearTokens,
    QFormerMoments,
    QFormerTokens,
    StructureDecoder,
    StructureEncoder,
    TokenLinear,
    VidTwinPosterior,
    VidTwinQFormer,
    dynamics_branch,
    structure_branch,
)


def random(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def changed(first: Tensor, second: Tensor, axis: int) -> list[bool]:
    """For each place along `axis`, whether the two tensors differ there by more than rounding."""
    places = (first - second).abs().movedim(axis, 0).flatten(1).amax(1)
    return (places > 1e-5).tolist()


@pytest.fixture
def config(tiny_config: VidTwinConfig) -> VidTwinConfig:
    """A tiny config with a grid of 8 x 8 patches, that a change has far to go in."""
    tiny_config.image_size = 64
    tiny_config._attn_implementation = "sdpa"
    return tiny_config


# Posteriors


def test_the_mean_comes_first_and_then_the_log_variance() -> None:
    moments = random(2, 3, 8, 5)
    gaussian = DiagonalGaussian(moments)
    assert torch.equal(gaussian.mean, moments[:, :, :4]) and torch.equal(gaussian.logvar, moments[:, :, 4:])


def test_the_log_variance_is_clamped_to_minus_30_and_20() -> None:
    moments = torch.tensor([0.0, 0.0, -1e9, 1e9]).reshape(1, 1, 4, 1)
    assert DiagonalGaussian(moments).logvar.flatten().tolist() == [-30, 20]


def test_the_mode_is_the_mean() -> None:
    gaussian = DiagonalGaussian(random(2, 3, 8, 5))
    assert torch.equal(gaussian.mode(), gaussian.mean)


def test_the_kl_divergence_is_that_of_torch_distributions() -> None:
    gaussian = DiagonalGaussian(random(2, 3, 8, 5, 5) * 2)
    each = kl_divergence(Normal(gaussian.mean, gaussian.std), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian.kl(), each.sum(dim=(1, 2, 3, 4)))


def test_a_standard_normal_has_no_kl_divergence() -> None:
    assert DiagonalGaussian(torch.zeros(2, 3, 8, 5)).kl().tolist() == [0, 0]


def test_the_kl_divergences_of_both_latents_add_up() -> None:
    structure, dynamics = DiagonalGaussian(random(2, 4, 8, 3, 3)), DiagonalGaussian(random(2, 4, 8, 6))
    assert torch.equal(VidTwinPosterior(structure, dynamics).kl(), structure.kl() + dynamics.kl())


def test_samples_have_the_posteriors_mean_and_standard_deviation() -> None:
    moments = torch.tensor([3.0, -1.0, 2.0, -4.0]).reshape(1, 1, 4, 1).expand(20_000, 1, 4, 1)
    samples = DiagonalGaussian(moments).sample(torch.Generator().manual_seed(0)).flatten(1)
    torch.testing.assert_close(samples.mean(0), torch.tensor([3.0, -1.0]), rtol=0, atol=0.05)
    torch.testing.assert_close(samples.std(0), torch.tensor([1.0, -2.0]).exp(), rtol=0.02, atol=0)


def test_a_sample_is_repeated_by_its_generators_seed() -> None:
    gaussian = DiagonalGaussian(random(2, 3, 8, 5))
    first, second, other = (gaussian.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_a_generator_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    DiagonalGaussian(random(2, 3, 8, 5)).sample(torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("given", "computed"),
    [(torch.bfloat16, torch.float32), (torch.float16, torch.float32), (torch.float64, torch.float64)],
)
def test_kl_and_samples_are_computed_in_float32_at_least(given: torch.dtype, computed: torch.dtype) -> None:
    gaussian = DiagonalGaussian(random(2, 3, 8, 5).to(given))
    assert {gaussian.kl().dtype, gaussian.sample().dtype, gaussian.std.dtype} == {computed}


# The Q-Former


@pytest.fixture
def qformer(config: VidTwinConfig) -> VidTwinQFormer:
    return full_size_weights(VidTwinQFormer(config, num_queries=4)).eval()


def test_every_second_layer_of_the_qformer_sees_the_context(config: VidTwinConfig) -> None:
    config.qformer_num_hidden_layers = 6
    layers = VidTwinQFormer(config, num_queries=4).layers
    assert [layer.cross_attention is not None for layer in layers] == [True, False] * 3


@torch.no_grad()
def test_the_qformer_knows_no_order_of_its_context(qformer: VidTwinQFormer) -> None:
    context = random(2, 6, 32)
    torch.testing.assert_close(qformer(context.flip(1)), qformer(context), rtol=0, atol=1e-5)


@torch.no_grad()
def test_every_place_of_the_context_reaches_every_query(qformer: VidTwinQFormer) -> None:
    context = random(1, 6, 32)
    for place in range(6):
        other = context.clone()
        other[:, place] += 1
        assert all(changed(qformer(context), qformer(other), axis=1))


@torch.no_grad()
def test_the_qformers_mlp_has_the_exact_gelu(qformer: VidTwinQFormer) -> None:
    layer = qformer.layers[1].double()
    queries = layer.self_attention(random(1, 4, 16).double(), random(1, 4, 16).double())
    x = layer.fc1(queries)
    gelu = 0.5 * x * (1 + torch.erf(x / 2**0.5))
    wanted = layer.norm(layer.fc2(gelu) + queries)
    got = layer(random(1, 4, 16).double(), random(1, 4, 32).double())
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("place", ["queries", "attention", "feed-forward"])
def test_the_qformer_drops_out_in_training_only(place: str, qformer: VidTwinQFormer) -> None:
    context, layer = random(1, 6, 32), qformer.layers[0]
    for module in qformer.modules():
        if hasattr(module, "dropout"):
            module.dropout = 0.0
    places = {"queries": qformer, "attention": layer.cross_attention, "feed-forward": layer}
    places[place].dropout = 0.5
    evaluated = qformer(context)
    assert torch.equal(qformer(context), evaluated)
    assert not torch.allclose(qformer.train()(context), evaluated)


def test_the_qformers_attention_drops_out_weights_and_results(qformer: VidTwinQFormer) -> None:
    attention = qformer.layers[0].cross_attention.train()
    queries, context = random(1, 4, 16), random(1, 6, 32)
    mixed: list[Tensor] = []
    attention.proj.register_forward_pre_hook(lambda _, given: mixed.append(given[0]))
    attention.dropout = 0.5
    assert not torch.allclose(attention(queries, context), attention(queries, context))
    assert not torch.allclose(*mixed)
    attention.dropout = 1.0
    assert torch.equal(attention(queries, context), attention.norm(queries))


def test_the_qformer_starts_with_small_weights_and_full_queries(tiny_model: VidTwinModel) -> None:
    qformer = tiny_model.structure.encoder.tokens.qformer
    linears = [module for module in qformer.modules() if isinstance(module, nn.Linear)]
    drawn = torch.cat([linear.weight.flatten() for linear in linears])
    assert drawn.std().item() == pytest.approx(0.02, rel=0.05)
    assert not any(linear.bias.any() for linear in linears)
    assert qformer.queries.std().item() == pytest.approx(1, rel=0.25)


# The structure branch


def test_a_token_linear_is_a_linear_over_the_tokens() -> None:
    mix = TokenLinear(4, 3)
    tokens = random(2, 4, 5, 5, 6)
    wanted = nn.functional.linear(tokens.movedim(1, -1), mix.weight, mix.bias).movedim(-1, 1)
    torch.testing.assert_close(mix(tokens), wanted, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("head", [QFormerTokens, LinearTokens])
def test_the_tokens_of_a_patch_are_read_from_its_own_frames(
    head: type[nn.Module], config: VidTwinConfig
) -> None:
    tokens = full_size_weights(head(config)).eval()
    hidden = random(1, 4, 8, 8, 32)
    other = hidden.clone()
    other[:, :, 2, 5] += random(32)
    _, _, rows, columns, _ = ((tokens(hidden) - tokens(other)).abs() > 1e-5).nonzero().unbind(1)
    assert (rows.unique().tolist(), columns.unique().tolist()) == ([2], [5])


@torch.no_grad()
def test_a_query_token_is_convolved_alone(config: VidTwinConfig) -> None:
    encoder = full_size_weights(StructureEncoder(config)).eval()
    seen = []
    encoder.tokens.register_forward_hook(lambda *call: seen.append(call[-1]))
    moments = encoder(random(1, 4, 8, 8, 32))
    planes = seen[0][:, 1].permute(0, 3, 1, 2)
    alone = encoder.conv_out(torch.relu(encoder.down[0](encoder.conv_in(planes))))
    torch.testing.assert_close(moments[:, 1], alone, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("grid", "downsamples", "top"), [(4, 1, 0), (5, 1, 0), (5, 2, 1), (9, 3, 3)])
def test_structure_features_that_overshoot_the_grid_are_cut_in_the_middle(
    grid: int, downsamples: int, top: int, config: VidTwinConfig
) -> None:
    config.image_size, config.structure_num_downsamples = 8 * grid, downsamples
    decoder = full_size_weights(StructureDecoder(config))
    whole, cut = [], []
    decoder.conv_out.register_forward_hook(lambda *call: whole.append(call[-1]))
    decoder.proj.register_forward_pre_hook(lambda _, given: cut.append(given[0]))
    features = decoder(random(1, *config.structure_shape))
    assert torch.equal(cut[0][0].permute(0, 3, 1, 2), whole[0][..., top : top + grid, top : top + grid])
    assert features.shape == (1, 4, grid, grid, 32)


# The dynamics branch


@torch.no_grad()
@pytest.mark.parametrize(("axis", "part"), [(3, slice(0, 4)), (2, slice(4, 8))], ids=["width", "height"])
def test_a_dynamics_latent_belongs_to_its_place_along_its_axis(
    axis: int, part: slice, config: VidTwinConfig
) -> None:
    encoder = full_size_weights(DynamicsEncoder(config))
    hidden = random(1, 4, 8, 8, 32)
    other = hidden.clone()
    other.movedim(axis, 0)[0] += 1  # the first column or row of patches
    places = changed(encoder(hidden), encoder(other), axis=-1)
    # One convolution takes it to the first place, the next to the second; the other axis is averaged over it.
    assert places.pop(part.start + 3) is False and places.pop(part.start + 2) is False and all(places)


@torch.no_grad()
@pytest.mark.parametrize("frame", range(4))
def test_the_dynamics_of_a_frame_see_the_frames_beside_it(frame: int, config: VidTwinConfig) -> None:
    encoder = full_size_weights(DynamicsEncoder(config))
    hidden = random(1, 4, 8, 8, 32)
    other = hidden.clone()
    other[:, frame] += 1
    assert changed(encoder(hidden), encoder(other), axis=1) == [abs(t - frame) <= 1 for t in range(4)]


@torch.no_grad()
def test_width_and_height_are_read_by_the_same_weights(config: VidTwinConfig) -> None:
    head = full_size_weights(AverageMoments(config))
    hidden = random(1, 4, 32, 4, 4)
    swapped = head(hidden.transpose(3, 4)).roll(4, dims=-1)
    torch.testing.assert_close(swapped, head(hidden), rtol=0, atol=1e-5)


@torch.no_grad()
def test_width_and_height_are_decoded_by_the_same_weights(config: VidTwinConfig) -> None:
    decoder = full_size_weights(DynamicsDecoder(config))
    latents = random(1, *config.dynamics_shape)
    swapped = decoder(latents.roll(4, dims=-1)).transpose(2, 3)
    torch.testing.assert_close(swapped, decoder(latents), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_width_latents_are_repeated_down_the_rows(config: VidTwinConfig) -> None:
    decoder = full_size_weights(DynamicsDecoder(config))
    latents = random(1, *config.dynamics_shape)
    other = latents.clone()
    other[..., :4] = random(1, 4, 4, 4, seed=8)
    difference = decoder(other) - decoder(latents)
    assert difference.abs().max() > 0.1
    torch.testing.assert_close(difference, difference[:, :, :1].expand_as(difference), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_qformer_ablation_reads_each_frame_alone(config: VidTwinConfig) -> None:
    head = full_size_weights(QFormerMoments(config)).eval()
    hidden = random(1, 4, 32, 4, 4)
    other = hidden.clone()
    other[:, 2] += 1
    assert changed(head(hidden), head(other), axis=1) == [False, False, True, False]


# Both branches


@pytest.mark.parametrize("branch", [structure_branch, dynamics_branch])
def test_a_branch_gives_latents_of_the_configs_shape(branch: object, config: VidTwinConfig) -> None:
    moments = branch(config, decodes=True).encode(random(2, 4, 8, 8, 32))
    wanted = config.structure_shape if branch is structure_branch else config.dynamics_shape
    assert DiagonalGaussian(moments).mean.shape == (2, *wanted)


@pytest.mark.parametrize("branch", [structure_branch, dynamics_branch])
def test_the_encoder_half_of_a_branch_refuses_to_decode(branch: object, config: VidTwinConfig) -> None:
    with pytest.raises(ValueError, match="load VidTwinModel to decode"):
        branch(config, decodes=False).decode(random(1, *config.structure_shape))


@torch.no_grad()
@pytest.mark.parametrize("decoder", [StructureDecoder, DynamicsDecoder])
def test_latents_are_decoded_in_the_weights_dtype(decoder: type[nn.Module], config: VidTwinConfig) -> None:
    shape = config.structure_shape if decoder is StructureDecoder else config.dynamics_shape
    features = full_size_weights(decoder(config)).to(torch.bfloat16)(random(1, *shape))
    assert features.dtype == torch.bfloat16
