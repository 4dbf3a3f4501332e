"""The command `vidtwin metrics install`."""

from __future__ import annotations

import typer

from .failures import one_line_errors

metrics_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Make evaluate.load find the metrics: metrics install."
)


@metrics_app.callback()
def _group() -> None:
    """Keeps `install` a word of its own, though it is the only command."""


@metrics_app.command()
@one_line_errors
def install() -> None:
    """Let evaluate.load("fvd") and the others work from any folder, also offline.

    Copies small scripts into evaluate's cache of modules ($HF_HOME/modules). `import vidtwin.metrics` does
    the same, unless VIDTWIN_NO_METRIC_INSTALL=1.
    """
    from .metrics import hub_names

    for script in hub_names.install():
        typer.echo(f"{script.stem}: {script}")
