"""`vidtwin push` on the command line: a dry run sends nothing, a push says where it went."""

import pytest
from loopback_hub import TOKEN, Fault
from typer.testing import CliRunner

from vidtwin import VidTwinModel
from vidtwin.cli import app


def run(*words: str):
    return CliRunner().invoke(app, ["push", *words])


def test_a_dry_run_lists_every_file_and_sends_nothing(hub):
    done = run("demo", "me/demo", "--dry-run", "--metrics")
    assert done.exit_code == 0 and hub.log == []
    for line in ("model me/demo: 12 files", "model.safetensors", "space me/fvd: 3 files", "nothing was sent"):
        assert line in done.output


def test_a_push_says_where_it_went(hub):
    done = run("demo", "me/demo", "--private", "--tag", "v1", "--revision", "next", "--message", "first")
    assert done.exit_code == 0, done.output
    assert f"{hub.url}/me/demo: sent" in done.output
    found = hub.repos["models", "me/demo"]
    assert found.private and found.tags == {"v1": found.refs["next"]}
    assert VidTwinModel.from_pretrained("me/demo", revision="v1")


def test_branch_and_tag_are_the_models_alone(hub):
    done = run("demo", "me/demo", "--tag", "v1", "--revision", "next", "--metrics")
    assert done.exit_code == 0, done.output
    assert hub.repos["spaces", "me/fvd"].tags == {} and set(hub.repos["spaces", "me/fvd"].refs) == {"main"}


def test_a_token_may_be_given_and_is_never_printed(hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    refused = run("demo", "me/demo")
    assert refused.exit_code == 1
    assert (
        "Error: the Hub did not take me/demo: there is no token, or one that it does not know: log in"
        in refused.output
    )
    done = run("demo", "me/demo", "--token", TOKEN)
    assert done.exit_code == 0 and TOKEN not in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere", "me/demo"), "'nowhere' is neither a model's folder nor a Hub id"),
        (("demo", "demo"), "a repository is named like org/name, got 'demo'"),
        (("demo", "me/demo", "--evaluation", "none"), "none holds no summary.json"),
        (("demo", "me/demo", "--card", "none.md"), "none.md is no file"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_line(hub, words, message):
    done = run(*words)
    assert done.exit_code == 1 and message in done.output and len(done.output.splitlines()) == 1
    assert hub.log == []


def test_ctrl_c_in_the_middle_changes_nothing(hub, monkeypatch):
    hub.faults = [Fault("POST", "commit", 503, 1)]

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("vidtwin.hub_cards.publish.time.sleep", interrupted)
    done = run("demo", "me/demo")
    assert done.exit_code == 1 and "interrupted" in done.output
    assert "config.json" not in hub.files("me/demo")
