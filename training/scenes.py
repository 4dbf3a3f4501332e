"""Rendered training clips: moving cameras, people, animals and things in front of painted pictures.

Axes: t frames, y x pixels, c colour, n points. World units: 1 is the width of a frame, y points down. Points
and similarity maps of the plane are complex numbers: a map sends z to `turn * z + shift`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..modeling_vidtwin.video_io import write_video
from .actors import Clock, Complex, Part, Pose, cast
from .example_scene import render_example
from .textures import Canvas, Floats, blur, dead_leaves, paint_picture, spectral_noise

EXTENT = 1.7  # width of a background picture in world units
ATLAS = 160  # pixels to the world unit of the square texture that the moving things share
VIEW = 0.5 + 0.5j  # from the world's origin, the centre of the frame, to its upper left corner


def camera(clock: Clock) -> Pose:
    """The world-to-view map: still, panning, zooming, turning or shaking in the hand."""
    rng = clock.rng
    zoom = np.full(len(clock.times), rng.uniform(0.9, 1.5))
    turn = np.exp(1j * rng.normal(0, 0.03)) * zoom
    shift = np.zeros(len(clock.times), complex)
    if rng.random() < 0.3:
        return Pose(turn.astype(np.complex64), shift.astype(np.complex64))
    pan = np.exp(rng.normal(-2.4, 1.0))
    shift = clock.wander(pan) + 1j * clock.wander(0.4 * pan)
    if rng.random() < 0.5:
        turn = turn * np.exp(clock.wander(rng.gamma(1.5, 0.08)))
    if rng.random() < 0.4:
        turn = turn * np.exp(1j * clock.wander(rng.gamma(1.2, 0.05)))
    if rng.random() < 0.5:
        shake = rng.gamma(1.2, 0.006) * clock.energy
        shift = shift + shake * (rng.normal(0, 1, len(shift)) + 1j * rng.normal(0, 1, len(shift)))
    shift = shift.real.clip(-0.5, 0.5) + 1j * shift.imag.clip(-0.4, 0.4)
    return Pose(turn.astype(np.complex64), shift.astype(np.complex64))


def paint_atlas(rng: Generator) -> Floats:
    """The texture that moving things wear, `y x c`, about -1..1: grain, stripes, checks or patches."""
    kind = rng.choice(["grain", "stripes", "checks", "patches"], p=[0.55, 0.15, 0.1, 0.2])
    if kind == "patches":
        canvas = Canvas(rng, ATLAS, 1.0)
        dead_leaves(canvas)
        picture = canvas.finish()
        return picture * 2 - 1
    atlas = spectral_noise(rng, ATLAS, rng.uniform(1.6, 3.2))[0]
    if kind != "grain":
        axis = np.arange(ATLAS, dtype=np.float32) * (2 * np.pi * rng.integers(3, 25) / ATLAS)
        lines = np.tanh(3 * np.sin(axis))
        atlas = 0.4 * atlas + (lines[:, None] * (lines if kind == "checks" else 1))
    return np.repeat(atlas[..., None], 3, 2).astype(np.float32)


def stamp(corners: list[NDArray[np.float32]], size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The number of the topmost outline at each pixel (0 for none) and its covered quarters, both `y x`."""
    image = Image.new("L", (2 * size, 2 * size))
    draw = ImageDraw.Draw(image)
    for number, points in enumerate(corners):
        draw.polygon(points.tolist(), fill=number + 1)
    fine = np.asarray(image)
    quarters = [fine[y::2, x::2] for y in (0, 1) for x in (0, 1)]
    top = np.maximum(np.maximum(quarters[0], quarters[1]), np.maximum(quarters[2], quarters[3]))
    covered = sum((quarter > 0).view(np.uint8) for quarter in quarters)
    return top, np.asarray(covered)


class Coats:
    """The looks of numbered parts as tables with a row for each part."""

    def __init__(self, parts: list[Part]):
        reach = np.array(
            [(np.abs(p.points.real).max(), np.abs(p.points.imag).max()) for p in parts], np.float32
        )
        # Light falls off across a long limb, not along it.
        across = reach < 2 * reach[:, ::-1]
        self.falloff = np.array([[p.roundness] for p in parts], np.float32) * across / reach**2
        self.tones = np.array([part.tone for part in parts], np.float32)
        self.texture = np.array([[part.texture] for part in parts], np.float32)
        self.quarter_alpha = np.array([part.alpha / 4 for part in parts], np.float32)
        self.texels = np.array([ATLAS * np.abs(part.pose.turn).mean() for part in parts], np.float32)

    def paint(self, number: NDArray[np.intp], own: Complex, atlas: Floats) -> Floats:
        """The colours, `n c` in 0..1, of points `n` in the units of the parts that they belong to."""
        spot = own * self.texels[number]
        grain = atlas[spot.imag.astype(np.int32) % ATLAS, spot.real.astype(np.int32) % ATLAS]
        fall = self.falloff[number]
        shade = np.maximum(1.1 - fall[:, 0] * own.real**2 - fall[:, 1] * own.imag**2, 0.3)
        tones = self.tones[number] * shade[:, None]
        tones *= 1 + self.texture[number] * grain
        return np.minimum(np.maximum(tones, 0), 1)


