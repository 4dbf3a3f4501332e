"""Still pictures with the statistics of photographs: the backgrounds of the rendered training clips.

Axes: y x pixels, c colour (red, green, blue in 0..1). World units: 1 is the width of a frame, y points down.
"""

import numpy as np
import scipy.fft
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import uniform_filter1d

Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]

MAX_SHAPES = 255  # a shape's number is one byte; number 0 is the ground they lie on
WARM_COLD = np.array([0.55, 0.0, -0.65], np.float32)  # the two opponent axes, both nearly without luma
GREEN_MAGENTA = np.array([-0.35, 0.2, -0.25], np.float32)
# Luma, warm-cold, green-magenta of common surfaces.
SURFACES = {
    "skin": (0.58, 0.25, 0.05),
    "foliage": (0.30, 0.12, 0.45),
    "soil": (0.35, 0.22, 0.05),
    "sky": (0.72, -0.25, 0.05),
    "wall": (0.80, 0.04, 0.0),
    "asphalt": (0.40, -0.02, 0.0),
    "dark": (0.08, 0.01, 0.0),
    "wood": (0.42, 0.30, 0.0),
    "water": (0.40, -0.2, 0.15),
    "cloth": (0.35, -0.15, -0.1),
}


def colour(luma: float, warm: float, green: float) -> Floats:
    """One colour, `c` in 0..1, from its luma (0..1) and its place on the two opponent axes."""
    return np.clip(luma + warm * WARM_COLD + green * GREEN_MAGENTA, 0.0, 1.0).astype(np.float32)


def surface(rng: Generator, name: str, spread: float = 0.1) -> Floats:
    """A colour, `c` in 0..1, near that of a common surface such as "skin" or "sky"."""
    luma, warm, green = SURFACES[name]
    near = rng.normal((luma, warm, green), (spread, 0.5 * spread, 0.5 * spread))
    return colour(*near)


def palette(rng: Generator, count: int) -> Floats:
    """Colours that belong together, `n c` in 0..1: a few base tones and their variations."""
    saturation = rng.gamma(2.0, 0.12)
    names = list(SURFACES)
    bases = np.array([SURFACES[names[rng.integers(len(names))]] for _ in range(rng.integers(2, 6))])
    bases[:, 0] = np.where(rng.random(len(bases)) < 0.5, rng.beta(0.7, 0.8, len(bases)), bases[:, 0])
    bases[:, 1:] = bases[:, 1:] * rng.uniform(0.3, 1.6) + rng.normal(0, saturation * 0.4, (len(bases), 2))
    picked = bases[rng.integers(len(bases), size=count)]
    picked = picked + rng.normal(0, 1, picked.shape) * np.array([0.12, 0.035, 0.035])
    vivid = rng.random(count) < 0.05  # the few signal colours of clothes, toys and flowers
    picked[vivid, 1:] = rng.normal(0, 0.5, (vivid.sum(), 2))
    tones = picked[:, :1] + picked[:, 1:2] * WARM_COLD + picked[:, 2:] * GREEN_MAGENTA
    return np.clip(tones, 0.01, 0.99).astype(np.float32)


def spectral_noise(rng: Generator, size: int, exponent: float, stretch: float = 1.0) -> Floats:
    """Two noise fields, `2 y x`, mean 0, deviation 1, whose power falls as 1 / frequency ** exponent.

    `stretch` above 1 draws the grain out along x, below 1 along y. Photographs have exponents near 2.
    """
    length = scipy.fft.next_fast_len(size)
    frequency = scipy.fft.fftfreq(length).astype(np.float32)
    squared = frequency[:, None] ** 2 + (frequency * stretch) ** 2
    squared[0, 0] = np.inf
    white = rng.standard_normal((length, length, 2), dtype=np.float32).view(np.complex64)[..., 0]
    field = scipy.fft.ifft2(white * squared ** np.float32(-exponent / 4), overwrite_x=True)[:size, :size]
    fields = np.stack([field.real, field.imag])
    return (fields - fields.mean((1, 2), keepdims=True)) / fields.std((1, 2), keepdims=True)


def spectral_line(rng: Generator, size: int, exponent: float) -> Floats:
    """A 1-D noise, `x`, mean 0, deviation 1, such as the outline of hills."""
    frequency = scipy.fft.rfftfreq(2 * size).astype(np.float32)
    frequency[0] = np.inf
    white = rng.standard_normal((len(frequency), 2), dtype=np.float32).view(np.complex64)[..., 0]
    line = scipy.fft.irfft(white * frequency ** np.float32(-exponent / 2))[:size]
    return ((line - line.mean()) / max(line.std(), 1e-6)).astype(np.float32)


