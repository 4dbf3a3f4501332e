"""The front door: what `import vidtwin` brings, and what it leaves alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoModel, AutoVideoProcessor

import vidtwin
from vidtwin.configuration import configuration_vidtwin
from vidtwin.modeling_vidtwin import bundled_model

ROOT = Path(__file__).resolve().parent.parent


def modules_after(statement: str) -> set[str]:
    """The modules loaded in a fresh interpreter once it has run `statement`."""
    command = f"import sys; {statement}; print(*sorted(sys.modules))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return set(subprocess.check_output([sys.executable, "-c", command], env=env, text=True).split())


def test_importing_the_package_imports_no_heavy_library() -> None:
    assert modules_after("import vidtwin") & {"torch", "transformers", "numpy", "typer", "av"} == set()


def test_importing_the_model_imports_nothing_for_training_or_measuring() -> None:
    loaded = modules_after("from vidtwin import VidTwinModel")
    assert "vidtwin.modeling_vidtwin" in loaded
    assert loaded & {"vidtwin.training", "vidtwin.metrics", "datasets", "evaluate", "lpips"} == set()


@pytest.mark.parametrize("name", vidtwin.__all__)
def test_every_public_name_can_be_reached(name: str) -> None:
    assert getattr(vidtwin, name) is not None


def test_public_names_are_listed_before_they_are_used() -> None:
    assert set(vidtwin.__all__) <= set(dir(vidtwin))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="VidTwinMobel"):
        _ = vidtwin.VidTwinMobel


def test_a_saved_config_names_the_version_of_the_package() -> None:
    assert vidtwin.__version__ == configuration_vidtwin.VIDTWIN_VERSION


def test_the_auto_classes_know_the_config() -> None:
    assert type(AutoConfig.for_model("vidtwin")) is vidtwin.VidTwinConfig


def test_the_auto_classes_build_the_model(tiny_config: vidtwin.VidTwinConfig) -> None:
    assert type(AutoModel.from_config(tiny_config)) is vidtwin.VidTwinModel


def test_the_auto_classes_load_the_processor(tiny_config: vidtwin.VidTwinConfig, tmp_path: Path) -> None:
    tiny_config.save_pretrained(tmp_path)
    vidtwin.VidTwinVideoProcessor().save_pretrained(tmp_path)
    assert type(AutoVideoProcessor.from_pretrained(tmp_path)) is vidtwin.VidTwinVideoProcessor


def test_a_bundled_model_is_a_folder_with_a_config() -> None:
    assert (bundled_model("demo") / "config.json").is_file()


@pytest.mark.parametrize("name", ["dmeo", "../bundled/demo", ""])
def test_an_unknown_bundled_model_is_refused_with_the_known_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"\['demo'"):
        bundled_model(name)
