"""The space-time transformer: causality, positions, norms, and one result from every attention."""

import copy

import pytest
import torch
import torch.nn.functional as F

from vidtwin.modeling_vidtwin.transformer_vidtwin import (
    VidTwinTransformer,
    modulated_layer_norm,
    spatial_position_table,
    temporal_position_table,
)


@pytest.fixture
def transformer(tiny_config):
    """A transformer whose every weight is random at full size: zero projections would hide a wrong mask."""
    torch.manual_seed(0)
    tiny_config._attn_implementation = "sdpa"
    transformer = VidTwinTransformer(tiny_config).double()
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return transformer


def hidden_of(config, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        2, config.num_frames, config.grid_size, config.grid_size, config.hidden_size, generator=generator
    ).double()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_frame_never_changes_the_hidden_states_before_it(transformer, attention):
    transformer.config._attn_implementation = attention
    hidden = hidden_of(transformer.config)
    changed = hidden.clone()
    changed[:, 2] += 1
    before, after = transformer(hidden), transformer(changed)
    assert torch.equal(before[:, :2], after[:, :2])
    assert (before[:, 3] - after[:, 3]).abs().max() > 1e-3


def test_within_a_frame_every_patch_sees_every_other(transformer):
    hidden = hidden_of(transformer.config)
    changed = hidden.clone()
    changed[:, 0, -1, -1] += 1
    assert ((transformer(hidden) - transformer(changed))[:, 0, 0, 0].abs() > 1e-6).any()


def test_eager_and_sdpa_agree_when_switched_after_construction(transformer):
    eager = copy.deepcopy(transformer)
    eager.config._attn_implementation = "eager"
    hidden = hidden_of(transformer.config)
    assert (transformer(hidden) - eager(hidden)).abs().max() < 1e-9


def test_the_first_half_of_the_spatial_table_tells_the_column():
    table = spatial_position_table(grid_size=3, hidden_size=8).reshape(3, 3, 8)
    assert torch.equal(table[0, :, :4], table[2, :, :4])
    assert torch.equal(table[:, 0, 4:], table[:, 2, 4:])
    assert not torch.equal(table[0, 0, :4], table[0, 1, :4])


def test_the_temporal_table_is_sines_then_cosines():
    table = temporal_position_table(num_frames=3, hidden_size=4)
    assert table.dtype == torch.float64
    expected = [torch.tensor(2.0).double().sin(), torch.tensor(0.02).double().sin()]
    assert table[2, :2].tolist() == pytest.approx([value.item() for value in expected])
    assert table[0].tolist() == [0, 0, 1, 1]


def test_temporal_positions_reach_the_attention_of_the_first_block_only(transformer):
    """With the first block's temporal attention cut off, the table has no way into the stream."""
    hidden = hidden_of(transformer.config)
    with torch.no_grad():
        transformer.layers[0].temporal_attention.proj.weight.zero_()
        before = transformer(hidden)
        transformer.temporal_position += 5
        assert torch.equal(transformer(hidden), before)


def test_the_fused_norm_is_a_norm_then_a_modulation():
    hidden, scale, shift = torch.randn(3, 5, 8), torch.randn(8), torch.randn(8)
    separate = F.layer_norm(hidden, (8,)) * (1 + scale) + shift
    assert torch.allclose(modulated_layer_norm(hidden, scale, shift, 1e-5), separate, atol=1e-6)
