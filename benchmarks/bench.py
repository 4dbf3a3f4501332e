"""Seconds per clip of encode, decode and both, beside a textbook implementation of the same model.

`python -m benchmarks.bench` times random weights of each scale at 16x224x224, in interleaved pairs (ours,
textbook), and writes docs/bench/<machine>.json and .md. A line below 0.97 of the textbook's speed is
marked.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.textbook import textbook_twin
from vidtwin import VidTwinModel
from vidtwin.configuration import SCALES, vidtwin_config
from vidtwin.evaluation.costs import peak_memory_mib, seconds
from vidtwin.modeling_vidtwin.model_folder import choose_dtype
from vidtwin.modeling_vidtwin.summary import summarize

PARTS = ("encode", "decode", "both")
SLOW = 0.97


def machine() -> str:
    """The accelerator's name, or the processor's with its cores."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")  # Linux
    names = re.findall(r"model name\s*:\s*(.*)", info.read_text()) if info.exists() else []
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def machine_slug() -> str:
    """The machine's name for a file."""
    return re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-")


def write_facts(folder: Path, kind: str, facts: dict) -> None:
    """Writes what was measured to <folder>/<machine>-<kind>.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{machine_slug()}-{kind}.json"
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def calls(model: VidTwinModel, video: Tensor, compiled: bool) -> dict[str, Callable[[], object]]:
    """What is timed: each part of the model on one clip.

    compiled: the transformers' blocks are, one by one; all blocks share two graphs, which takes seconds
    instead of minutes.
    """
    for layer in [*model.encoder.layers, *model.decoder.layers] if compiled else []:
        layer.compile(fullgraph=True)
    posterior = model.encode(video)
    latents = {"structure": posterior.structure.mode(), "dynamics": posterior.dynamics.mode()}
    return {
        "encode": lambda: model.encode(video),
        "decode": lambda: model.decode(**latents),
        "both": lambda: model(video),
    }


@torch.no_grad()
def measure(scale: str, dtype: torch.dtype, compiled: bool, pairs: int, device: torch.device) -> list[dict]:
    """One row for each part: median seconds of ours and of the textbook, and the pairs' median ratio."""
    torch.manual_seed(0)
    config = vidtwin_config(scale)
    model = VidTwinModel(config).eval().to(device, dtype)
    model.set_attn_implementation("sdpa")
    video = torch.rand(
        1, config.num_frames, 3, config.image_size, config.image_size, device=device, dtype=dtype
    )
    ours, textbook = (calls(each, video * 2 - 1, compiled) for each in (model, textbook_twin(model)))
    rows = []
    for part in PARTS:
        ours[part](), textbook[part]()  # warm up, and compile
        times = [(seconds(ours[part], device), seconds(textbook[part], device)) for _ in range(pairs)]
        rows.append(
            {
                "scale": scale,
                "dtype": str(dtype).removeprefix("torch."),
                "mode": "compiled" if compiled else "eager",
                "part": part,
                "seconds": median(first for first, _ in times),
                "textbook_seconds": median(second for _, second in times),
                "speed_ratio": median(second / first for first, second in times),
                "peak_memory_mib": peak_memory_mib(ours[part], device),
            }
        )
    return rows


def table(facts: dict) -> str:
    """What was measured as Markdown; a slow line ends in a mark."""
    lines = [
        f"Seconds for a clip on {facts['machine']}, torch {facts['torch']}, {facts['date']}:",
        "",
        "| scale | numbers | mode | part | seconds | textbook | speed to textbook | peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in facts["rows"]:
        mark = "" if row["speed_ratio"] >= SLOW else " **slower**"
        lines.append(
            f"| {row['scale']} | {row['dtype']} | {row['mode']} | {row['part']} | {row['seconds']:.2f} | "
            f"{row['textbook_seconds']:.2f} | {row['speed_ratio']:.2f}{mark} | {row['peak_memory_mib']:.0f} |"
        )
    return "\n".join(lines)


def plan(given: argparse.Namespace, device: torch.device) -> list[tuple[torch.dtype, bool]]:
    """The dtypes and modes to time, with a printed reason for each that is left out."""
    dtypes = [torch.float32]
    if choose_dtype("auto", device)[0] == torch.bfloat16:
        dtypes.append(torch.bfloat16)
    else:
        print("bfloat16 left out: this processor emulates it, more than a hundred times slower than float32.")
    modes = [False]
    if given.quick or (
        device.type == "cpu" and shutil.which("g++") is None and shutil.which("clang++") is None
    ):
        print("compiled left out: " + ("--quick." if given.quick else "no C++ compiler here."))
    else:
        modes.append(True)
    return [(dtype, compiled) for dtype in dtypes for compiled in modes]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m benchmarks.bench`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument("--scales", nargs="+", choices=list(SCALES), default=["small", "base"])
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs for each line")
    parser.add_argument("--quick", action="store_true", help="eager only")
    parser.add_argument("--out", type=Path, default=Path("docs/bench"), help="folder for the JSON")
    given = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    combinations = plan(given, device)
    facts = {"machine": machine(), "torch": torch.__version__, "date": date.today().isoformat(), "rows": []}
    for scale in given.scales:
        print("\n".join(line for line in summarize(vidtwin_config(scale)).lines() if "FLOP" in line))
        for dtype, compiled in combinations:
            rows = measure(scale, dtype, compiled, given.pairs, device)
            facts["rows"] += rows
            print(table({**facts, "rows": rows}), flush=True)
    print(f"\n{table(facts)}")
    write_facts(given.out, "speed", facts)


if __name__ == "__main__":
    main()