def blur(picture: Floats, width: float) -> Floats:
    """A picture `y x c` out of focus: a box filter `width` pixels wide, twice when it is wide."""
    size = int(round(width))
    for axis in (0, 1) * min(size - 1, 2):
        picture = uniform_filter1d(picture, size, axis=axis, mode="nearest")
    return picture


def outline(rng: Generator, kind: str, corners: int = 14) -> NDArray[np.complex64]:
    """The outline `n` of a shape of about unit radius: an "ellipse", "box", "blob" or "shard"."""
    angle = 2 * np.pi * np.arange(corners) / corners
    if kind == "box":
        corner = np.array([-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j]) * 0.8
        points = corner.real * rng.uniform(0.3, 1.0) + 1j * corner.imag
        return (points * np.exp(1j * rng.normal(0, 0.1))).astype(np.complex64)
    radius = np.ones(corners)
    if kind == "blob":
        for wave in (2, 3, 4, 5):
            radius += rng.normal(0, 0.35 / wave) * np.cos(wave * angle + rng.uniform(0, 6.28))
    elif kind == "shard":
        radius = rng.uniform(0.3, 1.2, corners)
    points = np.maximum(radius, 0.15) * np.exp(1j * angle)
    points = points.real * rng.uniform(0.35, 1.0) + 1j * points.imag
    return (points * np.exp(1j * rng.uniform(0, 6.28))).astype(np.complex64)


class Canvas:
    """A square picture in the making: a map of numbered shapes that `finish` shades and textures.

    `extent` is the width of the picture in world units; its centre is the world's origin.
    """

    def __init__(self, rng: Generator, size: int, extent: float):
        self.rng = rng
        self.size = size
        self.extent = extent
        self.image = Image.new("L", (size, size))
        self.draw = ImageDraw.Draw(self.image)
        self.colours = palette(rng, MAX_SHAPES + 1)
        self.gradients = rng.normal(0, rng.uniform(0.1, 0.9), (MAX_SHAPES + 1, 2)).astype(np.float32)
        self.centres = np.zeros((MAX_SHAPES + 1, 2), np.float32)
        self.grain = (rng.uniform(0.03, 0.35) * rng.random((MAX_SHAPES + 1, 2)) ** 2).astype(np.float32)
        self.count = 0
        self.horizon: float | None = (
            None  # world y below which the grain is that of a floor seen in perspective
        )

    def add(self, points: NDArray[np.complex64], tone: Floats | None = None) -> int:
        """Lay an opaque shape (corners `n` in world units) on top; returns its number."""
        number = 1 + self.count % MAX_SHAPES
        self.count += 1
        pixels = (points + self.extent * (0.5 + 0.5j)) * (self.size / self.extent)
        flat = pixels.astype(np.complex64).view(np.float32).tolist()
        self.draw.polygon(flat, fill=number)
        centre = points.mean()
        self.centres[number] = centre.real, centre.imag
        if tone is not None:
            self.colours[number] = tone
        return number

    def finish(self, light: float = 0.3) -> Floats:
        """The picture, `y x c` in 0..1: shapes with colour, gradient and grain under an uneven light."""
        rng, size = self.rng, self.size
        number = np.asarray(self.image)
        axis = (np.arange(size, dtype=np.float32) / size - 0.5) * self.extent
        offset = 1.0 - (self.gradients * self.centres).sum(1)
        shade = offset[number]
        shade += self.gradients[:, 0][number] * axis
        shade += self.gradients[:, 1][number] * axis[:, None]
        np.clip(shade, 0.45, 1.6, out=shade)
        stretch = float(np.exp(rng.normal(0, 0.5)))
        noise = spectral_noise(rng, size, rng.uniform(0.4, 2.0), stretch)
        if self.horizon is not None:
            noise = lay_flat(noise, self.horizon / self.extent + 0.5)
        shade += self.grain[:, 0][number] * noise[0]
        shade += self.grain[:, 1][number] * (np.tanh(3 * noise[1]) if rng.random() < 0.5 else noise[1])
        soft = spectral_noise(rng, 48, rng.uniform(3.0, 4.0))[0] * np.float32(light * rng.random() ** 3)
        slope = np.linspace(-light, light, 48, dtype=np.float32)
        soft += np.float32(rng.normal()) * slope + np.float32(rng.normal()) * slope[:, None]
        large = Image.fromarray(np.exp(soft)).resize((size, size), Image.Resampling.BILINEAR)
        shade *= np.asarray(large)
        return np.clip(self.colours[number] * shade[..., None], 0.0, 1.0)


