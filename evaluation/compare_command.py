"""What `vidtwin compare` does: many codecs on the same clips, in quality and in cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidtwin.metrics.frechet import frechet_distance
from vidtwin.modeling_vidtwin.hub_errors import hub_reason
from vidtwin.modeling_vidtwin.model_folder import find_model
from vidtwin.modeling_vidtwin.video_io import VideoError, VideoReader
from vidtwin.modeling_vidtwin.video_processing_vidtwin import VidTwinVideoProcessor

from .clip_scores import Judges
from .costs import flops, peak_memory_mib, seconds
from .peers import KINDS, LATENT_BITS, Codec, open_codec
from .protocols import FVD_NET, PROTOCOLS, fvd_note
from .sources import videos_of


@dataclass(frozen=True)
class CompareSettings:
    """protocol: a name of PROTOCOLS. clips: how many are compared, one of each video. image_size: pixels of
    their square; None takes the VidTwin models', or the protocol's. lpips: a net, or None. fvd: "hub", the
    I3D file, or None.
    """

    protocol: str = "vidtwin"
    clips: int = 8
    num_frames: int = 16
    image_size: int | None = None
    lpips: str | None = None
    fvd: str | None = None


def compare(
    specs: Sequence[str],
    data: str,
    out: Path,
    settings: CompareSettings,
    device: torch.device,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Runs every codec on the same clips; writes compare.json and compare.md to `out`; gives back the rows.

    A last row is H.264 at the bits of the first codec's latents. A codec that fails is told and left out.
    Raises ValueError for a source that cannot be used, and when all codecs fail.
    """
    clips = _clips(data, settings, _image_size(settings, specs), say)
    judges = Judges.load(settings.lpips, settings.fvd, device)
    facts: dict[str, Any] = {"data": data, "n_clips": len(clips), "protocol": _protocol(settings, clips[0])}
    rows: list[dict[str, Any]] = []
    failed: list[str] = []

    def run(name: str) -> None:
        try:
            codec = open_codec(name, device, PROTOCOLS[settings.protocol].fps)
            rows.append(measure(codec, [clip.to(device) for clip in clips], judges))
        except (ValueError, RuntimeError) as error:
            failed.append(f"{name} is left out: {hub_reason(error)}")
            say(failed[-1])
        else:
            say(table(rows[-1:]))
        if rows:
            _write(out, {**facts, "notes": [*failed, *_notes(settings, rows)], "rows": rows})

    for name in specs:
        run(name)
    if not rows:
        raise ValueError("; ".join(failed))
    if rows[0]["latent_numbers"]:
        run(f"h264:{rows[0]['latent_numbers'] * LATENT_BITS}")
    for note in _notes(settings, rows):
        say(note)
    return rows


