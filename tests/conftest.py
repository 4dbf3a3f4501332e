"""Shared fixtures: no network but a Hub on loopback, one thread per worker, a tiny model, the folder of real
videos."""

import atexit
import os
import shutil
import tempfile

from loopback_hub import HUB, TOKEN, LoopbackHub

os.environ.update(
    HF_ENDPOINT=HUB.url,
    NO_PROXY="127.0.0.1,localhost",
    no_proxy="127.0.0.1,localhost",
    HF_HOME=tempfile.mkdtemp(prefix="vidtwin-tests-"),
    HF_HUB_DISABLE_XET="1",
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
)

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
from selenium import webdriver

from vidtwin import VidTwinConfig, VidTwinModel

torch.set_num_threads(1)
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = {}
    if not os.environ.get("VIDTWIN_CLIPS"):
        missing["clips"] = pytest.mark.skip(reason="VIDTWIN_CLIPS names no folder of real videos")
    if not torch.cuda.is_available():
        missing["gpu"] = pytest.mark.skip(reason="needs CUDA")
    for item in items:
        for name in missing.keys() & item.keywords.keys():
            item.add_marker(missing[name])


@pytest.fixture(scope="session")
def clips_folder() -> Path:
    """The folder with `clips/` and `odd_clips/`; tests that use it are marked `clips`."""
    return Path(os.environ["VIDTWIN_CLIPS"])


@pytest.fixture
def tiny_config() -> VidTwinConfig:
    """A VidTwin of 4 frames at 32 pixels, small enough for hundreds of tests."""
    return VidTwinConfig(
        image_size=32,
        patch_size=8,
        num_frames=4,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_query_tokens=4,
        qformer_hidden_size=16,
        qformer_num_hidden_layers=2,
        qformer_num_attention_heads=4,
        qformer_intermediate_size=32,
        structure_channels=2,
        structure_init_channels=8,
        dynamics_channels=4,
    )


@pytest.fixture
def tiny_model(tiny_config: VidTwinConfig) -> VidTwinModel:
    """The tiny VidTwin with weights from seed 0, in eval mode."""
    torch.manual_seed(0)
    return VidTwinModel(tiny_config).eval()


@pytest.fixture(scope="session")
def running_hub() -> LoopbackHub:
    HUB.start()
    return HUB


@pytest.fixture
def hub(
    running_hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoopbackHub]:
    """An empty Hub on loopback, an empty cache of it, and a token that it knows."""
    running_hub.reset()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub_cache")))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield running_hub
    huggingface_hub.close_session()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A headless Chromium, by Selenium; skipped where Chromium and its driver are not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()
