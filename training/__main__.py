"""`python -m vidtwin.training RECIPE --output-dir DIR`: `vidtwin train` for launchers of modules."""

from __future__ import annotations

import argparse

from vidtwin.training.command import train_recipe


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m vidtwin.training", description="Train by a recipe.")
    parser.add_argument("recipe", help="a bundled recipe's name, or the path of a YAML file")
    parser.add_argument("--output-dir", required=True, help="folder for checkpoints and the finished model")
    parser.add_argument("--resume", nargs="?", const=True, default=False, metavar="CHECKPOINT")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="repeatable")
    given = parser.parse_args()
    try:
        train_recipe(given.recipe, given.output_dir, given.resume, given.set)
    except (ValueError, OSError) as error:
        parser.exit(1, f"Error: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()
