"""Mean and standard deviation of each latent channel, which generators of latents normalise by."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel


@torch.no_grad()
def latent_statistics(model: VidTwinModel, batches: Iterable[dict[str, Tensor]]) -> dict[str, list[float]]:
    """The config's `structure_mean`, `structure_std`, `dynamics_mean`, `dynamics_std` over clips.

    batches: {"pixel_values_videos": uint8 `b t c y x`}. Posterior means are counted, over clips, tokens or
    frames, and places; one number a channel. Raises ValueError without any clip.
    """
    was_training = model.training
    model.eval()
    sums: dict[str, list[Tensor]] = {"structure": [], "dynamics": []}
    for batch in batches:
        video = batch["pixel_values_videos"].to(model.device, torch.float32) / 127.5 - 1.0
        posterior = model.encode(video)
        for part, moments in sums.items():
            values = getattr(posterior, part).mode().double().movedim(2, 0).flatten(1)
            moments.append(
                torch.stack(
                    [
                        torch.ones(len(values)).to(values) * values.shape[1],
                        values.sum(1),
                        values.square().sum(1),
                    ]
                )
            )
    model.train(was_training)
    if not sums["structure"]:
        raise ValueError("Latent statistics need at least one clip, got none.")
    found = {}
    for part, moments in sums.items():
        count, total, squares = torch.stack(moments).sum(0)
        mean = total / count
        found[f"{part}_mean"] = mean.tolist()
        found[f"{part}_std"] = (squares / count - mean.square()).clamp_min(1e-12).sqrt().tolist()
    return found
