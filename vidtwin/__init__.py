"""VidTwin: a video autoencoder with decoupled structure and dynamics latents (arXiv 2412.17726).

Names are imported when first used, so that `import vidtwin` costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .configuration import VidTwinConfig
    from .modeling_vidtwin import VidTwinEncoderModel, VidTwinModel, VidTwinVideoProcessor
    from .training.arguments import VidTwinTrainingArguments
    from .training.trainer import VidTwinTrainer

__all__ = [
    "VidTwinConfig",
    "VidTwinEncoderModel",
    "VidTwinModel",
    "VidTwinTrainer",
    "VidTwinTrainingArguments",
    "VidTwinVideoProcessor",
    "__version__",
]

_ROOMS = {
    "VidTwinConfig": "vidtwin.configuration",
    "VidTwinEncoderModel": "vidtwin.modeling_vidtwin",
    "VidTwinModel": "vidtwin.modeling_vidtwin",
    "VidTwinTrainer": "vidtwin.training.trainer",
    "VidTwinTrainingArguments": "vidtwin.training.arguments",
    "VidTwinVideoProcessor": "vidtwin.modeling_vidtwin",
}

# In a checkout the rooms lie beside this folder; an installed package has them inside it.
_root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isfile(os.path.join(_root, "modeling_vidtwin", "__init__.py")):
    __path__.append(_root)


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_ROOMS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
