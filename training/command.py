"""What `vidtwin train` and `python -m vidtwin.training` do."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers.trainer_utils import get_last_checkpoint, set_seed
from transformers.utils import logging

from vidtwin.configuration.configuration_vidtwin import VidTwinConfig
from vidtwin.modeling_vidtwin.model_folder import find_model
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.video_processing_vidtwin import VidTwinVideoProcessor

from .arguments import VidTwinTrainingArguments
from .clips import ClipDataset, DataSettings
from .initialisation import start_weights
from .recipes import Recipe, load_recipe
from .trainer import VidTwinTrainer

logger = logging.get_logger(__name__)


def train_recipe(
    recipe: str, output_dir: str | Path, resume: bool | str = False, overrides: list[str] | None = None
):
    """Train as a recipe says and leave a folder that `from_pretrained` loads; gives back the trainer.

    resume: True takes the newest checkpoint of `output_dir` (and starts anew without one), a path takes
    that one. Raises ValueError for a recipe, setting or folder that cannot be used.
    """
    plan = load_recipe(recipe, overrides)
    checkpoint = _checkpoint(Path(output_dir), resume)
    arguments = VidTwinTrainingArguments(output_dir=str(output_dir), **plan.training)
    set_seed(arguments.seed)
    model = _model(plan)
    config = model.config
    length = arguments.max_steps * arguments.train_batch_size * arguments.gradient_accumulation_steps
    data = DataSettings(**plan.data)
    clips = ClipDataset(
        data, config.num_frames, config.image_size, length * arguments.world_size, arguments.seed
    )
    processor = VidTwinVideoProcessor.from_config(config)
    trainer = VidTwinTrainer(model=model, args=arguments, train_dataset=clips, processing_class=processor)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    trainer.save_state()
    return trainer


def _model(plan: Recipe) -> VidTwinModel:
    if plan.from_pretrained is None:
        model = VidTwinModel(VidTwinConfig(**plan.model))
        start_weights(model, plan.start)
        return model
    if plan.model:
        raise ValueError(
            f"model must be empty with from_pretrained, got {sorted(plan.model)}: the weights tell it."
        )
    return VidTwinModel.from_pretrained(find_model(plan.from_pretrained).path, dtype=torch.float32)


def _checkpoint(folder: Path, resume: bool | str) -> str | None:
    """The checkpoint to go on from, named in the log; a folder with checkpoints is never trained over by
    accident."""
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    if isinstance(resume, str):
        if not (Path(resume) / "trainer_state.json").is_file():
            raise ValueError(f"--resume {resume}: not a whole checkpoint (it has no trainer_state.json).")
        last = resume
    elif not resume and last is not None:
        raise ValueError(
            f"{folder} holds checkpoints already ({Path(last).name}). Give --resume, or another folder."
        )
    elif resume and last is None:
        logger.warning(f"No checkpoint in {folder}: training starts anew.")
    if last is not None:
        logger.warning(f"Training resumes from {last}.")
    return last
