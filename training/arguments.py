"""VidTwinTrainingArguments: transformers' TrainingArguments and what VidTwin adds."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments

from .discriminator import NORMS
from .losses import RECONSTRUCTION_ERRORS


def _help(default, text: str):
    return field(default=default, metadata={"help": text})


@dataclass
class VidTwinTrainingArguments(TrainingArguments):
    """How to train a VidTwin (paper Sec. 3.4 and 4.1; defaults are the released recipe's where it has one).

    Raises ValueError, in one sentence, for what cannot be trained with.
    """

    error: str = _help("l1", "Reconstruction error: l1 (released) or l2.")
    perceptual_weight: float = _help(0.05, "Weight of LPIPS; 0 needs no ImageNet weights.")
    perceptual_net: str = _help("vgg", "Network of LPIPS: vgg (released), alex or squeeze.")
    kl_weight: float = _help(0.001, "Weight of the KL term.")
    sample_posterior: bool = _help(True, "Decode a sample of the posterior (else its mean) while training.")
    learn_logvar: bool = _help(False, "Learn the log-variance of the error, as released.")
    logvar_min: float = _help(-6.0, "Lower bound of the learned log-variance.")
    logvar_max: float = _help(6.0, "Upper bound of the learned log-variance.")

    gan_weight: float = _help(0.05, "Weight of the adversarial term; 0 trains without a discriminator.")
    gan_adaptive: bool = _help(
        True, "Scale the adversarial gradient to the reconstruction's at the last layer."
    )
    gan_start: int = _help(10_000, "First step with the discriminator.")
    gan_warmup_steps: int = _help(0, "Steps over which the adversarial term grows to its weight.")
    discriminator_dims: int = _help(2, "2: single frames (released); 3: three neighbouring frames.")
    discriminator_norm: str = _help("batch", "Norm of the discriminator: batch (released), group or sync.")
    discriminator_learning_rate: float = _help(1.5e-5, "Learning rate of the discriminator.")
    discriminator_warmup_steps: int = _help(0, "Its warm-up, counted from gan_start.")
    discriminator_warmup_from: float = _help(0.0, "Share of its learning rate at which its warm-up begins.")
    discriminator_max_grad_norm: float = _help(1.0, "Its own gradient clipping.")

    ema_decay: float = _help(0.999, "Decay of the averaged weights; 0 keeps none.")
    compile_blocks: bool = _help(False, "torch.compile of the generator's blocks.")
    sample_steps: int = _help(0, "Write sample videos every so many steps; 0 writes none.")
    eval_clips: int = _help(16, "Clips to evaluate on.")

    report_to: str | list[str] | None = _help("none", "Where logs go besides the console.")
    logging_nan_inf_filter: bool = _help(False, "A non-finite loss must be seen.")
    remove_unused_columns: bool = _help(False, "The data set holds only clips.")
    ddp_find_unused_parameters: bool | None = _help(False, "Every parameter takes part in every step.")
    hub_strategy: str = _help("end", "Only the finished, averaged weights are pushed.")

    def __post_init__(self) -> None:
        if self.torch_compile:
            raise ValueError("torch_compile would compile the losses too: set compile_blocks instead.")
        super().__post_init__()
        self.dataloader_pin_memory &= torch.cuda.is_available()  # else torch warns of it
        if self.max_steps < 1:
            raise ValueError(
                f"max_steps must be given: the stream of clips has no end. Got {self.max_steps}."
            )
        self._check_names()
        self._check_numbers()
        self._check_engine()
        if self.save_only_model:
            raise ValueError("save_only_model would leave checkpoints that no run can go on from.")

    def _check_names(self) -> None:
        for name, known in (("error", RECONSTRUCTION_ERRORS), ("discriminator_norm", NORMS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}.")
        if self.discriminator_dims not in (2, 3):
            raise ValueError(f"discriminator_dims must be 2 or 3, got {self.discriminator_dims}.")

    def _check_numbers(self) -> None:
        for name in (
            "perceptual_weight",
            "kl_weight",
            "gan_weight",
            "gan_start",
            "gan_warmup_steps",
            "discriminator_warmup_steps",
            "sample_steps",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}.")
        for name in (
            "max_grad_norm",
            "discriminator_max_grad_norm",
            "eval_clips",
            "gradient_accumulation_steps",
            "per_device_train_batch_size",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}.")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), got {self.ema_decay}.")
        if self.logvar_min > self.logvar_max:
            raise ValueError(
                f"logvar_min ({self.logvar_min}) must not be above logvar_max ({self.logvar_max})."
            )

    def _check_engine(self) -> None:
        if self.fp16:
            raise ValueError("fp16 loses the small gradients of the adaptive weight: use bf16.")
        if self.deepspeed or self.fsdp:
            raise ValueError(
                "DeepSpeed and FSDP split networks that are trained together here: use DDP "
                "(accelerate launch -m vidtwin.training, or torchrun)."
            )
        if self.n_gpu > 1:
            raise ValueError(
                f"{self.n_gpu} GPUs in one process would use DataParallel: start one process per GPU with "
                "accelerate launch -m vidtwin.training, or torchrun; or set CUDA_VISIBLE_DEVICES."
            )
        if self.push_to_hub and self.hub_strategy != "end":
            raise ValueError(
                "hub_strategy must be end: others send raw weights and pickled arguments, a token among them."
            )
        if self.discriminator_norm == "sync" and self.device.type != "cuda":
            raise ValueError("discriminator_norm: sync exists on GPUs only: use group or batch.")
