"""What a user installs: a wheel built from the source distribution, used far from the checkout."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

# One worker builds the wheel once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packaging")]

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("configuration", "modeling_vidtwin", "metrics", "hub_cards", "training", "evaluation")


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints, with no trace of the checkout in its environment."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `build` makes from the source distribution of a copy of the checkout."""
    out = tmp_path_factory.mktemp("dist")
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    source = out / "source"
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--outdir", out, source, cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a clean environment with the wheel; the libraries it needs are borrowed from ours."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=True)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    folder = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    run(python, "-m", "pip", "install", "--no-deps", wheel, cwd=home)
    # A .pth line adds a folder without reading the .pth files in it, so an editable install stays unseen.
    Path(folder, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


def test_the_wheel_has_one_package_and_it_is_vidtwin(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"vidtwin"}


@pytest.mark.parametrize("room", ROOMS)
def test_the_wheel_has_every_file_of_a_room(wheel: Path, room: str) -> None:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", room, cwd=ROOT).splitlines()
    here = {f"vidtwin/{name}" for name in listed if (ROOT / name).is_file()}
    assert here - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_wheel_has_the_licences(wheel: Path) -> None:
    names = {name.rsplit("/", 1)[-1] for name in zipfile.ZipFile(wheel).namelist()}
    assert {"LICENSE", "NOTICE", "py.typed"} <= names


def test_the_source_distribution_has_no_environment_and_no_golden_data(wheel: Path) -> None:
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as sdist:
        names = sdist.getnames()
    assert [name for name in names if ".venv" in name or "golden" in name] == []


def test_the_installed_package_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    shown = run(installed / "python", "-c", "import vidtwin; print(vidtwin.__path__)", cwd=tmp_path)
    assert str(installed.parent) in shown and str(ROOT) not in shown


@pytest.mark.parametrize("name", ["setup", "tests", "vidtwin"])
def test_the_installed_package_shadows_nothing(installed: Path, tmp_path: Path, name: str) -> None:
    find = f"import importlib.util as u; print(u.find_spec('vidtwin.{name}'))"
    assert run(installed / "python", "-c", find, cwd=tmp_path).strip() == "None"


def test_the_installed_command_describes_the_bundled_model(installed: Path, tmp_path: Path) -> None:
    assert "structure" in run(installed / "vidtwin", "info", "demo", cwd=tmp_path)


def test_the_installed_package_runs_as_a_module(installed: Path, tmp_path: Path) -> None:
    assert "reconstruct" in run(installed / "python", "-m", "vidtwin", "--help", cwd=tmp_path)
