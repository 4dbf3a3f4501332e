"""The numbers that define a VidTwin: its configuration and the paper's presets."""

from transformers import AutoConfig

from .configuration_vidtwin import VidTwinConfig
from .presets import ABLATIONS, LATENT_SIZES, SCALES, vidtwin_config

__all__ = ["ABLATIONS", "LATENT_SIZES", "SCALES", "VidTwinConfig", "vidtwin_config"]

AutoConfig.register(VidTwinConfig.model_type, VidTwinConfig, exist_ok=True)
