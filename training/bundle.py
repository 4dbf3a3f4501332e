"""Makes the bundled demo model of a finished training run: half precision, processor, card.

`python -m vidtwin.training.bundle RUN FOLDER [--quality JSON]`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from vidtwin.hub_cards.cards import demo_story, model_card
from vidtwin.modeling_vidtwin.modeling_vidtwin import VidTwinModel
from vidtwin.modeling_vidtwin.video_processing_vidtwin import VidTwinVideoProcessor

from .recipes import load_recipe


def bundle(
    run: Path,
    folder: Path,
    recipe: str = "demo",
    earlier: Sequence[Path] = (),
    quality: Path | None = None,
) -> VidTwinModel:
    """Write the model of `run` (a training folder or a checkpoint) to `folder` as float16 with its card.

    recipe: by which it was trained. earlier: the runs that it went on from. quality: the JSON of
    `benchmarks.demo_quality` for the card. Raises OSError or ValueError for a folder that is no run.
    """
    model = VidTwinModel.from_pretrained(run, dtype=torch.float32).half()
    model.save_pretrained(folder)
    VidTwinVideoProcessor.from_config(model.config).save_pretrained(folder)
    facts = {
        "dtype": "float16",
        "clips": sum(map(_clips, [run, *earlier])),
        "recipe": recipe,
        "losses": _losses(load_recipe(recipe).training),
    }
    measured = json.loads(quality.read_text(encoding="utf-8")) if quality else None
    card = model_card("org/vidtwin-demo", model.config, demo_story(facts, measured))
    (folder / "README.md").write_text(card, encoding="utf-8")
    _strip_code(folder)
    return model


def _strip_code(folder: Path) -> None:
    """Beside the package its own code again would be a second copy."""
    for file in folder.glob("*.py"):
        file.unlink()
    for file in folder.glob("*config.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        content.pop("auto_map", None)
        file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _clips(run: Path) -> int:
    state = json.loads((run / "trainer_state.json").read_text(encoding="utf-8"))
    return state["global_step"] * state["train_batch_size"]


def _losses(training: dict) -> str:
    """The terms of a recipe's loss in words."""
    options = {"perceptual_weight": 0.05, "kl_weight": 0.001, "gan_weight": 0.05, **training}
    names = {"kl_weight": "KL", "perceptual_weight": "LPIPS", "gan_weight": "GAN"}
    if options["gan_weight"] and "gan_start" in options:
        names["gan_weight"] = f"GAN from step {options['gan_start']:,} of {options['max_steps']:,}"
    told = [f"{name} x {options[key]:g}" if options[key] else f"no {name}" for key, name in names.items()]
    return ", ".join([options.get("error", "l1").upper(), *told])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m vidtwin.training.bundle`."""
    parser = argparse.ArgumentParser(prog="python -m vidtwin.training.bundle", description=bundle.__doc__)
    parser.add_argument("run", type=Path, help="the output folder of a training run, or a checkpoint in it")
    parser.add_argument("folder", type=Path, help="where the bundled model goes")
    parser.add_argument("--recipe", default="demo", help="by which it was trained")
    parser.add_argument("--earlier", type=Path, nargs="*", default=[], help="runs that it went on from")
    parser.add_argument("--quality", type=Path, help="JSON that benchmarks.demo_quality wrote, for the card")
    given = parser.parse_args(arguments)
    bundle(given.run, given.folder, given.recipe, given.earlier, given.quality)


if __name__ == "__main__":
    main()
