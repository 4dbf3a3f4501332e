"""VidTwinTrainer: transformers' Trainer for an autoencoder with a discriminator, exactly resumable.

The training loop is the stock one. What differs: the module that is trained (gan.py), two networks' parameter
groups, schedules and clipping, checkpoints that are whole or absent (checkpoints.py), and data that resumes.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Sampler, SequentialSampler
from transformers import EvalPrediction, Trainer, TrainerState
from transformers.optimization import get_scheduler
from transformers.trainer_utils import rotate_checkpoints
from transformers.utils import logging

from vidtwin.configuration.configuration_vidtwin import VidTwinConfig
from vidtwin.hub_cards.cards import model_card, trained_story
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel

from . import losses
from .arguments import VidTwinTrainingArguments
from .callbacks import AfterEachStep, SampleVideos, averaged
from .checkpoints import publish, refuse_torn, staging_folder
from .discriminator import PatchDiscriminator
from .gan import AdversarialVidTwin, LossWeights
from .perceptual import PerceptualLoss, load_perceptual

logger = logging.get_logger(__name__)

LOSS_STATE = "gan_state.safetensors"
EMA_FOLDER = "ema"
EMA_STATE = "ema_state.pt"


class NonFiniteLossError(RuntimeError):
    """Training met a loss or gradient that is not a number; the message names step, terms and checkpoint."""


class VidTwinTrainer(Trainer):
    """Trains a VidTwinModel on clips {"pixel_values_videos": uint8 `b t c y x`}.

    train_dataset: a data set of clips, or a ClipStream. perceptual: LPIPS with weights already loaded, made
    by `load_perceptual` when None and its weight is above 0. `trainer.generator` is the VidTwinModel,
    `trainer.averaged_generator` the one to evaluate and publish. Logs each term of the loss (`kl` in nats per
    clip), the mean `psnr` of the training clips in dB and both networks' gradient norms.
    """

    args: VidTwinTrainingArguments
    model: AdversarialVidTwin
    lr_scheduler: Any

    def __init__(
        self,
        model: VidTwinModel,
        args: VidTwinTrainingArguments,
        train_dataset=None,
        eval_dataset=None,
        perceptual: PerceptualLoss | None = None,
        **kwargs,
    ):
        module = _module(model, args, perceptual)
        self.ema = averaged(model, args.ema_decay) if args.ema_decay else None
        if hasattr(train_dataset, "loader"):
            args.ignore_data_skip = True  # the stream itself goes on where it stopped
        super().__init__(
            model=module,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            compute_metrics=_mean_psnr,
            **kwargs,
        )
        self.model_accepts_loss_kwargs = False
        self._stream_loader = None
        self._staging: Path | None = None
        self._sums: dict[str, Tensor | float] = defaultdict(float)
        self._counts: Counter[str] = Counter()
        self._latest: dict[str, Tensor] = {}
        if module.perceptual is not None:
            module.perceptual.to(args.device)
        if self.ema is not None:
            self.ema.to(args.device)
        self.add_callback(AfterEachStep(module, self.ema, (args.logvar_min, args.logvar_max)))
        if args.sample_steps:
            self.add_callback(
                SampleVideos(self._clips_to_show(), lambda: self.averaged_generator, args.sample_steps)
            )
        if args.compile_blocks:
            for layer in (*model.encoder.layers, *model.decoder.layers):
                layer.compile()
        if args.world_size > 1:
            torch.manual_seed(args.seed + args.process_index)  # else every process draws the same noise

    @property
    def generator(self) -> VidTwinModel:
        """The model being trained."""
        return self.model.generator

    @property
    def averaged_generator(self) -> VidTwinModel:
        """The model with averaged weights, or the one being trained when there is no average."""
        return self.generator if self.ema is None else cast(VidTwinModel, self.ema.module)

    def _clips_to_show(self, count: int = 4) -> Tensor:
        data = self.eval_dataset if self.eval_dataset is not None else self.train_dataset
        if not hasattr(data, "__getitem__"):
            raise ValueError("sample_steps needs clips to show: give evaluation videos (eval_data.videos).")
        return torch.stack([data[i]["pixel_values_videos"] for i in range(min(count, len(data)))])

    # Data

    def _get_train_sampler(self, train_dataset=None) -> Sampler:
        # a ClipDataset is random by number already; in order, a resumed run skips exactly what it has seen
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    def get_train_dataloader(self):
        if not hasattr(self.train_dataset, "loader"):
            return super().get_train_dataloader()
        self._stream_loader = self.train_dataset.loader(
            self._train_batch_size,
            self.args.process_index,
            self.args.world_size,
            self.args.dataloader_num_workers,
        )
        return self._stream_loader

    # Optimisation

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            decayed = set(self.get_decay_parameter_names(self.model))
            groups: dict[tuple[str, bool], list] = defaultdict(list)
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    network = "discriminator" if name.startswith("discriminator.") else "generator"
                    groups[network, name in decayed].append(parameter)
            rates = {
                "generator": self.args.learning_rate,
                "discriminator": self.args.discriminator_learning_rate,
            }
            optimizer, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = optimizer(
                [
                    {
                        "params": parameters,
                        "name": network,
                        "lr": rates[network],
                        "weight_decay": self.args.weight_decay if decays else 0.0,
                    }
                    for (network, decays), parameters in groups.items()
                ],
                **options,
            )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        if self.lr_scheduler is None:
            args, optimizer = self.args, optimizer or self.optimizer
            warmup = min(args.get_warmup_steps(num_training_steps), num_training_steps)
            shape = self._schedule(num_training_steps, warmup)
            left = max(1, num_training_steps - args.gan_start)
            other = self._schedule(left, min(args.discriminator_warmup_steps, left))

            def discriminator_shape(step: int) -> float:
                if step < args.gan_start:
                    return 0.0
                since, warmup = step - args.gan_start, args.discriminator_warmup_steps
                start = args.discriminator_warmup_from
                return start + (1 - start) * other(since) if since < warmup else other(since)

            shapes = {"generator": shape, "discriminator": discriminator_shape}
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer, [shapes[group["name"]] for group in optimizer.param_groups]
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _schedule(self, num_training_steps: int, warmup_steps: int):
        """The share of the learning rate at a step, by the stock schedule's name.

        A decay that is longer than the run leaves room for is cut to it: else a short run would begin in it.
        """
        options = dict(self.args.lr_scheduler_kwargs or {})
        if "num_decay_steps" in options:
            options["num_decay_steps"] = min(options["num_decay_steps"], num_training_steps - warmup_steps)
        stock = get_scheduler(
            self.args.lr_scheduler_type,
            optimizer=torch.optim.SGD([torch.zeros(1)], lr=1.0),
            num_warmup_steps=warmup_steps,
            num_training_steps=num_training_steps,
            scheduler_specific_kwargs=options,
        )
        return stock.lr_lambdas[0]

    def _gan_scale(self) -> float:
        """How much of the adversarial term this step has: 0 before its start, then growing to 1."""
        since = self.state.global_step - self.args.gan_start
        if self.model.discriminator is None or since < 0:
            return 0.0
        return min(1.0, (since + 1) / (self.args.gan_warmup_steps + 1))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        video = inputs["pixel_values_videos"].to(torch.float32) / 127.5 - 1.0
        output = model(video, sample_posterior=self.args.sample_posterior, gan_scale=self._gan_scale())
        self._latest = {name: value for name, value in output.items() if name != "loss"}
        for name, value in self._latest.items():
            self._sums[name] += value
            self._counts[name] += 1  # the adversarial terms have fewer in the window in which they start
        return (output["loss"], output) if return_outputs else output["loss"]

    def _clip_grad_norm(self, model):
        module = self.model
        networks = {"generator": [*module.generator.parameters(), module.logvar]}
        if module.discriminator is not None:
            networks["discriminator"] = list(module.discriminator.parameters())
            if self._gan_scale() == 0:
                for parameter in networks["discriminator"]:
                    parameter.grad = None
        limits = {
            "generator": self.args.max_grad_norm,
            "discriminator": self.args.discriminator_max_grad_norm,
        }
        norms = {
            name: self.accelerator.clip_grad_norm_(parameters, limits[name])
            for name, parameters in networks.items()
            if any(parameter.grad is not None for parameter in parameters)
        }
        self._stop_unless_finite(norms)
        self._latest_norms = norms
        return norms["generator"]

    def _stop_unless_finite(self, norms: dict[str, Tensor]) -> None:
        """On every process alike: before a step that would spoil the weights, save them and stop."""
        values = torch.stack([*self._latest.values(), *norms.values()])
        finite = torch.isfinite(values).all().float()
        if self.args.world_size > 1:
            finite = self.accelerator.reduce(finite, "sum") / self.args.world_size
        if finite == 1:
            return
        named = [*self._latest, *(f"{name} gradient" for name in norms)]
        shown = ", ".join(f"{name} {value:g}" for name, value in zip(named, values.tolist(), strict=True))
        self._save_checkpoint(self.model, trial=None)
        raise NonFiniteLossError(
            f"Loss or gradient is not finite at step {self.state.global_step + 1} ({shown}). The weights "
            f"before it are in checkpoint-{self.state.global_step}: resume with a lower learning_rate or "
            "max_grad_norm."
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs and self._sums:
            means = torch.stack(
                [torch.as_tensor(total) / self._counts[name] for name, total in self._sums.items()]
            )
            if self.args.world_size > 1:
                means = self.accelerator.reduce(means, "mean")
            logs.update(
                {name: round(value, 6) for name, value in zip(self._sums, means.tolist(), strict=True)}
            )
            if "discriminator" in self._latest_norms:
                logs["grad_norm_discriminator"] = self._latest_norms["discriminator"].item()
            if self._stream_loader is not None:
                logs["refused_clips"] = sum(self._stream_loader.refused.values())
            self._sums.clear()
            self._counts.clear()
        super().log(logs, start_time)

    # Evaluation

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        video = self._prepare_inputs(inputs)["pixel_values_videos"].to(torch.float32) / 127.5 - 1.0
        generator = self.averaged_generator.eval()
        with torch.no_grad(), self.accelerator.autocast():
            reconstruction = generator(video, sample_posterior=False).reconstruction
        error = losses.reconstruction_term(video, reconstruction, self.args.error)
        scores = losses.psnr_term(video, reconstruction)
        return error, scores, torch.zeros_like(scores)

    # Checkpoints

    def _get_output_dir(self, trial) -> str:
        return super()._get_output_dir(trial) if self._staging is None else str(self._staging)

    def _save_checkpoint(self, model, trial) -> None:
        """As stock, but aside; the folder gets its name when every process has written its part."""
        step = self.state.global_step
        aside = staging_folder(self.args.output_dir, step)
        if self.args.should_save:
            shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
        self.accelerator.wait_for_everyone()
        self._staging = aside
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._staging = None
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            best = self.state.best_global_step
            written = aside / f"checkpoint-{step}"
            if best:
                self.state.best_model_checkpoint = str(Path(self.args.output_dir) / f"checkpoint-{best}")
                self.state.save_to_json(str(written / "trainer_state.json"))
            publish(written, Path(self.args.output_dir) / f"checkpoint-{step}")
            aside.rmdir()
            rotate_checkpoints(
                output_dir=self.args.output_dir,
                save_total_limit=self.args.save_total_limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
            )
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """A checkpoint holds raw weights, averaged weights and the losses' state; the finished model's folder
        the averaged weights alone. Every process comes here, one writes."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir)
        if self._staging is None:
            self.averaged_generator.save_pretrained(folder)
        else:
            self.generator.save_pretrained(folder)
            save_file(self._loss_state(), folder / LOSS_STATE)
            if self.ema is not None:
                self.averaged_generator.save_pretrained(folder / EMA_FOLDER)
                torch.save({"n_averaged": self.ema.n_averaged}, folder / EMA_STATE)
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)
            if self._staging is not None and self.ema is not None:
                self.processing_class.save_pretrained(folder / EMA_FOLDER)

    def _loss_state(self) -> dict[str, Tensor]:
        state = {"logvar": self.model.logvar.detach()}
        if self.model.discriminator is not None:
            tensors = self.model.discriminator.state_dict()
            state |= {f"discriminator.{name}": tensor.contiguous() for name, tensor in tensors.items()}
        return state

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        refuse_torn(resume_from_checkpoint)
        folder = Path(resume_from_checkpoint)
        self._check_same_run(folder)
        _load_weights(self.generator, folder)
        state = load_file(folder / LOSS_STATE)
        with torch.no_grad():
            self.model.logvar.copy_(state.pop("logvar"))
        if self.model.discriminator is not None:
            self.model.discriminator.load_state_dict(
                {name.removeprefix("discriminator."): tensor for name, tensor in state.items()}
            )
        if self.ema is not None:
            _load_weights(self.averaged_generator, folder / EMA_FOLDER)
            self.ema.n_averaged.copy_(torch.load(folder / EMA_STATE, weights_only=True)["n_averaged"])

    def load_finished(self, checkpoint: str) -> None:
        """Weights and log of a checkpoint after which nothing is left to train."""
        self._load_from_checkpoint(checkpoint)
        self.state = TrainerState.load_from_json(str(Path(checkpoint) / "trainer_state.json"))

    def _check_same_run(self, folder: Path) -> None:
        """Raises ValueError, by name, for a checkpoint of another model or of other networks beside it."""
        there, here = VidTwinConfig.from_pretrained(folder), self.generator.config
        measured = ("structure_mean", "structure_std", "dynamics_mean", "dynamics_std", "vidtwin_version")
        for name in sorted(set(here._own_fields()) - set(measured)):
            if getattr(there, name) != getattr(here, name):
                raise ValueError(
                    f"{folder} is of another model: {name} {getattr(there, name)}, not {getattr(here, name)}."
                )
        with safe_open(folder / LOSS_STATE, framework="pt") as state:
            shapes = {name: tuple(state.get_slice(name).get_shape()) for name in state.keys()}  # noqa: SIM118
        shapes.pop("logvar")
        for what, is_there, is_here in (
            ("a discriminator (gan_weight)", bool(shapes), self.model.discriminator is not None),
            ("averaged weights (ema_decay)", (folder / EMA_STATE).is_file(), self.ema is not None),
        ):
            if is_there != is_here:
                sides = ("the checkpoint has", "this run not") if is_there else ("this run has", "it not")
                raise ValueError(f"{folder} is of another run: {sides[0]} {what}, {sides[1]}.")
        tensors = self.model.discriminator.state_dict() if self.model.discriminator is not None else {}
        if shapes != {f"discriminator.{name}": tuple(tensor.shape) for name, tensor in tensors.items()}:
            raise ValueError(f"{folder} has another discriminator (discriminator_norm, discriminator_dims).")

    def create_model_card(self, model_name: str | None = None, license: str | None = None, **kwargs) -> None:
        """The finished model's README.md: how it was trained, and the last evaluation."""
        if not self.is_world_process_zero():
            return
        evaluations = [entry for entry in self.state.log_history if "eval_psnr" in entry]
        results = {"PSNR on evaluation clips (dB)": evaluations[-1]["eval_psnr"]} if evaluations else {}
        repo = self.hub_model_id or model_name or Path(self.args.output_dir).name
        story = trained_story(self._facts(), results)
        card = model_card(repo, self.generator.config, replace(story, license=license or story.license))
        (Path(self.args.output_dir) / "README.md").write_text(card, encoding="utf-8")

    def _facts(self) -> dict[str, Any]:
        """How the model was trained, by name, for its card."""
        args, steps = self.args, self.state.global_step
        clips = self._train_batch_size * args.gradient_accumulation_steps * args.world_size
        return {
            "steps": f"{steps:,} of {args.max_steps:,}, {clips} clips each",
            "error": args.error,
            "LPIPS": f"{args.perceptual_net}, weight {args.perceptual_weight:g}",
            "KL": f"weight {args.kl_weight:g}",
            "adversarial": f"weight {args.gan_weight:g} from step {args.gan_start:,}",
            "learning rates": f"{args.learning_rate:g}, discriminator {args.discriminator_learning_rate:g}",
            "weights": f"averaged, decay {args.ema_decay:g}" if args.ema_decay else "as trained",
        }

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        if self._stream_loader is not None:
            torch.save(self._stream_loader.state_dict(), self._data_state(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and self._stream_loader is not None:
            file = self._data_state(checkpoint)
            if not file.is_file():
                raise ValueError(
                    f"{checkpoint} has no place in a stream of shards for process {self.args.process_index}: "
                    "it was written with other data or fewer processes."
                )
            self._stream_loader.load_state_dict(torch.load(file, weights_only=True))

    def _data_state(self, folder: str) -> Path:
        return Path(folder) / f"data_state_{self.args.process_index}.pt"


def _module(
    model: VidTwinModel, args: VidTwinTrainingArguments, perceptual: PerceptualLoss | None
) -> AdversarialVidTwin:
    """The generator with the losses that the arguments ask for."""
    if args.perceptual_weight and perceptual is None:
        perceptual = load_perceptual(args.perceptual_net)
    discriminator = None
    if args.gan_weight:
        if model.config.image_size < PatchDiscriminator.least_size():
            raise ValueError(
                f"The discriminator needs frames of {PatchDiscriminator.least_size()} pixels, got "
                f"{model.config.image_size}: train larger frames, or without it (gan_weight: 0)."
            )
        discriminator = PatchDiscriminator(
            model.config.num_channels, args.discriminator_dims, args.discriminator_norm
        )
    weights = LossWeights(
        args.error, args.perceptual_weight, args.kl_weight, args.gan_weight, args.gan_adaptive
    )
    return AdversarialVidTwin(
        model, weights, discriminator, perceptual if args.perceptual_weight else None, args.learn_logvar
    )


def _load_weights(model: VidTwinModel, folder: Path) -> None:
    """The tensors of a saved folder, one file or many, into `model`, exactly."""
    state: dict[str, Tensor] = {}
    for file in sorted(folder.glob("model*.safetensors")):
        state |= load_file(file)
    model.load_state_dict(state)


def _mean_psnr(prediction: EvalPrediction) -> dict[str, float]:
    return {"psnr": float(prediction.predictions.mean())}
