"""What a call costs: operations, seconds and memory."""

from __future__ import annotations

import platform
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """How long one call takes on `device`, a GPU's work included."""
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def flops(call: Callable[[], object]) -> int:
    """Floating point operations of the matrix products and convolutions of a call, 2 per multiply-add."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def peak_memory_mib(call: Callable[[], object], device: torch.device) -> float:
    """The most memory held during a call, in MiB: of `device` if it is a GPU, else of this process.

    Not counted is what came and went before; except where the system cannot tell (anywhere but on Linux).
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) / 2**20
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if reset.exists():
        reset.write_text("5")
        call()
        return int(re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())[0]) / 1024
    call()
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