def scatter_leaves(
    canvas: Canvas, count: int, smallest: float, largest: float, box: Box, tone: Floats | None = None
) -> None:
    """Drop `count` opaque shapes into a box (x0, y0, x1, y1); the density of radii falls as radius ** -3.

    A `tone` gives all of them one colour, brighter and darker, like the foliage of a tree.
    """
    rng = canvas.rng
    uniform = rng.random(count)
    radii = 1 / np.sqrt((1 - uniform) / smallest**2 + uniform / largest**2)
    kinds = ["ellipse", "box", "blob", "shard"]
    chances = rng.dirichlet([1.0, 0.7, 1.0, 0.5])
    shapes = [outline(rng, kinds[rng.choice(4, p=chances)]) for _ in range(min(count, 24))]
    x = rng.uniform(box[0], box[2], count)
    y = rng.uniform(box[1], box[3], count)
    spin = np.exp(1j * rng.normal(0, rng.choice([0.05, 2.0]), count))
    shades = np.exp(rng.normal(0, 0.35, count)).astype(np.float32)
    for index in range(count):
        points = shapes[index % len(shapes)] * (radii[index] * spin[index]) + (x[index] + 1j * y[index])
        canvas.add(points, None if tone is None else np.minimum(tone * shades[index], 1))


def tree(canvas: Canvas, foot: complex, height: float) -> None:
    """A trunk with a crown of leaves, or a bush."""
    rng = canvas.rng
    bark, leaf = surface(rng, "wood") * np.float32(0.6), surface(rng, "foliage", 0.15)
    crown = height * rng.uniform(0.25, 0.45)
    width = 0.04 * height
    canvas.add(rectangle(foot.real - width, foot.imag - height, foot.real + width, foot.imag), bark)
    middle = foot - 1j * (height - crown * rng.uniform(0.2, 1.0))
    canvas.add(outline(rng, "blob") * crown + middle, leaf)
    half = 0.8 * crown
    box = (middle.real - half, middle.imag - half, middle.real + half, middle.imag + half)
    scatter_leaves(canvas, int(rng.integers(8, 50)), 0.1 * crown, 0.5 * crown, box, leaf)


def lay_flat(noise: Floats, horizon: float) -> Floats:
    """Noise `n y x` with all below `horizon` (0..1 of the height) foreshortened like a floor."""
    size = noise.shape[-1]
    top = int(np.clip(horizon, 0.05, 0.95) * size)
    depth = 0.35 * size / (np.arange(1, size - top + 1, dtype=np.float32) + 0.06 * size)
    rows = (depth * 0.7 * size).astype(np.int32) % size
    columns = ((np.arange(size, dtype=np.float32) - size / 2) * depth[:, None]).astype(np.int32) % size
    laid = noise.copy()
    laid[:, top:] = noise[:, rows[:, None], columns]
    return laid


def rectangle(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.complex64]:
    """The four corners of an upright rectangle."""
    return np.array([x0 + 1j * y0, x1 + 1j * y0, x1 + 1j * y1, x0 + 1j * y1], np.complex64)


def dead_leaves(canvas: Canvas) -> None:
    """Overlapping opaque shapes of all sizes, the simplest model of clutter."""
    half = canvas.extent / 2
    box = (-half, -half, half, half)
    largest = canvas.rng.uniform(0.2, 0.8)
    scatter_leaves(canvas, int(canvas.rng.integers(5, 40)), 0.5 * largest, largest, box)
    if canvas.rng.random() < 0.8:
        count = int(canvas.rng.integers(10, 200))
        scatter_leaves(canvas, count, canvas.rng.uniform(0.015, 0.1), largest, box)


def ridge(canvas: Canvas, height: float, rough: float, tone: Floats) -> None:
    """Ground from a rough line at `height` (world y) down to the lower border."""
    line = height + rough * spectral_line(canvas.rng, 64, canvas.rng.uniform(1.6, 3.0))
    x = np.linspace(-0.55, 0.55, 64) * canvas.extent
    low = canvas.extent
    points = np.concatenate([x + 1j * line, [x[-1] + 1j * low, x[0] + 1j * low]])
    number = canvas.add(points.astype(np.complex64), tone)
    canvas.centres[number] = 0.0, height + 0.3


