"""The code beside a model is whole, small, and needs no package but those of transformers' users."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers.dynamic_module_utils import get_imports

from vidtwin import VidTwinConfig, VidTwinEncoderModel, VidTwinVideoProcessor
from vidtwin.configuration import remote_code
from vidtwin.configuration.remote_code import PORTABLE, known_here, write_remote_code
from vidtwin.modeling_vidtwin.video_io import write_video

WANTED = {"torch", "transformers", "huggingface_hub", "safetensors", "einops", "numpy"}


def bundled(tiny_model, folder: Path) -> Path:
    tiny_model.save_pretrained(folder)
    VidTwinVideoProcessor.from_config(tiny_model.config).save_pretrained(folder)
    return folder


def test_every_portable_module_lies_beside_the_model(tiny_model, tmp_path):
    folder = bundled(tiny_model, tmp_path)
    assert {path.stem for path in folder.glob("*.py")} == set(PORTABLE)
    auto_map = json.loads((folder / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModel"] == "modeling_vidtwin.VidTwinModel"
    told = json.loads((folder / "video_preprocessor_config.json").read_text())["auto_map"]
    assert told == {"AutoVideoProcessor": "video_processing_vidtwin.VidTwinVideoProcessor"}


def test_the_code_is_small(tiny_model, tmp_path):
    folder = bundled(tiny_model, tmp_path)
    assert 0 < sum(path.stat().st_size for path in folder.glob("*.py")) < 150_000


def test_the_code_imports_only_what_users_of_transformers_have(tiny_model, tmp_path):
    for path in bundled(tiny_model, tmp_path).glob("*.py"):
        foreign = set(get_imports(path)) - set(sys.stdlib_module_names)
        assert foreign <= WANTED, path.name


def test_the_codes_own_imports_are_siblings(tiny_model, tmp_path):
    for path in bundled(tiny_model, tmp_path).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1 and (tmp_path / f"{node.module}.py").is_file()


def test_a_processor_alone_brings_what_it_needs(tiny_config, tmp_path):
    VidTwinVideoProcessor.from_config(tiny_config).save_pretrained(tmp_path)
    found = {path.stem for path in tmp_path.glob("*.py")}
    assert "video_io" in found and "modeling_vidtwin" not in found


def test_an_encoder_is_the_model_of_its_folder(tiny_config, tmp_path):
    VidTwinEncoderModel(tiny_config).save_pretrained(tmp_path)
    auto_map = json.loads((tmp_path / "config.json").read_text())["auto_map"]
    assert auto_map["AutoModel"] == "modeling_vidtwin.VidTwinEncoderModel"


def test_an_import_that_cannot_go_along_is_refused(tmp_path, monkeypatch):
    (tmp_path / "remote_code.py").write_text("")
    (tmp_path / "one.py").write_text("from .training import x\n")
    monkeypatch.setattr(remote_code, "__file__", str(tmp_path / "remote_code.py"))
    monkeypatch.setitem(PORTABLE, "one", "configuration")
    with pytest.raises(ValueError, match="training is not portable"):
        write_remote_code(tmp_path, {"AutoModel": "one.One"})


def test_without_all_sources_nothing_is_written(tmp_path, monkeypatch):
    """As for a configuration that transformers loaded alone from the Hub."""
    (tmp_path / "alone").mkdir()
    monkeypatch.setattr(remote_code, "__file__", str(tmp_path / "alone" / "remote_code.py"))
    assert not write_remote_code(tmp_path, {"AutoModel": "modeling_vidtwin.VidTwinModel"})
    assert list(tmp_path.glob("*.py")) == []


def test_entries_of_modules_that_are_not_there_are_dropped(tmp_path):
    (tmp_path / "one.py").write_text("")
    here = {"AutoConfig": "conf.C", "AutoModel": "one.M", "AutoX": "me/repo--two.X"}
    assert known_here(tmp_path, {**here, "AutoY": "two.Y"}) == here


def test_save_and_push_sends_the_code_too(hub, tmp_path):
    VidTwinConfig().save_pretrained(str(tmp_path / "one"), push_to_hub=True, repo_id="me/config")
    assert {"config.json", "modeling_vidtwin.py"} <= set(hub.files("me/config"))


def test_a_processor_that_is_saved_and_pushed_sends_its_code(hub, tiny_config, tmp_path):
    processor = VidTwinVideoProcessor.from_config(tiny_config)
    processor.save_pretrained(str(tmp_path / "one"), push_to_hub=True, repo_id="me/processor")
    assert {"video_preprocessor_config.json", "video_io.py"} <= set(hub.files("me/processor"))


STRANGER = """
import sys, tempfile
site, repo = sys.argv[1], sys.argv[2]
sys.path.insert(0, site)
import numpy as np, torch
from transformers import AutoConfig, AutoModel, AutoVideoProcessor

try:
    import vidtwin
    raise SystemExit("vidtwin is installed here")
except ModuleNotFoundError:
    pass
load = {"trust_remote_code": True}
model, processor = AutoModel.from_pretrained(repo, **load), AutoVideoProcessor.from_pretrained(repo, **load)
frames, fps = processor.read_video("video.mp4")
clip = processor([frames[:4]], return_tensors="pt").pixel_values_videos
found = model(clip).reconstruction
with tempfile.TemporaryDirectory() as again:
    model.save_pretrained(again), processor.save_pretrained(again)
    second = AutoModel.from_pretrained(again, **load)(clip).reconstruction
    assert torch.equal(AutoVideoProcessor.from_pretrained(again, **load)([frames[:4]], return_tensors="pt")
                       .pixel_values_videos, clip)
assert torch.equal(found, second)
processor.write_video("out.mp4", processor.postprocess(found)[0], fps)
AutoConfig.from_pretrained(repo, **load).save_pretrained("config_alone")
torch.save({"clip": clip, "found": found.detach()}, "found.pt")
"""


@pytest.mark.slow
def test_a_stranger_without_the_package_gets_equal_outputs(hub, tiny_model, tmp_path):
    """A process that has every installed library but this package; saved and loaded again it is equal too."""
    site = tmp_path / "site"
    site.mkdir()
    for path in Path(torch.__file__).parents[1].iterdir():
        if "vidtwin" not in path.name:
            (site / path.name).symlink_to(path)
    tiny_model.push_to_hub("me/mine")
    VidTwinVideoProcessor.from_config(tiny_model.config).push_to_hub("me/mine")
    frames = torch.randint(0, 255, (6, 40, 48, 3), dtype=torch.uint8).numpy()
    write_video(tmp_path / "video.mp4", frames, 25)
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-I", "-S", "-c", STRANGER, str(site), "me/mine"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = torch.load(tmp_path / "found.pt")
    assert torch.equal(tiny_model(told["clip"]).reconstruction, told["found"])
    assert (tmp_path / "out.mp4").is_file()
    auto_map = json.loads((tmp_path / "config_alone" / "config.json").read_text())["auto_map"]
    assert auto_map == {"AutoConfig": "configuration_vidtwin.VidTwinConfig"}  # there is no model beside it
