"""What a call costs is that of the call alone."""

import platform

import pytest
import torch

from vidtwin.evaluation.costs import flops, peak_memory_mib, seconds

CPU = torch.device("cpu")


@pytest.mark.skipif(platform.system() != "Linux", reason="other systems cannot tell")
def test_the_peak_is_that_of_the_call_alone():
    def hold(mib):
        return lambda: torch.ones(mib * 2**18).sum()

    before = peak_memory_mib(hold(400), CPU)
    after = peak_memory_mib(hold(1), CPU)
    assert before - after > 300


def test_operations_are_two_for_each_multiplication():
    first, second = torch.ones(3, 4), torch.ones(4, 5)
    assert flops(lambda: first @ second) == 2 * 3 * 4 * 5


def test_seconds_are_those_of_the_clock(monkeypatch):
    times = iter([10.0, 12.5])
    monkeypatch.setattr("vidtwin.evaluation.costs.time.perf_counter", lambda: next(times))
    assert seconds(lambda: None, CPU) == 2.5
