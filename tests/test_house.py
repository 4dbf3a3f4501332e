"""The rules of CONTRIBUTING.md that a program can check: sizes, one-way imports, a test file per source."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (  # lowest first
    "configuration",
    "modeling_vidtwin",
    "metrics",
    "hub_cards",
    "training",
    "evaluation",
)
FRONT_DOOR = "vidtwin"

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 600, 60, 6
PORTABLE = {
    "torch",
    "torchvision",
    "transformers",
    "huggingface_hub",
    "safetensors",
    "einops",
    "numpy",
    "tqdm",
}
READS_VIDEO_FILES = {"video_io.py", "video_processing_vidtwin.py", "long_video.py"}

# Functions whose parameters torch or transformers chose, not we.
LIBRARY_SIGNATURES = {"forward", "eager_attention_forward"}
# Source file -> where its tests are, when that is not tests/test_<stem>.py.
METRICS = ("psnr", "ssim", "video_lpips", "fvd", "compression_rate", "seam_ratio")
TESTED_ELSEWHERE = {f"metrics/{name}/{name}.py": "test_metric_scripts.py" for name in METRICS}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


SOURCES = python_files(FRONT_DOOR, *ROOMS)
TREE = [ROOT / "setup.py", *SOURCES, *python_files("benchmarks", "examples", "tests")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def module_of(path: Path) -> tuple[str, ...]:
    """The dotted name a source file has once installed, a package's own `__init__` included."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts if parts[0] == FRONT_DOOR else (FRONT_DOOR, *parts)


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Every module a file imports, anywhere in it, as parts of its absolute name, imported names included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module_of(path)[: -node.level] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            yield from ((*module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield tuple(name.value.split("."))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    listed = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [parameter.arg for parameter in listed if parameter.arg not in ("self", "cls")]


def others_chose_the_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A CLI command's parameters are its options; an override's are those of what it overrides."""
    is_command = any("command" in ast.unparse(decorator) for decorator in function.decorator_list)
    return is_command or function.name in LIBRARY_SIGNATURES


@each(TREE)
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@each(TREE)
def test_a_function_is_short_enough_to_read(path: Path) -> None:
    lengths = {function.name: function.end_lineno - function.lineno + 1 for function in functions(path)}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


@each(TREE)
def test_a_function_has_few_parameters(path: Path) -> None:
    ours = [f for f in functions(path) if not others_chose_the_parameters(f)]
    assert {f.name: parameters(f) for f in ours if len(parameters(f)) > MAX_PARAMETERS} == {}


@each(SOURCES)
def test_a_room_imports_only_itself_and_rooms_below_it(path: Path) -> None:
    room = module_of(path)[1] if len(module_of(path)) > 2 else FRONT_DOOR
    if room not in ROOMS:
        return  # the front door may enter every room
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "__version__"}
    inside = [name for name in imported(path) if name[0] == FRONT_DOOR]
    assert [".".join(name) for name in inside if len(name) < 2 or name[1] not in allowed] == []


@each(TREE)
def test_nothing_imports_what_only_a_checkout_makes_importable(path: Path) -> None:
    shadows = {(FRONT_DOOR, name) for name in ("setup", "tests", "benchmarks", FRONT_DOOR)}
    bare = {(name,) for name in ROOMS}
    assert [".".join(n) for n in imported(path) if n[:2] in shadows or n[:1] in bare] == []


@each(python_files("configuration", "modeling_vidtwin"))
def test_a_portable_room_imports_few_libraries(path: Path) -> None:
    allowed = {*PORTABLE, *sys.stdlib_module_names, FRONT_DOOR}
    if path.name in READS_VIDEO_FILES:
        allowed.add("av")
    assert {name[0] for name in imported(path)} <= allowed


@each([path for path in SOURCES if path.stem not in ("__init__", "__main__")])
def test_a_source_file_has_a_test_file(path: Path) -> None:
    tests = TESTED_ELSEWHERE.get(name_of(path), f"test_{path.stem}.py")
    assert (ROOT / "tests" / tests).is_file()


@each(TREE)
def test_a_file_names_no_path_of_one_machine(path: Path) -> None:
    assert re.findall(r"(?<![\w./])/(?:home|root|work|Users)/\w+", path.read_text(encoding="utf-8")) == []


def test_imports_are_found_wherever_they_hide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    file = tmp_path / "metrics" / "psnr" / "psnr.py"
    file.parent.mkdir(parents=True)
    hidden = ("from ...training import gan", "import_module('vidtwin.cli')", "import os.path")
    file.write_text("def f():\n    " + "\n    ".join(hidden))
    found = {".".join(name) for name in imported(file)}
    assert found == {"vidtwin.training.gan", "vidtwin.cli", "os.path"}