def draw_parts(parts: list[Part], view: Pose, frames: Floats, atlas: Floats) -> None:
    """Paint parts, the first ones farthest, over frames `t y x c` (0..1, changed in place)."""
    size = frames.shape[1]
    poses = [view @ part.pose for part in parts]
    corners = [pose.apply(part.points) + np.complex64(VIEW) for part, pose in zip(parts, poses, strict=True)]
    pixels = [(2 * size * points).view(np.float32) for points in corners]
    turns = 1 / np.stack([pose.turn for pose in poses], 1)
    shifts = np.stack([pose.shift for pose in poses], 1)
    coats = Coats(parts)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    screen = (axis + 1j * axis[:, None]).astype(np.complex64).ravel()
    for index, frame in enumerate(frames.reshape(len(frames), size * size, 3)):
        top, covered = stamp([points[index] for points in pixels], size)
        seen = np.flatnonzero(top)
        number = top.ravel()[seen].astype(np.intp) - 1
        own = (screen[seen] - shifts[index][number]) * turns[index][number]
        alpha = coats.quarter_alpha[number] * covered.ravel()[seen]
        below = frame[seen]
        frame[seen] = below + alpha[:, None] * (coats.paint(number, own, atlas) - below)


def ripples(clock: Clock, size: int, strength: float) -> torch.Tensor:
    """A smooth displacement of the view that changes with time, `t y x 2` in world units."""
    rng = clock.rng
    cells = int(rng.integers(3, 9))
    modes = rng.normal(0, strength, (2, cells, cells, 2))
    phase = 2 * np.pi * (rng.gamma(2.0, 0.3) * clock.energy * clock.times)[:, None, None, None]
    waves = modes[0] * np.sin(phase + rng.uniform(0, 6.28, modes[0].shape)) + modes[1] * np.sin(0.6 * phase)
    coarse = torch.from_numpy(waves.astype(np.float32)).permute(0, 3, 1, 2)
    fine = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def project(picture: Floats, view: Pose, size: int, offset: torch.Tensor | None) -> Floats:
    """A picture `y x c` of width EXTENT seen through the camera, `t y x c`."""
    inverse = 1 / view.turn
    centre = -view.shift * inverse
    theta = np.empty((len(inverse), 2, 3), np.float32)
    theta[:, 0] = np.stack([inverse.real, -inverse.imag, 2 * centre.real], 1)
    theta[:, 1] = np.stack([inverse.imag, inverse.real, 2 * centre.imag], 1)
    still = offset is None and bool((theta == theta[:1]).all())
    shown = torch.from_numpy(theta[:1] if still else theta) / EXTENT
    grid = torch.nn.functional.affine_grid(shown, [len(shown), 3, size, size], align_corners=False)
    if offset is not None:
        grid = grid + offset * (2 / EXTENT)
    source = torch.from_numpy(picture).permute(2, 0, 1)[None].expand(len(shown), -1, -1, -1)
    frames = torch.nn.functional.grid_sample(source, grid, padding_mode="reflection", align_corners=False)
    channels_last = frames.permute(0, 2, 3, 1).numpy()
    return np.repeat(channels_last, len(theta), 0) if still else np.ascontiguousarray(channels_last)


def exposure(clock: Clock) -> Floats:
    """The light's strength in each frame, `t`: mostly even, else drifting, fading or flashing."""
    rng, times = clock.rng, clock.times
    gain = np.ones(len(times))
    kind = rng.choice(["even", "drift", "fade", "flicker", "flash"], p=[0.72, 0.14, 0.05, 0.05, 0.04])
    if kind == "drift":
        gain = np.exp(clock.wander(0.15))
    elif kind == "fade":
        start, length = rng.uniform(times[0], times[-1] + 0.01), rng.uniform(0.3, 2.0)
        gain = np.clip((times - start) / length * rng.choice([-1, 1]) + 0.5, rng.uniform(0, 0.5), 1)
    elif kind == "flicker":
        gain = 1 + 0.15 * rng.standard_normal(len(times))
    elif kind == "flash":
        gain = 1 + rng.uniform(0.3, 1.5) * np.exp(-np.abs(times - rng.choice(times)) * rng.uniform(2, 12))
    return np.clip(gain, 0.0, 3.0).astype(np.float32)


