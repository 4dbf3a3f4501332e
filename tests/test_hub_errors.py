"""Whatever the Hub or the network answers becomes one sentence that says what to do."""

import huggingface_hub
import pytest
from huggingface_hub import HfApi, hf_hub_download
from loopback_hub import TOKEN, Fault

from vidtwin.modeling_vidtwin.hub_errors import hub_reason, is_of_the_hub, may_pass


def error_of(call):
    with pytest.raises(Exception) as raised:
        call()
    assert is_of_the_hub(raised.value)
    return raised.value


def test_a_missing_repository_and_a_private_one_look_alike(hub, monkeypatch):
    hub.put("me/secret", {"a.json": b"{}"}, private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    for repo in ("me/secret", "me/none"):
        found = hub_reason(error_of(lambda repo=repo: hf_hub_download(repo, "a.json")))
        assert found.startswith("there is no such repository, or it is private: log in")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert hf_hub_download("me/secret", "a.json")


def test_a_missing_file_and_revision_are_told_apart(hub):
    hub.put("me/mine", {"a.json": b"{}"})
    assert hub_reason(error_of(lambda: hf_hub_download("me/mine", "b.json"))) == "it has no such file"
    missing = error_of(lambda: hf_hub_download("me/mine", "a.json", revision="v9"))
    assert hub_reason(missing) == "it has no such revision"


@pytest.mark.parametrize(
    ("status", "passes", "message"),
    [
        (401, False, "there is no token, or one that it does not know"),
        (403, False, "the token may not write there"),
        (409, True, "another change came in between"),
        (429, True, "too many requests"),
        (408, True, "it refuses the request (408)"),
        (412, True, "another change came in between"),
        (502, True, "it failed (502)"),
        (504, True, "it failed (504)"),
        (500, True, "it failed (500): try again later"),
        (418, False, "it refuses the request (418)"),
    ],
)
def test_statuses_are_told(hub, status, passes, message):
    hub.faults = [Fault("POST", "repos/create", status, 99)]
    error = error_of(lambda: HfApi(token=TOKEN).create_repo("me/mine"))
    assert message in hub_reason(error) and may_pass(error) is passes
    assert TOKEN not in hub_reason(error)


def test_no_network_and_no_cache_are_told(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    error = error_of(lambda: hf_hub_download("me/mine", "a.json"))
    assert hub_reason(error) == "HF_HUB_OFFLINE is set; and it is not in the cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    unreachable = error_of(lambda: HfApi(endpoint="http://127.0.0.1:9").create_repo("me/mine"))
    assert "it cannot be reached" in hub_reason(unreachable) and may_pass(unreachable)


def test_other_errors_are_not_the_hubs():
    assert not is_of_the_hub(ValueError("x")) and not may_pass(OSError("x"))
    assert hub_reason(ValueError("first\nsecond")) == "first" and hub_reason(KeyError()) == "KeyError"
