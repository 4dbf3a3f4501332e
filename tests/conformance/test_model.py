"""transformers' common tests of a model on VidTwinModel and VidTwinEncoderModel."""

import unittest
from dataclasses import dataclass
from typing import Any

import torch
from tests.test_modeling_common import ModelTesterMixin
from torch import Tensor, nn
from transformers.testing_utils import torch_device
from transformers.utils import ModelOutput

from vidtwin import VidTwinConfig, VidTwinEncoderModel, VidTwinModel
from vidtwin.modeling_vidtwin.transformer_vidtwin import VidTwinPatchEmbed


@dataclass
class AdaptedOutput(ModelOutput):
    """What some common tests read by name: a loss to train on, and hidden states, of which the last count."""

    loss: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class AdaptedVidTwinModel(VidTwinModel):
    """VidTwin keeps losses out of its model, and its attention implementations must agree on the video."""

    def forward(self, pixel_values_videos: Tensor, **kwargs) -> AdaptedOutput:
        output = super().forward(pixel_values_videos, return_dict=True)
        loss = (output.reconstruction - pixel_values_videos).square().mean() + output.kl_loss
        return AdaptedOutput(loss=loss, hidden_states=(output.reconstruction,))


class AdaptedVidTwinEncoderModel(VidTwinEncoderModel):
    """The same for the encoder half, where both latents must agree."""

    def forward(self, pixel_values_videos: Tensor, **kwargs) -> AdaptedOutput:
        output = super().forward(pixel_values_videos, return_dict=True)
        latents = torch.cat([output.structure.flatten(1), output.dynamics.flatten(1)], dim=1)
        return AdaptedOutput(loss=output.kl_loss, hidden_states=(latents,))


NEED_ADAPTING = ("test_training", "test_eager_matches_sdpa_inference")


class VidTwinModelTester:
    """A tiny VidTwin and a batch of random clips."""

    is_training = True
    batch_size = 3
    num_hidden_layers = 2
    hidden_size = 32

    def get_config(self) -> VidTwinConfig:
        return VidTwinConfig(
            image_size=32,
            patch_size=8,
            num_frames=4,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=4,
            num_query_tokens=4,
            qformer_hidden_size=16,
            qformer_num_hidden_layers=2,
            qformer_num_attention_heads=4,
            qformer_intermediate_size=32,
            structure_channels=2,
            structure_init_channels=8,
            dynamics_channels=4,
        )

    def prepare_config_and_inputs_for_common(self) -> tuple[VidTwinConfig, dict[str, Any]]:
        config = self.get_config()
        clip = (config.num_frames, config.num_channels, config.image_size, config.image_size)
        video = torch.rand(self.batch_size, *clip, device=torch_device) * 2 - 1
        return config, {"pixel_values_videos": video}


class VidTwinModelTest(ModelTesterMixin, unittest.TestCase):
    all_model_classes = (VidTwinModel, VidTwinEncoderModel)
    test_resize_embeddings = False
    test_can_init_all_missing_weights_before_2023 = True  # else skipped: our config names no year

    def setUp(self) -> None:
        self.model_tester = VidTwinModelTester()
        if self._testMethodName.startswith(NEED_ADAPTING):
            self.all_model_classes = (AdaptedVidTwinModel, AdaptedVidTwinEncoderModel)

    def test_model_get_set_embeddings(self) -> None:
        """The common test with the patch embedding where text models have an nn.Embedding."""
        for model_class in self.all_model_classes:
            model = model_class(self.model_tester.get_config())
            self.assertIsInstance(model.get_input_embeddings(), VidTwinPatchEmbed)
            other = nn.Identity()
            model.set_input_embeddings(other)
            self.assertIs(model.get_input_embeddings(), other)
            self.assertIsNone(model.get_output_embeddings())
