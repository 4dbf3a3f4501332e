"""Recipes: YAML files that hold everything a training run needs, with overrides by name."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from vidtwin.configuration.configuration_vidtwin import VidTwinConfig

from .arguments import VidTwinTrainingArguments
from .clips import DataSettings
from .stream import StreamSettings

FOLDER = Path(__file__).parent / "recipes"
# Below 1 these are shares of the run.
_SHARES = ("warmup_steps", "logging_steps", "save_steps", "eval_delay")


@dataclass
class Recipe:
    """The sections of a recipe file.

    scale, latent_size: names of the presets that the model starts from. model: VidTwinConfig fields over
    them. from_pretrained: weights to start from instead (bundled name, folder or Hub id). start: the
    initialisation otherwise. data: DataSettings or StreamSettings fields; eval_data: DataSettings fields, no
    evaluation if empty. training: fields of VidTwinTrainingArguments.
    """

    description: str = ""
    scale: str = "base"
    latent_size: str = "4928"
    model: dict[str, Any] = field(default_factory=dict)
    from_pretrained: str | None = None
    start: str = "released"
    data: dict[str, Any] = field(default_factory=dict)
    eval_data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


_SECTIONS: dict[str, tuple[type, ...]] = {
    "model": (VidTwinConfig,),
    "data": (DataSettings, StreamSettings),
    "eval_data": (DataSettings,),
    "training": (VidTwinTrainingArguments,),
}


def recipe_names() -> list[str]:
    """Names of the bundled recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(recipe: str, overrides: list[str] | None = None) -> Recipe:
    """Read a bundled recipe by name or a YAML file by path, and apply `key=value` overrides.

    A key is `section.field`, or the field alone where only one section has it; a value is YAML. Raises
    ValueError for an unknown recipe, section or field (with the nearest name) and for a file that is not
    YAML.
    """
    path = FOLDER / f"{recipe}.yaml" if recipe in recipe_names() else Path(recipe)
    if not path.is_file():
        raise ValueError(f"No recipe {recipe!r}: name one of {', '.join(recipe_names())}, or a YAML file.")
    try:
        content = _parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not YAML: it is no text.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold the sections {', '.join(_names(Recipe))}.")
    for override in overrides or []:
        _apply(content, override)
    _check(content)
    _check_start(recipe, content)
    return Recipe(**content)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 as people write it: 1e-4 is a number (1.1 reads a text), `no` a text (1.1 reads false)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$", re.I), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+)$"),
    list("-+.0123456789"),
)


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is not YAML: {str(error).splitlines()[0]}") from error


def _names(*kinds: type) -> list[str]:
    return [each.name for kind in kinds for each in fields(kind)]


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"--set wants key=value, got {override!r}.")
    section, dot, name = key.partition(".")
    if not dot and key not in _names(Recipe):
        homes = [
            title for title, kinds in _SECTIONS.items() if key in _names(*kinds) and title != "eval_data"
        ]
        if len(homes) != 1:
            every = [each for kinds in _SECTIONS.values() for each in _names(*kinds)]
            raise ValueError(f"--set {key}: {_nearest(key, every)}")
        section, dot, name = homes[0], ".", key
    if dot:
        present = content.get(section)
        content[section] = {
            **(present if isinstance(present, dict) else {}),
            name: _parse(text, f"--set {key}"),
        }
    else:
        content[key] = _parse(text, f"--set {key}")


def _check(content: dict[str, Any]) -> None:
    for key in content:
        if key not in _names(Recipe):
            raise ValueError(f"Recipe section {key!r}: {_nearest(key, _names(Recipe))}")
    for section, kinds in _SECTIONS.items():
        content[section] = content.get(section) or {}
        if not isinstance(content[section], dict):
            raise ValueError(f"{section} must hold names and values, got {content[section]!r}.")
        for key in content[section]:
            if key not in _names(*kinds):
                raise ValueError(f"{section}.{key}: {_nearest(key, _names(*kinds))}")
    defaults = {each.name: each.default for each in fields(VidTwinTrainingArguments)}
    for key, value in content["training"].items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if type(defaults[key]) in (int, float) and not is_number:
            raise ValueError(f"training.{key} must be a number, got {value!r}.")
        if type(defaults[key]) is int and isinstance(value, float) and key not in _SHARES:
            if not value.is_integer():
                raise ValueError(f"training.{key} must be a whole number, got {value!r}.")
            content["training"][key] = int(value)
        if isinstance(defaults[key], bool) and not isinstance(value, bool):
            raise ValueError(f"training.{key} must be true or false, got {value!r}.")


def _check_start(recipe: str, content: dict[str, Any]) -> None:
    """Trained weights are named where a recipe wants them, and decide the architecture alone."""
    if "from_pretrained" not in content:
        return
    if content["from_pretrained"] is None:
        raise ValueError(
            f"{recipe} goes on from trained weights: --set from_pretrained=FOLDER (or a Hub id)."
        )
    given = [key for key in ("scale", "latent_size", "model") if content.get(key)]
    if given:
        raise ValueError(
            f"{given[0]} must be empty with from_pretrained, got {content[given[0]]}: the weights tell it."
        )


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"unknown name. Did you mean {near[0]!r}?" if near else "unknown name."
