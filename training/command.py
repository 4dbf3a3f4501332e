"""What `vidtwin train` and `python -m vidtwin.training` do."""

from __future__ import annotations

import json
from dataclasses import fields
from itertools import islice
from pathlib import Path

import torch
from transformers.trainer_utils import set_seed
from transformers.utils import logging

from vidtwin.configuration.configuration_vidtwin import VidTwinConfig
from vidtwin.configuration.presets import vidtwin_config
from vidtwin.modeling_vidtwin.model_folder import find_model
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.video_processing_vidtwin import VidTwinVideoProcessor

from .arguments import VidTwinTrainingArguments
from .checkpoints import checkpoints_in, newest_whole, refuse_torn, remove_staged
from .clips import ClipDataset, DataSettings
from .initialisation import start_weights
from .latent_statistics import latent_statistics
from .recipes import Recipe, load_recipe
from .stream import ClipStream, StreamSettings
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
    trainer = VidTwinTrainer(
        model=model,
        args=arguments,
        train_dataset=_clips(plan.data, config, length * arguments.world_size, arguments.seed),
        eval_dataset=_clips(plan.eval_data, config, arguments.eval_clips, arguments.seed),
        processing_class=VidTwinVideoProcessor.from_config(config),
    )
    if trainer.is_world_process_zero():
        remove_staged(output_dir)
    step = _step(checkpoint)
    if checkpoint is not None and step >= arguments.max_steps:
        logger.warning(f"{checkpoint} is at step {step} of {arguments.max_steps}: nothing is left to train.")
        trainer.load_finished(checkpoint)
    else:
        trainer.train(resume_from_checkpoint=checkpoint)
    clips = islice(trainer.get_train_dataloader(), max(1, 64 // arguments.train_batch_size))
    for name, values in latent_statistics(trainer.averaged_generator, clips).items():
        setattr(trainer.averaged_generator.config, name, values)
    trainer.save_model()  # pushes too, with push_to_hub
    trainer.save_state()
    trainer.create_model_card()
    return trainer


def _model(plan: Recipe) -> VidTwinModel:
    if plan.from_pretrained is None:
        model = VidTwinModel(vidtwin_config(plan.scale, plan.latent_size, **plan.model))
        start_weights(model, plan.start)
        return model
    return VidTwinModel.from_pretrained(find_model(plan.from_pretrained).path, dtype=torch.float32)


def _clips(settings: dict, config: VidTwinConfig, length: int, seed: int) -> ClipDataset | ClipStream | None:
    """The clips of a recipe's section: a stream with `shards`, else a data set; None for an empty one."""
    if not settings:
        return None
    given = {key: value for key, value in settings.items() if value is not None}
    _check_source(given)
    if "shards" in settings and not {"videos", "rendered_share"} & given.keys():
        stream = StreamSettings(**{"shards": "", **given})
        return ClipStream(stream, config.num_frames, config.image_size, seed)
    if "shards" in given:
        raise ValueError("data.shards and data.videos or data.rendered_share are two sources: give one.")
    return ClipDataset(DataSettings(**given), config.num_frames, config.image_size, length, seed)


def _check_source(given: dict) -> None:
    """Raises ValueError for settings of shards without any, and for those of a folder beside shards."""
    kinds = (DataSettings, StreamSettings) if "shards" in given else (StreamSettings, DataSettings)
    foreign, own = ({each.name for each in fields(kind)} for kind in kinds)
    stray = sorted((foreign - own) & given.keys() - {"shards", "videos", "rendered_share"})
    if stray:
        source = "videos or rendered_share" if "shards" in given else "shards"
        raise ValueError(f"data.{stray[0]} goes with data.{source}.")


def _step(checkpoint: str | None) -> int:
    if checkpoint is None:
        return 0
    state = json.loads((Path(checkpoint) / "trainer_state.json").read_text(encoding="utf-8"))
    return state["global_step"]


def _checkpoint(folder: Path, resume: bool | str) -> str | None:
    """The checkpoint to go on from, named in the log; a folder with checkpoints is never trained over by
    accident."""
    if isinstance(resume, str):
        refuse_torn(resume)
        logger.warning(f"Training resumes from {resume}.")
        return resume
    present = checkpoints_in(folder)
    if not resume:
        if present:
            raise ValueError(
                f"{folder} holds checkpoints already ({present[0].name}). Give --resume, or another folder."
            )
        return None
    newest, torn = newest_whole(folder)
    for each in torn:
        logger.warning(f"{each} is not whole: passed over.")
    if newest is None:
        logger.warning(f"No whole checkpoint in {folder}: training starts anew.")
        return None
    logger.warning(f"Training resumes from {newest}.")
    return str(newest)
