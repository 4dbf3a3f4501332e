"""The scripts of the metrics describe what vidtwin.metrics computes; their examples hold."""

import doctest
import importlib.util
from pathlib import Path

import pytest
import yaml

from vidtwin.metrics import NAMES, path


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"script_of_{name}", Path(path(name)) / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_the_description_tells_inputs_outputs_and_source(name, tmp_path):
    module = script(name)
    (metric,) = (thing for key, thing in vars(module).items() if isinstance(thing, type) and key[0] != "_")
    info = metric(cache_dir=str(tmp_path))
    assert info.name == name
    assert name in info.inputs_description and "references" in info.inputs_description
    assert "2412.17726" in info.citation and "vidtwin" in info.description


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_example_holds(name):
    examples = doctest.DocTestParser().get_doctest(script(name)._KWARGS_DESCRIPTION, {}, name, None, None)
    assert len(examples.examples) >= 3
    assert doctest.DocTestRunner().run(examples).failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_that_of_a_space_and_its_example_runs(name, tmp_path, monkeypatch):
    text = (Path(path(name)) / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert head["tags"][:2] == ["evaluate", "metric"] and head["sdk"] == "static" and head["title"]
    code = text.split("```python\n")[1].split("```")[0]
    assert f'evaluate.load("{name}"' in code
    compile(code, name, "exec")
