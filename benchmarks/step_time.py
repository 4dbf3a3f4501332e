"""Where the time of a training step goes: data, generator, perceptual network, discriminator, optimizer.

`python -m benchmarks.step_time` times the demo model's step on rendered clips and writes
docs/bench/<machine>-step.json. LPIPS's network has random weights here: they cost the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import lpips
import torch

from benchmarks.bench import machine, write_facts
from vidtwin import VidTwinConfig, VidTwinModel
from vidtwin.evaluation.costs import seconds
from vidtwin.training import losses
from vidtwin.training.callbacks import averaged
from vidtwin.training.clips import ClipDataset, DataSettings
from vidtwin.training.discriminator import PatchDiscriminator
from vidtwin.training.gan import AdversarialVidTwin, LossWeights
from vidtwin.training.perceptual import PerceptualLoss
from vidtwin.training.recipes import load_recipe


def parts(config: VidTwinConfig, batch_size: int, device: torch.device) -> dict[str, Callable[[], object]]:
    """What is timed, by name; each call is one step's share."""
    clips = ClipDataset(DataSettings(rendered_share=1.0), config.num_frames, config.image_size, 10**6)
    numbers = iter(range(10**6))
    module = AdversarialVidTwin(VidTwinModel(config), LossWeights(perceptual=0.0)).train().to(device)
    perceptual = PerceptualLoss(lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)).to(device)
    discriminator = PatchDiscriminator(norm="group").to(device)
    networks = [*module.generator.parameters(), *discriminator.parameters()]
    optimizer, ema = torch.optim.AdamW(networks), averaged(module.generator, 0.999).to(device)
    shape = (batch_size, config.num_frames, 3, config.image_size, config.image_size)
    video = torch.rand(shape, device=device) * 2 - 1
    reconstruction = (video * 0.9).requires_grad_()

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(networks, 1.0)
        optimizer.step()
        ema.update_parameters(module.generator)

    def judge() -> None:
        frozen = [parameter.requires_grad_(False) for parameter in discriminator.parameters()]
        losses.generator_term(discriminator(reconstruction)).backward()
        for parameter in frozen:
            parameter.requires_grad_(True)
        real, fake = discriminator(video), discriminator(reconstruction.detach())
        losses.discriminator_term(real, fake).backward()

    return {
        "data": lambda: [clips[next(numbers)] for _ in range(batch_size)],
        "generator": lambda: module(video)["loss"].backward(),
        "perceptual": lambda: perceptual(video, reconstruction).backward(),
        "discriminator": judge,
        "optimizer": update,
    }


def table(facts: dict) -> str:
    """What was measured as Markdown."""
    parts = facts["seconds"]
    whole = sum(parts.values())
    lines = [
        f"A training step with every term, {facts['batch_size']} clips of recipe {facts['recipe']}, "
        f"on {facts['machine']}: {whole:.2f} s.",
        "",
        "| part | seconds | share |",
        "|---|---|---|",
        *(f"| {name} | {value:.2f} | {value / whole:.0%} |" for name, value in parts.items()),
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.step_time`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_time", description=__doc__)
    parser.add_argument("--recipe", default="demo", help="whose model is trained")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs/bench"), help="folder for the JSON")
    given = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    calls = parts(VidTwinConfig(**load_recipe(given.recipe).model), given.batch_size, device)
    for call in calls.values():
        call()
    rounds = [{name: seconds(call, device) for name, call in calls.items()} for _ in range(given.rounds)]
    found = {name: median(each[name] for each in rounds) for name in calls}
    facts = {
        "machine": machine(),
        "recipe": given.recipe,
        "batch_size": given.batch_size,
        "seconds": found,
    }
    print(table(facts))
    write_facts(given.out, "step", facts)


if __name__ == "__main__":
    main()
