"""A metric's Space holds its script, its card and a page, and evaluate loads it by its id."""

import evaluate
import numpy as np
import pytest
import yaml

from vidtwin.hub_cards.spaces import metric_space
from vidtwin.metrics import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_space_has_script_card_and_page(name):
    files = metric_space(name, f"org/{name}")
    assert files[f"{name}.py"].is_file() and set(files) == {f"{name}.py", "README.md", "index.html"}
    head, body = files["README.md"].decode().split("---\n", 2)[1:]
    assert yaml.safe_load(head)["sdk"] == "static" and "evaluate" in yaml.safe_load(head)["tags"]
    assert f'evaluate.load("org/{name}"' in body and "&lt;" not in body
    assert "import vidtwin.metrics" not in body and "# pip install vidtwin" in body
    assert f"evaluate.load(&quot;org/{name}&quot;" in files["index.html"].decode()


def test_a_metric_loads_from_its_space(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = metric_space("fvd", "me/fvd")
    found = {name: what if isinstance(what, bytes) else what.read_bytes() for name, what in files.items()}
    hub.put("me/fvd", found, kind="spaces")
    features = np.random.default_rng(0).normal(size=(64, 8))
    fvd = evaluate.load("me/fvd", cache_dir=str(tmp_path / "cache"))
    assert round(fvd.compute(predictions=features + 1, references=features)["fvd"], 3) == 8.0
    assert any("/spaces/me/fvd/resolve/main/fvd.py" in path for _, path, _ in hub.log)


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="a metric must be one of"):
        metric_space("lpips", "org/lpips")