def develop(clock: Clock, frames: Floats) -> NDArray[np.uint8]:
    """What lens, film and codec do to frames `t y x c` in 0..1; returns uint8."""
    rng = clock.rng
    count, size = frames.shape[:2]
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    vignette = 1 - rng.choice([0.0, rng.uniform(0.2, 1.2)]) * (axis**2 + axis[:, None] ** 2)
    tint = 1 + rng.normal(0, 0.05, 3)
    frames *= exposure(clock)[:, None, None, None]
    frames *= (vignette[..., None] * tint).astype(np.float32)
    lift, contrast = rng.choice([0.0, rng.uniform(0, 0.15)]), rng.uniform(0.8, 1.25)
    frames *= np.float32(contrast * (1 - lift))
    frames += np.float32(lift)
    if rng.random() < 0.2:
        low = int(size * rng.uniform(0.45, 0.85))
        planes = torch.from_numpy(frames).permute(0, 3, 1, 2)
        soft = torch.nn.functional.interpolate(planes, (low, low), mode="bilinear", antialias=False)
        planes = torch.nn.functional.interpolate(soft, (size, size), mode="bilinear")
        frames = planes.permute(0, 2, 3, 1).numpy()
    frames = frames * np.float32(255)
    if rng.random() < 0.5:
        grain = rng.normal(0, 255 * rng.gamma(1.5, 0.006), (2 * size, 2 * size)).astype(np.float32)
        for index in range(count):
            y, x = rng.integers(size, size=2)
            frames[index] += grain[y : y + size, x : x + size, None]
    if rng.random() < 0.03:
        bar = int(size * rng.uniform(0.06, 0.2))
        frames[:, :bar] = 0
        frames[:, size - bar :] = 0
    return np.clip(frames, 0, 255).astype(np.uint8)


def render_clip(seed: int, num_frames: int = 16, size: int = 112, fps: float = 8.0) -> NDArray[np.uint8]:
    """One rendered clip, `t y x c` uint8, the same bytes for the same arguments in every process.

    Raises ValueError when num_frames or size is below 1 or 16, or fps is not above 0.
    """
    if num_frames < 1 or size < 16 or not fps > 0:
        raise ValueError(
            "render_clip wants num_frames >= 1, size >= 16 and fps > 0, "
            f"got num_frames={num_frames}, size={size}, fps={fps}."
        )
    rng = np.random.default_rng(seed)
    clock = Clock(rng, np.arange(num_frames) / fps, energy=float(np.exp(rng.normal(-0.6, 0.7))))
    picture = paint_picture(rng, int(2.5 * size), EXTENT)
    out_of_focus = rng.random() < 0.3
    picture = blur(picture, rng.gamma(1.5, 0.008) * len(picture) if out_of_focus else 2)
    view = camera(clock)
    wavy = rng.random() < 0.2
    offset = ripples(clock, size, rng.gamma(1.5, 0.012)) if wavy else None
    frames = project(picture, view, size, offset)
    parts = cast(clock)
    if parts:
        follow = np.complex64(rng.choice([1.0, 0.3], p=[0.7, 0.3]))  # a camera that pans along with somebody
        draw_parts(parts, Pose(view.turn, view.shift * follow), frames, paint_atlas(rng))
    return develop(clock, frames)


def contact_sheet(seeds: Sequence[int]) -> Image.Image:
    """A picture with a row for each seed's clip: its frames 0, 5, 10 and 15."""
    rows = [np.concatenate(list(render_clip(seed)[::5]), 1) for seed in seeds]
    return Image.fromarray(np.concatenate(rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `python -m vidtwin.training.scenes`."""
    parser = argparse.ArgumentParser(
        prog="python -m vidtwin.training.scenes", description="Looks at the rendered clips."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    sheet = commands.add_parser("contact-sheet", help="a PNG of clips, one a row: frames 0, 5, 10, 15")
    sheet.add_argument("out", type=Path)
    sheet.add_argument("--seed", type=int, default=0, help="the first clip's seed")
    sheet.add_argument("--count", type=int, default=12, help="how many clips")
    example = commands.add_parser("example", help="the bundled example clip as a video file")
    example.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    if given.command == "contact-sheet":
        contact_sheet(range(given.seed, given.seed + given.count)).save(given.out)
    else:
        write_video(given.out, *render_example())


if __name__ == "__main__":
    main()