def landscape(canvas: Canvas) -> None:
    """Sky, hills paling into the distance, ground, and sometimes trees, houses or stones on the horizon."""
    rng = canvas.rng
    half = canvas.extent / 2
    sky = surface(rng, "sky" if rng.random() < 0.7 else "wall", 0.15)
    sky_number = canvas.add(rectangle(-half, -half, half, half), sky)
    canvas.gradients[sky_number] = rng.normal(0, 0.1), rng.normal(0.2, 0.25)
    canvas.grain[sky_number] = 0.02, rng.choice([0.0, 0.1])
    horizon = rng.normal(-0.02, 0.18)
    canvas.horizon = horizon
    layers = int(rng.integers(1, 5))
    grounds = ["foliage", "soil", "water", "asphalt", "wall"]
    ground = surface(rng, grounds[rng.choice(5, p=[0.4, 0.2, 0.15, 0.15, 0.1])], 0.15)
    for layer in range(layers):
        near = (layer + 1) / layers
        mixed = ground * near * rng.uniform(0.6, 1.2) + sky * (1 - near) * 0.8
        tone = np.clip(mixed, 0, 1).astype(np.float32)
        height = horizon + 0.12 * layer * rng.random()
        if rng.random() < 0.4:
            count = int(rng.integers(5, 70))
            box = (-half, height - 0.12, half, height + 0.05)
            scatter_leaves(
                canvas, count, 0.015, rng.uniform(0.05, 0.25), box, tone if rng.random() < 0.5 else None
            )
        ridge(canvas, height, rng.choice([0.002, 0.03, 0.08]), tone)
        for _ in range(int(rng.integers(1, 5) * rng.integers(2))):
            foot = complex(rng.uniform(-half, half), height + rng.uniform(0, 0.1))
            tree(canvas, foot, rng.uniform(0.1, 0.8) * near)
    if rng.random() < 0.5:
        scatter_leaves(canvas, int(rng.integers(3, 80)), 0.01, 0.12, (-half, horizon + 0.1, half, half))


def room(canvas: Canvas) -> None:
    """A room in perspective, with doors, windows and pictures on its walls and boxes on its floor."""
    rng = canvas.rng
    half = canvas.extent / 2
    x0, x1 = -rng.uniform(0.1, 0.75), rng.uniform(0.1, 0.75)
    y0, y1 = -rng.uniform(0.15, 0.75), rng.uniform(0.0, 0.5)
    wall = surface(rng, "wall" if rng.random() < 0.7 else "wood", 0.18)
    floor = surface(rng, ["wood", "asphalt", "wall", "soil"][rng.integers(4)], 0.12)
    canvas.horizon = y1
    inner = rectangle(x0, y0, x1, y1)
    outer = rectangle(-half, -half, half, half) * 1.2
    for side, tone in enumerate(
        (wall * 1.05, wall * rng.uniform(0.5, 0.95), floor, wall * rng.uniform(0.5, 0.95))
    ):
        following = (side + 1) % 4
        points = np.array([outer[side], outer[following], inner[following], inner[side]], np.complex64)
        canvas.add(points, np.clip(tone, 0, 1).astype(np.float32))
    canvas.add(inner, wall)
    canvas.grain[1:6] *= 0.5
    for _ in range(rng.integers(0, 7)):
        x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        width, height = rng.uniform(0.03, 0.3, 2)
        canvas.add(rectangle(x, y, x + width, y + height))
    for _ in range(rng.integers(0, 12)):
        x, y = rng.uniform(-half, half), y1 + rng.uniform(-0.1, 0.3)
        width, height = rng.uniform(0.05, 0.4, 2)
        tone = canvas.colours[canvas.add(rectangle(x, y - height, x + width, y))]
        lid = rectangle(x, y - height - 0.06, x + width, y - height) + np.array([0.05, -0.02, 0, 0])
        canvas.add(lid.astype(np.complex64), np.clip(tone * 1.3, 0, 1))
    box = (-half, -half, half, half)
    scatter_leaves(canvas, int(rng.integers(1, 60) * rng.integers(2)), 0.02, 0.15, box)


