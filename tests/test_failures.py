"""failures: what stops a command becomes one line and exit code 1."""

import errno
import subprocess
import sys

import pytest
import typer

from vidtwin.failures import one_line_errors


def said(error: BaseException, capsys: pytest.CaptureFixture[str]) -> str:
    @one_line_errors
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as stopped:
        command()
    assert stopped.value.exit_code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("what was wanted,\n what was got."), "what was wanted, what was got."),
        (OSError(errno.ENOSPC, "No space left on device", "out.mp4"), "out.mp4: No space left on device."),
        (KeyError("unforeseen"), "KeyError: 'unforeseen'"),
        (KeyboardInterrupt(), "interrupted; no unfinished file is left."),
    ],
)
def test_an_error_becomes_one_line_that_says_the_reason(error, line, capsys):
    assert said(error, capsys) == f"Error: {line}\n"


def test_wrong_usage_passes_through():
    @one_line_errors
    def command() -> None:
        raise typer.BadParameter("no such part")

    with pytest.raises(typer.BadParameter):
        command()


def test_a_reader_that_has_seen_enough_ends_a_command_quietly():
    """As `vidtwin info base | head -c 1` does: no traceback, and no complaint when Python ends."""
    code = (
        "import sys, time, typer\n"
        "from vidtwin.failures import one_line_errors\n"
        "@one_line_errors\n"
        "def command():\n"
        "    time.sleep(0.5)\n"
        "    typer.echo('x' * 100)\n"
        "app = typer.Typer(pretty_exceptions_enable=False)\n"
        "app.command()(command)\n"
        "app()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
