"""The bundled example clip: a paper boat crosses a lake at dusk, under a balloon and a flock of birds.

It shows what the two latents share out: hills, sky and water are the structure; boat, birds, fish and
ripples the dynamics. Axes: y x pixels, c colour. World units: 1 is the width of the frame, its centre is 0,
y points down.
"""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .textures import Floats, spectral_noise

SIZE = 256
FPS = Fraction(25)
NUM_FRAMES = 125  # not a multiple of a clip's 16 frames, so that the example has a tail
HORIZON = 0.06
SUN = (0.17, -0.05)
SKY = {-0.5: (0.13, 0.16, 0.36), -0.2: (0.45, 0.33, 0.52), -0.02: (0.95, 0.58, 0.40), 0.08: (1.0, 0.78, 0.50)}
HILLS = (  # height above the horizon, waves of the ridge, speed, colour
    (0.13, (3.1, 7.3, 15.0), 0.006, (0.52, 0.40, 0.55)),
    (0.08, (4.3, 9.1, 21.0), 0.014, (0.34, 0.28, 0.45)),
    (0.035, (6.1, 13.7, 47.0), 0.028, (0.16, 0.16, 0.28)),
)
PAPER, SHADED_PAPER = (0.97, 0.95, 0.90), (0.72, 0.70, 0.76)
STRIPES = ((0.85, 0.24, 0.20), (0.96, 0.90, 0.78))
DARK = (0.07, 0.07, 0.12)

Shape = tuple[NDArray[np.complex128], tuple[float, float, float]]


def grid(size: int) -> tuple[Floats, Floats]:
    """World coordinates of pixel centres: x as `1 x`, y as `y 1`."""
    axis = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
    return axis[None], axis[:, None]


