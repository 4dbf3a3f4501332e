"""summary: parameters, shapes and operations of a configuration."""

import pytest

from vidtwin import VidTwinConfig, VidTwinEncoderModel, VidTwinModel
from vidtwin.configuration.presets import vidtwin_config
from vidtwin.modeling_vidtwin.summary import summarize


def test_the_parts_add_up_to_the_whole_model(tiny_config: VidTwinConfig) -> None:
    assert sum(summarize(tiny_config).parameters.values()) == VidTwinModel(tiny_config).num_parameters()


def test_the_encoder_half_is_counted_alone(tiny_config: VidTwinConfig) -> None:
    summary = summarize(tiny_config, decodes=False)
    assert sum(summary.parameters.values()) == VidTwinEncoderModel(tiny_config).num_parameters()
    assert summary.decode_flops is None and "decode" not in "\n".join(summary.lines())


@pytest.mark.parametrize(
    ("scale", "parameters"), [("small", 106_133_298), ("base", 311_518_770), ("large", 1_237_295_922)]
)
def test_the_scales_have_the_papers_parameters(scale: str, parameters: int) -> None:
    summary = summarize(vidtwin_config(scale, structure_channels=8))
    assert sum(summary.parameters.values()) == parameters


def test_the_released_size_costs_two_teraflops_a_clip() -> None:
    summary = summarize(vidtwin_config("base", structure_channels=8))
    assert summary.encode_flops + summary.decode_flops == pytest.approx(1.98e12, rel=0.01)


def test_the_operations_are_two_per_multiply_add(tiny_config: VidTwinConfig) -> None:
    one_layer = VidTwinConfig.from_dict({**tiny_config.to_dict(), "num_hidden_layers": 1})
    tokens, width, patches, frames = 4 * 16, 32, 16, 4
    linears = tokens * (4 + 4 + 8) * width * width
    scores = 2 * tokens * width * (patches + frames)
    assert summarize(tiny_config).encode_flops - summarize(one_layer).encode_flops == 2 * (linears + scores)


def test_the_lines_tell_rate_and_shapes(tiny_config: VidTwinConfig) -> None:
    text = "\n".join(summarize(tiny_config).lines())
    assert (
        "4 x 2 x 2 x 2" in text and "4 x 4 x 4" in text and "96 latent numbers for 12,288 (0.7812%)" in text
    )
