"""What happens beside the steps: averaged weights, bounds of the log-variance, sample videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import TrainerCallback

from vidtwin.modeling_vidtwin.long_video import reconstruct_parts
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.picture import Strip, png, side_by_side
from vidtwin.modeling_vidtwin.video_io import atomic_path, write_video
from vidtwin.modeling_vidtwin.video_processing_vidtwin import VidTwinVideoProcessor

from .gan import AdversarialVidTwin


def averaged(generator: VidTwinModel, decay: float) -> AveragedModel:
    """An exponential moving average of the generator's weights; the first update copies them."""
    return AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=False)


class AfterEachStep(TrainerCallback):
    """Updates the average, brings a learned log-variance back into its bounds, and tells the run's share done
    as its epoch (the stock count starts anew when a stream resumes)."""

    def __init__(self, module: AdversarialVidTwin, ema: AveragedModel | None, bounds: tuple[float, float]):
        self.module = module
        self.ema = ema
        self.bounds = bounds

    @torch.no_grad()
    def on_step_end(self, args, state, control, **kwargs) -> None:
        state.epoch = state.global_step / state.max_steps
        self.module.logvar.clamp_(*self.bounds)
        if self.ema is not None:
            self.ema.update_parameters(self.module.generator)


class SampleVideos(TrainerCallback):
    """Writes OUTPUT/samples/step-N.mp4 and .png: fixed clips beside their reconstruction, structure only and
    dynamics only.

    clips: uint8 `b t c y x`. model: gives the weights to show (the average, where there is one).
    """

    def __init__(self, clips: Tensor, model, every: int, fps: float = 8.0):
        self.clips = clips
        self.model = model
        self.every = every
        self.fps = fps

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if state.is_world_process_zero and state.global_step % self.every == 0:
            self.write(Path(args.output_dir) / "samples", state.global_step)

    def write(self, folder: Path, step: int) -> None:
        """Write both files of one step; the picture has the middle frame of each clip."""
        folder.mkdir(parents=True, exist_ok=True)
        model = self.model()
        was_training = model.training
        processor = VidTwinVideoProcessor.from_config(model.config)
        frames = rearrange(self.clips, "b t c y x -> (b t) y x c").numpy()
        shown = list(reconstruct_parts(model.eval(), processor, frames))
        model.train(was_training)
        length, strip = self.clips.shape[1], Strip(columns=len(self.clips))
        for pictures in shown[length // 2 :: length]:
            strip.add(pictures)
        rows = [
            np.concatenate([side_by_side(pictures) for pictures in shown[frame::length]], axis=1)
            for frame in range(length)
        ]
        write_video(folder / f"step-{step}.mp4", np.stack(rows), self.fps)
        with atomic_path(folder / f"step-{step}.png") as path:
            path.write_bytes(png(strip.picture()))
