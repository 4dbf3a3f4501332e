"""`make conformance`: the common tests of the installed transformers on our config, models and processor.

The tests come from transformers' source distribution, which pip fetches once into build/conformance. They are
a package called `tests`, so pytest runs with that folder before ours on the path, and without our settings.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / "build" / "conformance"
MIN_PASSED = 100


def common_tests() -> Path:
    """The folder that holds transformers' `tests` package at the installed version."""
    release = f"transformers-{version('transformers')}"
    folder = CACHE / release
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as aside:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*download, "--dest", aside, release.replace("-", "==")], check=True)
        with tarfile.open(next(Path(aside).glob("*.tar.gz"))) as archive:
            for member in archive:
                top, *path = Path(member.name).parts
                if path[:1] == ["tests"] and member.isfile():
                    archive.extract(member, aside, filter="data")
        unpacked = Path(aside) / release
        (unpacked / "tests" / "__init__.py").touch()
        unpacked.rename(folder)
    return folder


def run_pytest(folder: Path, report: Path) -> int:
    paths = [str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    options = ["-n", "2", "-q", "--tb", "short", "-p", "no:cacheprovider", "--junitxml", str(report)]
    options += ["-W", "ignore::pytest.PytestUnknownMarkWarning"]
    isolation = ["-c", os.devnull, "--rootdir", str(folder), "--confcutdir", str(HERE)]
    command = [sys.executable, "-m", "pytest", str(HERE), *isolation, *options, *sys.argv[1:]]
    return subprocess.run(command, cwd=folder, env=environment).returncode


def outcome(report: Path) -> tuple[int, int, list[str]]:
    """How many tests passed, how many failed, and why the others were skipped."""
    passed, failed, skipped = 0, 0, []
    for case in ElementTree.parse(report).iter("testcase"):
        skip = case.find("skipped")
        if skip is not None:
            skipped.append(f"{case.get('name')}: {skip.get('message')}")
        elif case.find("failure") is None and case.find("error") is None:
            passed += 1
        else:
            failed += 1
    return passed, failed, skipped


def main() -> int:
    report = CACHE / "report.xml"
    report.unlink(missing_ok=True)
    returncode = run_pytest(common_tests(), report)
    passed, failed, skipped = outcome(report)
    lines = ["", "Not run:", *sorted(skipped), "", f"transformers {version('transformers')} common tests:"]
    lines += [f"{passed} passed (at least {MIN_PASSED} wanted), {failed} failed, {len(skipped)} not run", ""]
    sys.stdout.write("\n".join(lines))
    return returncode or int(passed < MIN_PASSED)


if __name__ == "__main__":
    sys.exit(main())
