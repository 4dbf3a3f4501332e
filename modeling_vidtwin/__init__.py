"""All that a user of a trained VidTwin needs: models, processor, video files, conversion, bundled models."""

from pathlib import Path

from transformers import AutoModel, AutoVideoProcessor

from ..configuration import VidTwinConfig
from .modeling_vidtwin import VidTwinEncoderModel, VidTwinModel
from .video_processing_vidtwin import VidTwinVideoProcessor

__all__ = ["VidTwinEncoderModel", "VidTwinModel", "VidTwinVideoProcessor", "bundled_model"]

AutoModel.register(VidTwinConfig, VidTwinModel, exist_ok=True)
AutoVideoProcessor.register(VidTwinConfig, VidTwinVideoProcessor, exist_ok=True)

_BUNDLED = Path(__file__).parent / "bundled"


def bundled_model(name: str) -> Path:
    """The folder of a model that comes with the package, for `from_pretrained`.

    An unknown name is a ValueError that lists the known ones.
    """
    names = sorted(config.parent.name for config in _BUNDLED.glob("*/config.json"))
    if name not in names:
        raise ValueError(f"A bundled model must be one of {names}, got {name!r}. Choose one of these names.")
    return _BUNDLED / name