def _write(out: Path, facts: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    sentences = [f"{facts['n_clips']} clips of {facts['data']}: {facts['protocol']}.", *facts["notes"]]
    (out / "compare.md").write_text("\n\n".join([table(facts["rows"]), *sentences]) + "\n", encoding="utf-8")


def _image_size(settings: CompareSettings, specs: Sequence[str]) -> int:
    """As asked; else that of the VidTwin models where they agree; else the protocol's."""
    own = set()
    for spec in specs:
        if not (":" in spec and spec.partition(":")[0] in KINDS):
            with suppress(ValueError):  # told when its turn comes
                own.add(find_model(spec).config().image_size)
    return settings.image_size or (own.pop() if len(own) == 1 else PROTOCOLS[settings.protocol].image_size)


def _protocol(settings: CompareSettings, clip: Tensor) -> str:
    nets = [f"LPIPS by {settings.lpips}"] * bool(settings.lpips) + [f"FVD by {FVD_NET}"] * bool(settings.fvd)
    parts = [
        f"{PROTOCOLS[settings.protocol].fps:g} fps, the first {settings.num_frames} frames of each video, "
        f"short side {clip.shape[-1]} and centre crop",
        *nets,
        f"H.264 has {LATENT_BITS} bits for a latent number, and its rate counts them so",
    ]
    return "; ".join(parts)


def _notes(settings: CompareSettings, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What to know of the figures."""
    random = [row["codec"] for row in rows if "psnr" not in row]
    notes = [f"{', '.join(random)}: random weights, which have a cost and no quality."] if random else []
    counts = [row.get("fvd_clips", 0) for row in rows if "psnr" in row] if settings.fvd else []
    return notes + list(dict.fromkeys(note for count in counts if (note := fvd_note(count))))


def _clips(data: str, settings: CompareSettings, side: int, say: Callable[[str], None]) -> list[Tensor]:
    """The first clip of each video that is long enough, `t c y x` in [-1, 1]; unreadable ones are told."""
    protocol = PROTOCOLS[settings.protocol]
    processor = VidTwinVideoProcessor(crop_size=side)
    clips: list[Tensor] = []
    for video in videos_of(data):
        if len(clips) == settings.clips:
            break
        try:
            with VideoReader(video.read(), fps=protocol.fps) as reader:
                frames = list(islice(reader, settings.num_frames))
        except VideoError as error:
            say(f"left out: {error}")
            continue
        if len(frames) < settings.num_frames:
            continue
        processed = processor(np.stack(frames), return_tensors="pt", input_data_format="channels_last")
        clips.append(processed.pixel_values_videos[0])
    if not clips:
        raise ValueError(f"{data} holds no readable video of {settings.num_frames} frames.")
    return clips


@torch.no_grad()
def measure(codec: Codec, clips: Sequence[Tensor], judges: Judges) -> dict[str, Any]:
    """Quality over all clips, and the cost of one: operations, the median of seconds, peak memory."""
    first = clips[0]
    count = flops(lambda: codec.reconstruct(first))
    peak = peak_memory_mib(lambda: codec.reconstruct(first), first.device)
    times, scores, given, back = [], [], 0, 0
    features: list[np.ndarray] = []
    for clip in clips:
        results: list[Tensor] = []
        codec.reconstruct(clip)  # to warm up, and for H.264 to find its quality
        times.append(seconds(partial(_keep, codec, clip, results), clip.device))
        found = results[0].clamp(-1, 1)
        given, back = given + len(clip), back + len(found)
        if not codec.trained:
            continue
        prediction, reference = _pixels(found), _pixels(clip)
        scores.append(judges.scores(prediction, reference[: len(prediction)]))
        if (pair := judges.features(prediction, reference)) is not None:
            features.append(pair)
    return {
        "codec": codec.name,
        "parameters": codec.parameters,
        "rate": codec.rate(first),
        "latent_numbers": codec.numbers,
        "dit_tokens": codec.tokens,
        "frames_in": given,
        "frames_out": back,
        **({name: fmean(each[name] for each in scores) for name in scores[0]} if scores else {}),
        **(_fvd(features) if scores and judges.detector is not None else {}),
        "tflop": count / 1e12,
        "seconds": median(times),
        "peak_mib": peak,
    }


def _fvd(features: Sequence[np.ndarray]) -> dict[str, float]:
    if len(features) < 2:
        return {"fvd_clips": len(features)}
    return {"fvd": frechet_distance(*np.stack(features, axis=1)), "fvd_clips": len(features)}


def _keep(codec: Codec, clip: Tensor, results: list[Tensor]) -> None:
    results.append(codec.reconstruct(clip))


def _pixels(video: Tensor) -> np.ndarray:
    """A clip `t c y x` in [-1, 1] as uint8 `t y x c`."""
    return ((video.movedim(1, -1).float() + 1) * 127.5).round().byte().cpu().numpy()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown; frames that did not come back are told."""
    shown = {
        "codec": lambda row: row["codec"],
        "params M": lambda row: f"{row['parameters'] / 1e6:.1f}" if row["parameters"] else "-",
        "rate %": lambda row: f"{100 * row['rate']:.4g}",
        "numbers": lambda row: f"{row['latent_numbers']:,}" if row["latent_numbers"] else "-",
        "DiT tokens": lambda row: f"{row['dit_tokens']:,}" if row["dit_tokens"] else "-",
        "frames": lambda row: f"{row['frames_out']} of {row['frames_in']}",
        "PSNR": lambda row: f"{row['psnr']:.2f}" if "psnr" in row else "-",
        "SSIM": lambda row: f"{row['ssim']:.3f}" if "ssim" in row else "-",
        "LPIPS": lambda row: f"{row['lpips']:.3f}" if "lpips" in row else "-",
        "FVD": lambda row: f"{row['fvd']:.1f} (n {row['fvd_clips']})" if "fvd" in row else "-",
        "TFLOP": lambda row: f"{row['tflop']:.2f}" if row["tflop"] else "-",
        "seconds": lambda row: f"{row['seconds']:.2f}",
        "peak MiB": lambda row: f"{row['peak_mib']:,.0f}",
    }
    lines = [list(shown), ["---"] * len(shown), *([cell(row) for cell in shown.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
