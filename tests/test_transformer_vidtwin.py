"""The space-time transformer: positions, attention, block, patch embedding, pixel head and their first
weights."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from random_weights import full_size_weights
from torch import Tensor

from vidtwin import VidTwinConfig, VidTwinModel
from vidtwin.modeling_vidtwin.transformer_vidtwin import (
    VidTwinAttention,
    VidTwinBlock,
    VidTwinMLP,
    VidTwinPatchEmbed,
    VidTwinPixelHead,
    VidTwinTransformer,
    modulated_layer_norm,
    spatial_position_table,
    temporal_position_table,
)

IMPLEMENTATIONS = ("eager", "sdpa")
GATE_A, GATE_M = 2, 5


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def changed(first: Tensor, second: Tensor, axis: int) -> list[bool]:
    """For each place along `axis`, whether the two tensors differ there by more than rounding."""
    places = (first - second).abs().movedim(axis, 0).flatten(1).amax(1)
    return (places > 1e-5).tolist()


@pytest.fixture
def transformer(tiny_config: VidTwinConfig) -> VidTwinTransformer:
    tiny_config._attn_implementation = "sdpa"
    return full_size_weights(VidTwinTransformer(tiny_config))


@pytest.fixture
def block(tiny_config: VidTwinConfig) -> VidTwinBlock:
    tiny_config._attn_implementation = "sdpa"
    return full_size_weights(VidTwinBlock(tiny_config))


# Positions


def test_a_patch_is_placed_by_its_column_and_then_its_row() -> None:
    grid, width = 5, 24
    table = spatial_position_table(grid, width)
    for row, column in ((0, 3), (4, 1), (2, 2)):
        waves = [10000 ** (-k / 6) for k in range(6)]
        place = [wave(at * w) for at in (column, row) for wave in (math.sin, math.cos) for w in waves]
        wanted = torch.tensor(place, dtype=torch.float64)
        torch.testing.assert_close(table[row * grid + column], wanted, rtol=0, atol=1e-14)


def test_a_frame_is_placed_by_its_number() -> None:
    table = temporal_position_table(16, 24)
    waves = [10000 ** (-k / 12) for k in range(12)]
    wanted = [wave(15 * w) for wave in (math.sin, math.cos) for w in waves]
    torch.testing.assert_close(table[15], torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-14)


def exact_tables(config: VidTwinConfig) -> list[Tensor]:
    return [
        spatial_position_table(config.grid_size, config.hidden_size),
        temporal_position_table(config.num_frames, config.hidden_size),
    ]


def test_position_tables_are_computed_in_float64_and_rounded_once(transformer: VidTwinTransformer) -> None:
    exact = exact_tables(transformer.config)
    assert all(table.dtype == torch.float64 for table in exact)
    assert all(torch.equal(a, b.float()) for a, b in zip(transformer.buffers(), exact, strict=True))


def test_position_tables_are_real_in_a_model_without_weights(tiny_config: VidTwinConfig) -> None:
    with torch.device("meta"):
        transformer = VidTwinTransformer(tiny_config)
    assert all(parameter.is_meta for parameter in transformer.parameters())
    exact = exact_tables(tiny_config)
    assert all(torch.equal(a, b.float()) for a, b in zip(transformer.buffers(), exact, strict=True))


def test_position_tables_are_in_no_saved_file(transformer: VidTwinTransformer) -> None:
    assert [name for name in transformer.state_dict() if "position" in name] == []


def test_position_tables_are_filled_in_a_loaded_model(tiny_model: VidTwinModel, tmp_path: Path) -> None:
    tiny_model.save_pretrained(tmp_path)
    loaded = VidTwinModel.from_pretrained(tmp_path)
    exact = exact_tables(loaded.config) * 2
    assert all(torch.equal(a, b.float()) for a, b in zip(loaded.buffers(), exact, strict=True))


def test_position_tables_stay_float32_in_a_bfloat16_model(tiny_model: VidTwinModel, tmp_path: Path) -> None:
    tiny_model.save_pretrained(tmp_path)
    loaded = VidTwinModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    exact = exact_tables(loaded.config) * 2
    assert all(torch.equal(a, b.float()) for a, b in zip(loaded.buffers(), exact, strict=True))


@torch.no_grad()
def test_the_time_of_a_frame_reaches_only_the_temporal_attention(transformer: VidTwinTransformer) -> None:
    hidden = random(1, 4, 4, 4, 32)
    for layer in transformer.layers:
        layer.temporal_attention.proj.weight.zero_()
    before = transformer(hidden)
    transformer.temporal_position.add_(1)
    assert torch.equal(transformer(hidden), before)


@torch.no_grad()
def test_the_time_of_a_frame_enters_the_first_block_and_no_other(transformer: VidTwinTransformer) -> None:
    hidden = random(1, 4, 4, 4, 32)
    before = transformer(hidden)
    transformer.layers[0].temporal_attention.proj.weight.zero_()
    without_first = transformer(hidden)
    transformer.temporal_position.add_(1)
    assert torch.equal(transformer(hidden), without_first)
    assert not torch.allclose(before, without_first)


# Attention


@torch.no_grad()
@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_is_the_softmax_of_scaled_products(is_causal: bool, tiny_config: VidTwinConfig) -> None:
    attention = full_size_weights(VidTwinAttention(tiny_config, is_causal))
    hidden = random(2, 5, 32)
    query, key, value = attention.qkv(hidden).reshape(2, 5, 3, 4, 8).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / 8**0.5
    if is_causal:
        scores = scores + torch.full((5, 5), -torch.inf).triu(1)
    wanted = attention.proj((scores.softmax(-1) @ value).transpose(1, 2).reshape(2, 5, 32))
    for implementation in IMPLEMENTATIONS:
        tiny_config._attn_implementation = implementation
        torch.testing.assert_close(attention(hidden), wanted, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("frame", range(4))
def test_a_frame_never_changes_the_hidden_states_before_it(
    frame: int, implementation: str, transformer: VidTwinTransformer
) -> None:
    transformer.config._attn_implementation = implementation
    hidden = random(1, 4, 4, 4, 32)
    other = hidden.clone()
    other[:, frame] += 1
    assert changed(transformer(hidden), transformer(other), axis=1) == [t >= frame for t in range(4)]


@torch.no_grad()
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_patch_changes_every_patch_of_its_frame(
    implementation: str, transformer: VidTwinTransformer
) -> None:
    transformer.config._attn_implementation = implementation
    hidden = random(1, 4, 4, 4, 32)
    other = hidden.clone()
    other[:, 3, 3, 3] += 1
    before, after = transformer(hidden)[:, 3].flatten(1, 2), transformer(other)[:, 3].flatten(1, 2)
    assert all(changed(before, after, axis=1))


# The block


@torch.no_grad()
def test_a_modulated_norm_scales_and_shifts_a_plain_one() -> None:
    hidden, scale, shift = random(2, 3, 8) * 5 + 1, random(8), random(8) + 1
    centred = hidden - hidden.mean(-1, keepdim=True)
    plain = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    wanted = plain * (1 + scale) + shift
    torch.testing.assert_close(modulated_layer_norm(hidden, scale, shift, 1e-6), wanted, rtol=0, atol=1e-5)


@torch.no_grad()
def test_closed_gates_let_a_block_pass_its_input(block: VidTwinBlock) -> None:
    block.modulation[[GATE_A, GATE_M]] = 0
    hidden = random(1, 4, 16, 32)
    assert torch.equal(block(hidden, random(4, 32)), hidden)


@torch.no_grad()
def test_one_gate_closes_both_attentions(block: VidTwinBlock) -> None:
    block.modulation[GATE_A] = 0
    hidden = random(1, 4, 16, 32)
    other = hidden.clone()
    other[:, 1, 5] += 1
    places = (block(hidden) - block(other)).abs().amax(-1).nonzero().tolist()
    assert places == [[0, 1, 5]]


@torch.no_grad()
def test_the_temporal_attention_sees_neither_norm_nor_modulation(block: VidTwinBlock) -> None:
    block.modulation.zero_()
    block.modulation[GATE_A] = 1
    block.spatial_attention.proj.weight.zero_()
    block.spatial_attention.proj.bias.zero_()
    hidden = random(1, 4, 16, 32) * 3 + 1
    frames = rearrange(hidden, "b t n c -> (b n) t c")
    wanted = hidden + rearrange(block.temporal_attention(frames), "(b n) t c -> b t n c", n=16)
    torch.testing.assert_close(block(hidden), wanted, rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_blocks_mlp_has_the_tanh_gelu(tiny_config: VidTwinConfig) -> None:
    mlp = full_size_weights(VidTwinMLP(tiny_config)).double()
    x = mlp.fc1(random(3, 32).double() * 3)
    gelu = 0.5 * x * (1 + torch.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)))
    torch.testing.assert_close(mlp(random(3, 32).double() * 3), mlp.fc2(gelu), rtol=0, atol=1e-12)


# Patches


@torch.no_grad()
def test_the_patch_embedding_is_a_convolution_of_its_kernels_stride(tiny_config: VidTwinConfig) -> None:
    embed = full_size_weights(VidTwinPatchEmbed(tiny_config))
    video = random(2, 4, 3, 32, 32)
    kernel = embed.proj.weight.unflatten(1, (3, 1, 8, 8))
    wanted = F.conv3d(video.transpose(1, 2), kernel, embed.proj.bias, stride=(1, 8, 8))
    torch.testing.assert_close(embed(video), wanted.permute(0, 2, 3, 4, 1), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_pixel_head_writes_rows_then_columns_then_colours(tiny_config: VidTwinConfig) -> None:
    head = full_size_weights(VidTwinPixelHead(tiny_config))
    head.proj.weight.zero_()
    head.proj.bias.copy_(torch.arange(192.0))
    y, x, c = 9, 26, 2  # row 1 and column 2 of a patch, third colour
    assert head(random(1, 4, 4, 4, 32))[0, 0, c, y, x] == (1 * 8 + 2) * 3 + 2


@torch.no_grad()
def test_a_patch_of_hidden_states_becomes_the_pixels_at_its_place(tiny_config: VidTwinConfig) -> None:
    head = full_size_weights(VidTwinPixelHead(tiny_config))
    hidden = random(1, 4, 4, 4, 32)
    other = hidden.clone()
    other[0, 1, 2, 3] = random(32) * 2
    _, t, _, y, x = (head(hidden) != head(other)).nonzero().unbind(1)
    assert (t.unique().tolist(), y.unique().tolist(), x.unique().tolist()) == (
        [1],
        [*range(16, 24)],
        [*range(24, 32)],
    )


@torch.no_grad()
def test_the_pixel_head_bounds_nothing(tiny_config: VidTwinConfig) -> None:
    head = full_size_weights(VidTwinPixelHead(tiny_config))
    head.proj.bias.fill_(50)
    assert head(random(1, 4, 4, 4, 32)).min() > 1


# First weights


@pytest.fixture(params=["made", "missing from the file"])
def fresh(request: pytest.FixtureRequest, tiny_config: VidTwinConfig) -> VidTwinModel:
    """A model with first weights: drawn by the constructor, or by loading for what the file lacks."""
    torch.manual_seed(0)
    tiny_config.hidden_size = 64
    if request.param == "made":
        return VidTwinModel(tiny_config)
    return VidTwinModel.from_pretrained(None, config=tiny_config, state_dict={})


def test_temporal_attention_starts_without_effect(fresh: VidTwinModel) -> None:
    blocks = [*fresh.encoder.layers, *fresh.decoder.layers]
    assert not any(block.temporal_attention.proj.weight.any() for block in blocks)


def test_modulations_start_small_for_wide_models(fresh: VidTwinModel) -> None:
    blocks = [*fresh.encoder.layers, *fresh.decoder.layers]
    drawn = torch.cat([fresh.head.modulation, *(block.modulation for block in blocks)])
    assert drawn.std().item() == pytest.approx(64**-0.5, rel=0.06)
    assert drawn.mean().item() == pytest.approx(0, abs=0.01)


def test_linears_of_the_transformers_start_xavier_uniform(fresh: VidTwinModel) -> None:
    linears = [fresh.patch_embed.proj]
    for block in [*fresh.encoder.layers, *fresh.decoder.layers]:
        linears += [block.spatial_attention.qkv, block.spatial_attention.proj, block.mlp.fc1, block.mlp.fc2]
    for linear in linears:
        bound = (6 / sum(linear.weight.shape)) ** 0.5
        assert 0.98 * bound < linear.weight.abs().max() <= bound
        assert linear.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
        assert not linear.bias.any()


def test_the_last_linear_starts_as_torchs_default(fresh: VidTwinModel) -> None:
    bound = 64**-0.5
    for drawn in (fresh.head.proj.weight, fresh.head.proj.bias):
        assert 0.95 * bound < drawn.abs().max() <= bound