def plain_wall(canvas: Canvas) -> None:
    """One even surface with at most a few marks on it: a studio backdrop, a table, a wall."""
    rng = canvas.rng
    half = canvas.extent / 2
    number = canvas.add(rectangle(-half, -half, half, half))
    canvas.grain[number] *= rng.uniform(0.1, 2.5)
    if rng.random() < 0.5:
        ridge(canvas, rng.uniform(0.0, 0.5), 0.001, canvas.colours[rng.integers(1, MAX_SHAPES)])
    scatter_leaves(canvas, int(rng.integers(0, 25)), 0.03, 0.4, (-half, -half, half, half))


def street(canvas: Canvas) -> None:
    """Facades with rows of windows, a pavement, posts and wires."""
    rng = canvas.rng
    half = canvas.extent / 2
    canvas.add(rectangle(-half, -half, half, half), surface(rng, "sky"))
    ground = canvas.horizon = rng.uniform(0.0, 0.35)
    left = -half
    while left < half:
        width, top = rng.uniform(0.15, 0.8), rng.uniform(-0.8, ground - 0.1)
        facade = canvas.colours[canvas.add(rectangle(left, top, left + width, ground))]
        pane, step_x, step_y = facade * rng.uniform(0.2, 0.8), *rng.uniform(0.06, 0.16, 2)
        for x in np.arange(left + 0.02, left + width - step_x, step_x):
            for y in np.arange(top + 0.03, ground - step_y, step_y):
                canvas.add(rectangle(x, y, x + 0.55 * step_x, y + 0.6 * step_y), pane)
        left += width
    ridge(canvas, ground, 0.001, surface(rng, "asphalt", 0.12))
    scatter_leaves(canvas, int(rng.integers(0, 25)), 0.02, 0.15, (-half, ground - 0.05, half, ground + 0.1))
    for _ in range(rng.integers(0, 5)):
        x, y = rng.uniform(-half, half, 2)
        lean = complex(*rng.normal(0, 0.5, 2)) if rng.random() < 0.3 else rng.uniform(0.3, 1.0) * 1j
        side = lean / abs(lean) * 1j * rng.uniform(0.004, 0.02)
        post = np.array([-side, lean - side, lean + side, side]) + (x + 1j * y)
        canvas.add(post.astype(np.complex64))


def night(canvas: Canvas) -> None:
    """Lights and dim shapes in the dark."""
    rng = canvas.rng
    half = canvas.extent / 2
    canvas.colours *= rng.uniform(0.15, 0.6)
    scatter_leaves(canvas, int(rng.integers(5, 60)), 0.03, 0.5, (-half, -half, half, half))
    radius = rng.uniform(0.01, 0.05)
    for _ in range(rng.integers(2, 25)):
        place = complex(*rng.uniform(-half, half, 2))
        light = outline(rng, "ellipse") * (radius * rng.uniform(0.6, 1.4)) + place
        canvas.add(light, surface(rng, "skin" if rng.random() < 0.6 else "sky", 0.2) * np.float32(1.2))


def lettering(canvas: Canvas) -> None:
    """A sign or a page: rows of small strokes on an even ground."""
    rng = canvas.rng
    half = canvas.extent / 2
    plain_wall(canvas)
    page, ink = palette(rng, 2)
    height = rng.uniform(0.025, 0.14)
    top = rng.uniform(-0.4, 0.2)
    canvas.add(rectangle(-half, top, half, top + 0.6), page)
    for row in range(int(rng.integers(1, max(2, min(6, int(0.5 / height)))))):
        x, y = rng.uniform(-0.7, -0.2), top + 0.03 + 1.5 * row * height
        for _ in range(rng.integers(4, 14)):
            letter = outline(rng, "shard", 7) * (0.5 * height) + complex(x, y + 0.5 * height)
            canvas.add(letter, ink)
            x += height * rng.uniform(0.7, 1.1)


PICTURES = {
    dead_leaves: 0.24,
    landscape: 0.26,
    room: 0.18,
    plain_wall: 0.15,
    street: 0.09,
    night: 0.05,
    lettering: 0.03,
}


def paint_picture(rng: Generator, size: int, extent: float, kind: str | None = None) -> Floats:
    """A still picture, `y x c` in 0..1, of a random kind or of the named one (a function name in PICTURES).

    Raises ValueError for an unknown kind.
    """
    by_name = {painter.__name__: painter for painter in PICTURES}
    if kind is None:
        kind = list(by_name)[rng.choice(len(by_name), p=list(PICTURES.values()))]
    if kind not in by_name:
        raise ValueError(f"kind must be one of {', '.join(by_name)}, got {kind!r}.")
    canvas = Canvas(rng, size, extent)
    by_name[kind](canvas)
    return canvas.finish()