def lay(picture: Floats, shapes: Iterable[Shape], alpha: float = 1.0) -> Floats:
    """The picture `y x c` with coloured polygons (corners in world units) laid over it."""
    size = len(picture)
    image = Image.fromarray((picture * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for corners, tone in shapes:
        pixels = (corners + 0.5 + 0.5j) * size
        fill = tuple(int(255 * channel) for channel in tone)
        draw.polygon(list(zip(pixels.real.tolist(), pixels.imag.tolist(), strict=True)), fill=fill)
    drawn = np.asarray(image, np.float32) / np.float32(255)
    return (picture + alpha * (drawn - picture)).astype(np.float32)


def sky(seconds: float, size: int) -> Floats:
    """The evening sky, `y x c`: a gradient, the low sun with its glow, and clouds that drift."""
    x, y = grid(size)
    stops = np.array(list(SKY.values()), np.float32)
    rows = np.stack([np.interp(y[:, 0], list(SKY), stops[:, channel]) for channel in range(3)], -1)
    picture = np.repeat(rows[:, None], size, 1).astype(np.float32)
    distance = np.hypot(x - SUN[0], y - SUN[1] - 0.006 * seconds)
    glow = 0.55 * np.exp(-distance / 0.13)[..., None]
    picture += glow * np.array([0.8, 0.45, 0.15], np.float32)
    disc = np.clip((0.055 - distance) * size + 0.5, 0, 1)[..., None]
    picture += disc * (np.array([1.0, 0.93, 0.72], np.float32) - picture)
    field = spectral_noise(np.random.default_rng(11), size, 2.8, 3.5)[0]
    shift = 0.03 * seconds * size
    whole, part = int(shift), np.float32(shift % 1)
    drifted = (1 - part) * np.roll(field, whole, 1) + part * np.roll(field, whole + 1, 1)
    cloud = np.clip(0.45 * drifted, 0, 0.75) * np.clip((0.02 - y) * 5, 0, 1)
    lit = np.array([0.98, 0.62, 0.52], np.float32) * (0.75 + 0.5 * np.exp(-distance / 0.3))[..., None]
    return np.clip(picture + cloud[..., None] * (lit - picture), 0, 1).astype(np.float32)


def hills(picture: Floats, seconds: float) -> Floats:
    """The sky with three ranges of hills before it, the nearer ones passing faster."""
    x, y = grid(len(picture))
    for height, waves, speed, tone in HILLS:
        at = x + speed * seconds + 10 * speed
        swell = sum(np.sin(wave * at * 2 + wave) / (1 + index) for index, wave in enumerate(waves))
        line = HORIZON - height * (1 + 0.45 * np.asarray(swell))
        cover = np.clip((y - line) * len(picture) + 0.5, 0, 1)[..., None]
        mist = np.clip((y - line) * 2.5, 0, 0.35)[..., None] * np.array([0.9, 0.6, 0.5], np.float32)
        picture = np.clip(picture + cover * (np.array(tone, np.float32) + mist - picture), 0, 1)
    return picture


def balloon(seconds: float) -> list[Shape]:
    """A striped hot-air balloon that rises and sways."""
    place = -0.24 + 0.016 * seconds - (0.20 + 0.02 * seconds) * 1j
    tilt = np.exp(1j * 0.06 * np.sin(1.4 * seconds))
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    height = np.sin(angle)
    taper = np.sqrt(1 - 0.45 * np.clip(height, 0, 1))
    shapes: list[Shape] = []
    for index, width in enumerate((1.0, 0.72, 0.40, 0.12)):
        gore = (np.cos(angle) * taper * width + 1.15j * height) * 0.095
        shapes.append((gore, STRIPES[index % 2]))
    for side in (-1, 1):
        rope = np.array(
            [0.045 * side + 0.085j, 0.048 * side + 0.085j, 0.021 * side + 0.16j, 0.018 * side + 0.16j]
        )
        shapes.append((rope, DARK))
    basket = np.array([-0.022 + 0.155j, 0.022 + 0.155j, 0.018 + 0.19j, -0.018 + 0.19j])
    shapes.append((basket, (0.42, 0.26, 0.16)))
    return [(corners * tilt + place, tone) for corners, tone in shapes]


def birds(seconds: float) -> list[Shape]:
    """A loose flock that beats its wings across the sky."""
    shapes: list[Shape] = []
    for index in range(7):
        row = (index + 1) // 2
        place = 0.62 - 0.17 * seconds + 0.055 * row - 1j * (0.30 - 0.028 * row * (-1) ** index)
        place += 0.008j * np.sin(2 * seconds + index)
        beat = 0.022 * np.sin(9 * seconds + 0.9 * index)
        span = 0.032
        wing = np.array(
            [0, -0.4 * span - 0.6j * beat, -span - 1j * beat, -0.45 * span + 0.006j - 0.3j * beat]
        )
        other = -wing.conj()
        body = 0.009 * np.exp(1j * np.linspace(0, 6.28, 10))
        body = 1.5 * body.real + 0.5j * body.imag
        shapes += [(points + place, DARK) for points in (wing, other, body + 0.002j)]
    return shapes


def boat(seconds: float) -> tuple[list[Shape], float]:
    """A folded paper boat that pitches on the waves, and the height of its waterline."""
    water = 0.245 + 0.006 * np.sin(2.3 * seconds)
    place = -0.42 + 0.15 * seconds + 1j * water
    tilt = np.exp(1j * (0.09 * np.sin(2.3 * seconds + 0.7) + 0.04 * np.sin(3.7 * seconds)))
    hull = np.array([-0.17 - 0.075j, 0.17 - 0.075j, 0.105 + 0.02j, -0.105 + 0.02j])
    fold = np.array([-0.17 - 0.075j, 0.0 - 0.02j, -0.02 + 0.02j, -0.105 + 0.02j])
    sail = np.array([-0.085 - 0.075j, 0.0 - 0.23j, 0.0 - 0.075j])
    lee = np.array([0.0 - 0.075j, 0.0 - 0.23j, 0.085 - 0.075j])
    flag = np.array([0.0 - 0.23j, 0.0 - 0.285j, 0.055 + 0.008j * np.sin(8 * seconds) - 0.262j])
    parts = ((sail, PAPER), (lee, SHADED_PAPER), (hull, PAPER), (fold, SHADED_PAPER), (flag, STRIPES[0]))
    return [(corners * tilt + place, tone) for corners, tone in parts], water


def fish(seconds: float) -> list[Shape]:
    """A fish that leaps out of the water twice, at the right."""
    phase = ((seconds + 0.9) % 2.5) / 1.1
    if phase > 1:
        return []
    place = 0.36 - 0.20 * phase + 1j * (0.30 - 0.62 * phase * (1 - phase))
    heading = np.exp(1j * np.arctan2(-0.62 * (1 - 2 * phase), -0.20))
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    body = 0.055 * np.cos(angle) + 0.02j * np.sin(angle)
    wag = 0.02j * np.sin(16 * seconds)
    tail = np.array([-0.045, -0.085 - 0.028j + wag, -0.07 + 0.5 * wag, -0.085 + 0.028j + wag])
    silver = (0.80, 0.82, 0.90)
    return [(points * heading + place, tone) for points, tone in ((tail, (0.5, 0.54, 0.68)), (body, silver))]


def reeds(seconds: float) -> list[Shape]:
    """Dark reeds on the near shore, bending in the wind."""
    rng = np.random.default_rng(5)
    shapes: list[Shape] = []
    along = np.linspace(0, 1, 9)
    for index in range(22):
        side = -1 if index % 3 else 1
        root = side * rng.uniform(0.27, 0.52) + 0.52j
        tall, width = rng.uniform(0.12, 0.34), rng.uniform(0.004, 0.008)
        bend = 0.05 * np.sin(1.7 * seconds + 6 * root.real + rng.uniform(0, 1.5)) + rng.normal(0.02, 0.04)
        stem = root + bend * along**2 - 1j * tall * along
        thin = width * (1.1 - along)
        shapes.append((np.concatenate([stem - thin, (stem + thin)[::-1]]), DARK))
        if index % 2 == 0:
            shapes.append(
                (stem[-3] + 0.011 * np.cos(along * 6.28) + 0.035j * np.sin(along * 6.28), (0.2, 0.12, 0.1))
            )
    return shapes


def lake(picture: Floats, seconds: float) -> Floats:
    """The picture with its lower, mirrored part turned into water: rippled, darker, with the sun's path."""
    size = len(picture)
    x, y = grid(size)
    top = int((HORIZON + 0.5) * size)
    depth = np.clip((y - HORIZON) / (0.5 - HORIZON), 0, 1)
    near = 0.25 + depth
    waves = np.sin(70 * y / near - 5 * seconds + 6 * x) + np.sin(43 * y / near - 3.1 * seconds - 14 * x)
    rows = np.clip(np.arange(size)[:, None] + 0.007 * size * depth * waves, top, size - 1).astype(int)
    columns = np.clip(np.arange(size)[None] + 0.006 * size * near * waves, 0, size - 1).astype(int)
    water = picture[rows, columns] * np.array([0.62, 0.66, 0.78], np.float32)
    width = 0.035 + 0.16 * depth
    path = np.exp(-(((x - SUN[0]) / width) ** 2)) * np.clip(waves + 0.6, 0, 1.5)
    water = water + (0.45 * path)[..., None] * np.array([1.0, 0.62, 0.30], np.float32)
    shore = np.clip((y - HORIZON) * size + 0.5, 0, 1)[..., None]
    return np.clip(picture + shore * (water - picture), 0, 1)


def mirror(shapes: list[Shape], waterline: float) -> list[Shape]:
    """Shapes as the water shows them: upside down below the waterline."""
    return [(corners.conj() + 2j * waterline, tone) for corners, tone in shapes]


def example_frame(seconds: float, size: int) -> NDArray[np.uint8]:
    """The scene at a moment, `y x c` uint8, drawn at twice the size and averaged down."""
    fine = 2 * size
    picture = lay(hills(sky(seconds, fine), seconds), balloon(seconds) + birds(seconds))
    top = int((HORIZON + 0.5) * fine)
    picture[top:] = picture[:top][::-1][: fine - top]
    sailing, waterline = boat(seconds)
    leaping = fish(seconds)
    picture = lay(picture, mirror(sailing, waterline), 0.7)
    picture = lake(picture, seconds)
    picture = lay(picture, leaping + sailing)
    picture = lay(picture, reeds(seconds))
    coarse = picture.reshape(size, 2, size, 2, 3).mean((1, 3))
    return np.clip(coarse * 255 + 0.5, 0, 255).astype(np.uint8)


def render_example() -> tuple[NDArray[np.uint8], Fraction]:
    """The bundled example, `t y x c` uint8 (125 frames of 256 x 256), and its frame rate."""
    frames = [example_frame(index / float(FPS), SIZE) for index in range(NUM_FRAMES)]
    return np.stack(frames), FPS
