"""Metrics are found by their bare names, wherever one works and without the network."""

import os
import stat
import subprocess
import sys

import pytest

from vidtwin.metrics import NAMES, hub_names, install, path


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "HF_MODULES_CACHE", "VIDTWIN_NO_METRIC_INSTALL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf"


def test_every_metric_has_a_script_and_a_card():
    for name in NAMES:
        assert sorted(os.listdir(path(name))) >= ["README.md", f"{name}.py"]


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of psnr, ssim, .*got 'bleu'"):
        path("bleu")


def test_scripts_lie_in_importable_folders_by_their_hash(home):
    for script in install():
        assert len(script.parent.name) == 64
        folder = script.parent
        while folder != home / "modules":
            assert (folder / "__init__.py").is_file()
            folder = folder.parent


def test_installing_twice_changes_nothing(home):
    first = {script: script.stat().st_mtime_ns for script in install()}
    assert {script: script.stat().st_mtime_ns for script in install()} == first


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK"])
def test_other_processes_leave_it_to_the_first(home, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    hub_names.install_quietly()
    assert not home.exists()


def test_it_can_be_turned_off(home, monkeypatch):
    monkeypatch.setenv("VIDTWIN_NO_METRIC_INSTALL", "1")
    hub_names.install_quietly()
    assert not home.exists()


def test_a_home_that_is_a_file_does_no_harm(home):
    home.write_text("no folder")
    hub_names.install_quietly()
    with pytest.raises(OSError):
        install()
    assert stat.S_ISREG(home.stat().st_mode)


SCRIPT = """
import socket
def blocked(*_, **__):
    raise OSError("no network")
socket.socket.connect = socket.getaddrinfo = blocked
import vidtwin.metrics
import evaluate
for name in vidtwin.metrics.NAMES:
    assert evaluate.load(name).name == name
    assert evaluate.load(vidtwin.metrics.path(name)).name == name
features = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
print(evaluate.load("fvd").compute(predictions=features, references=features)["fvd"])
"""


@pytest.mark.slow
def test_a_script_in_an_empty_folder_without_network_loads_every_metric(home, tmp_path):
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path / "empty", capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(0, abs=1e-9)
