"""latents_file: the latents of a video on disk, whole or refused in one line."""

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vidtwin.modeling_vidtwin.latents_file import LatentsError, VideoLatents


def latents(**changes: object) -> VideoLatents:
    """Two clips of four frames, of which seven are real."""
    whole = VideoLatents(
        structure=torch.arange(2 * 4 * 2 * 2 * 2.0).view(2, 4, 2, 2, 2),
        dynamics=torch.ones(2, 4, 4, 4, dtype=torch.bfloat16),
        fps=Fraction(30000, 1001),
        num_frames=7,
        height=24,
        width=32,
        model="org/name",
        revision="0123abcd",
        model_sha256="f" * 64,
    )
    return replace(whole, **changes)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    saved = latents()
    saved.save(tmp_path / "a.safetensors")
    loaded = VideoLatents.load(tmp_path / "a.safetensors")
    for field in fields(saved):
        ours, theirs = getattr(saved, field.name), getattr(loaded, field.name)
        assert torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs


def test_the_metadata_has_the_documented_names(tmp_path: Path) -> None:
    latents().save(tmp_path / "a")
    with safe_open(tmp_path / "a", framework="pt") as file:
        assert file.metadata() == {
            "format": "vidtwin-latents-1", "model": "org/name", "revision": "0123abcd",
            "model_sha256": "f" * 64, "fps": "30000/1001", "frames": "7", "height": "24", "width": "32",
        }  # fmt: skip


def test_saving_twice_overwrites_and_leaves_nothing_beside(tmp_path: Path) -> None:
    latents().save(tmp_path / "a")
    latents(num_frames=8).save(tmp_path / "a")
    assert VideoLatents.load(tmp_path / "a").num_frames == 8 and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"no latents", b"\xff" * 100])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(LatentsError, match="no whole latents file"):
        VideoLatents.load(tmp_path / "a")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    latents().save(tmp_path / "a")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-10])
    with pytest.raises(LatentsError, match="no whole latents file"):
        VideoLatents.load(tmp_path / "a")


def test_weights_are_no_latents(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "a", {"format": "pt"})
    with pytest.raises(LatentsError, match="format vidtwin-latents-1, got 'pt'"):
        VideoLatents.load(tmp_path / "a")


@pytest.mark.parametrize("missing", ["frames", "fps", "model_sha256"])
def test_missing_metadata_are_refused(missing: str, tmp_path: Path) -> None:
    latents().save(tmp_path / "a")
    with safe_open(tmp_path / "a", framework="pt") as file:
        metadata = {name: value for name, value in file.metadata().items() if name != missing}
        tensors = {name: file.get_tensor(name) for name in ("structure", "dynamics")}
    save_file(tensors, tmp_path / "b", metadata)
    with pytest.raises(LatentsError, match=missing):
        VideoLatents.load(tmp_path / "b")


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_frames": 0}, {"num_frames": 4}, {"num_frames": 9}, {"height": 0}, {"width": -1},
        {"fps": Fraction(0)}, {"structure": torch.zeros(3, 4, 2, 2, 2)}, {"dynamics": torch.zeros(2, 4)},
        {"dynamics": torch.zeros(2, 4, 4, 4, dtype=torch.int32)},
        {"structure": torch.full((2, 4, 2, 2, 2), float("nan"))},
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_together_are_refused(wrong: dict, tmp_path: Path) -> None:
    latents(**wrong).save(tmp_path / "a")
    with pytest.raises(LatentsError, match="must"):
        VideoLatents.load(tmp_path / "a")


def test_a_missing_file_and_a_folder_are_os_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(OSError):
            VideoLatents.load(path)


def test_another_models_latents_are_refused_with_the_right_models_name() -> None:
    with pytest.raises(LatentsError, match="org/name at revision 0123abcd"):
        latents().check_model(SimpleNamespace(name="other", sha256=lambda: "0" * 64))


def test_the_same_weights_under_another_name_are_accepted() -> None:
    latents().check_model(SimpleNamespace(name="other", sha256=lambda: "f" * 64))
