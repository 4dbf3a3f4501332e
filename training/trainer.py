"""VidTwinTrainer: transformers' Trainer with VidTwin's loss."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer

from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel

from .arguments import VidTwinTrainingArguments
from .losses import kl_term, reconstruction_term


class NonFiniteLossError(RuntimeError):
    """Training met a loss that is not a number; the message names the step and the terms."""


class VidTwinTrainer(Trainer):
    """Trains a VidTwinModel on clips {"pixel_values_videos": uint8 `b t c y x`}.

    Logs each term of the loss (`l1`, `kl` in nats per clip) and the mean `psnr` of the training clips in dB
    beside `loss`. Raises NonFiniteLossError instead of training on.
    """

    args: VidTwinTrainingArguments
    model: VidTwinModel

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False
        self._sums: dict[str, float] = defaultdict(float)
        self._count = 0

    def _get_train_sampler(self, train_dataset=None) -> Sampler:
        # ClipDataset is random by number already; in order, a resumed run skips exactly what it has seen
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        video = inputs["pixel_values_videos"].to(torch.float32) / 127.5 - 1.0
        output = model(video, sample_posterior=self.args.sample_posterior if model.training else False)
        terms = {"l1": reconstruction_term(video, output.reconstruction), "kl": output.kl_loss.float()}
        loss = terms["l1"] + self.args.kl_weight * kl_term(terms["kl"], video)
        self._check_finite(loss, terms)
        self._remember({**terms, "psnr": _psnr(video, output.reconstruction)})
        return (loss, output) if return_outputs else loss

    def _check_finite(self, loss: Tensor, terms: dict[str, Tensor]) -> None:
        if not torch.isfinite(loss):
            values = ", ".join(f"{name} {value.item():g}" for name, value in terms.items())
            raise NonFiniteLossError(
                f"The loss is not finite after step {self.state.global_step} ({values}). Resume from the "
                "last checkpoint with a lower learning_rate or a lower max_grad_norm."
            )

    def _remember(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self._sums[name] += value.item()
        self._count += 1

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs and self._count:
            logs.update({name: round(total / self._count, 5) for name, total in self._sums.items()})
            self._sums.clear()
            self._count = 0
        super().log(logs, start_time)


@torch.no_grad()
def _psnr(video: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean PSNR of a batch's frames in dB, pixels in [-1, 1] clamped."""
    error = (video - reconstruction.float().clamp(-1, 1)) / 2
    return -10 * torch.log10(error.square().mean(dim=(2, 3, 4)) + 1e-8).mean()
