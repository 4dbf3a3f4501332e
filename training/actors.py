"""Who and what moves in the rendered training clips: people, animals, hands and things.

Each is a list of flat, jointed parts. Axes: t frames, n points of an outline, c colour. World units: 1 is the
width of a frame, y points down. Points and similarity maps of the plane are complex numbers: a map sends z to
`turn * z + shift`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .textures import Floats, outline, palette, surface

Complex = NDArray[np.complex64]

MAX_PARTS = 255  # a part's number is one byte; number 0 is the background


@dataclass
class Pose:
    """A similarity map per frame: `turn` and `shift` are `t`."""

    turn: Complex
    shift: Complex

    def __matmul__(self, inner: "Pose") -> "Pose":
        return Pose(self.turn * inner.turn, self.turn * inner.shift + self.shift)

    def apply(self, points: Complex) -> Complex:
        """Maps points `n` or `t n` to `t n`."""
        return (self.turn[:, None] * points + self.shift[:, None]).astype(np.complex64)


@dataclass
class Part:
    """A flat surface: its outline (`n` or `t n`) in its own units and where it is in each frame."""

    points: Complex
    pose: Pose
    tone: Floats
    texture: float = 0.15  # how much of the shared texture shows
    roundness: float = 0.3  # how much darker its rim is than its middle
    alpha: float = 1.0


@dataclass
class Clock:
    """The times of a clip's frames in seconds, and the random numbers that its motions are drawn from."""

    rng: Generator
    times: NDArray[np.float64]
    energy: float = 1.0  # scales every motion of the clip
    static: Pose = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.times)
        self.static = Pose(np.ones(count, np.complex64), np.zeros(count, np.complex64))

    def wave(self, frequency: float, phase: float = 0.0) -> NDArray[np.float64]:
        """A sine of the given frequency in hertz, `t`."""
        return np.sin(2 * np.pi * (frequency * self.times + phase))

    def wander(self, scale: float) -> NDArray[np.float64]:
        """A smooth random path `t`, about `scale` wide: a drift and two slow oscillations."""
        rng = self.rng
        path = rng.normal(0, 0.7) * (self.times - self.times.mean())
        for frequency in rng.gamma(2.0, 0.35, 2):
            path = path + rng.normal(0, 0.3) * self.wave(frequency, rng.random())
        return path * scale * self.energy


def travel(clock: Clock, scale: float) -> Pose:
    """The path of a free thing: drifting, bouncing off invisible walls, or falling and bouncing."""
    rng, times = clock.rng, clock.times
    start = complex(*rng.normal(0, 0.2, 2))
    kind = rng.choice(["drift", "bounce", "fall"], p=[0.6, 0.25, 0.15])
    if kind == "drift":
        shift = start + clock.wander(rng.gamma(1.5, 0.25)) + 1j * clock.wander(rng.gamma(1.5, 0.12))
    else:
        speed = rng.normal(0, 0.6 * clock.energy, 2)
        x = 0.4 * (2 * np.abs((speed[0] * times + rng.random()) % 2 - 1) - 1)
        y = 0.4 * (2 * np.abs((speed[1] * times + rng.random()) % 2 - 1) - 1)
        if kind == "fall":
            phase = (times * rng.uniform(0.5, 1.5) + rng.random()) % 1
            y = 0.35 - rng.uniform(0.2, 0.6) * 4 * phase * (1 - phase)
        shift = x + 1j * y
    spin = rng.normal(0, 0.3) + clock.wander(rng.choice([0.0, 0.3, 2.0]))
    size = scale * np.exp(clock.wander(rng.choice([0.0, 0.1, 0.4])))
    return Pose((size * np.exp(1j * spin)).astype(np.complex64), shift.astype(np.complex64))


def capsule(length: float, start: float, end: float) -> Complex:
    """A limb from 0 to `length` along x with round ends of radius `start` and `end`, `n`."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 7)
    tip = length + end * np.exp(1j * angle)
    base = -start * np.exp(1j * angle)
    return np.concatenate([tip, base]).astype(np.complex64)


def oval(width: float, height: float, centre: complex = 0) -> Complex:
    """An ellipse, `n`, from its two radii."""
    circle = np.exp(2j * np.pi * np.arange(16) / 16)
    return (centre + width * circle.real + 1j * height * circle.imag).astype(np.complex64)


@dataclass
class Limb:
    """A chain of capsules that hangs on a body: each with its length, its radius and its own colour."""

    joint: complex
    lengths: tuple[float, ...]
    radii: tuple[float, ...]
    tones: tuple[Floats, ...]

    def parts(self, body: Pose, angles: list[NDArray[np.float64]]) -> list[Part]:
        """The capsules, given each joint's angle (`t`, radians, from the x axis of the part before)."""
        pose, joint, parts = body, self.joint, []
        for length, radius, tone, angle in zip(self.lengths, self.radii, self.tones, angles, strict=True):
            turn = np.exp(1j * angle).astype(np.complex64)
            pose = pose @ Pose(turn, np.full(len(turn), joint, np.complex64))
            parts.append(Part(capsule(length, radius, 0.8 * radius), pose, tone, 0.1, 0.5))
            joint = length
        return parts


def face(clock: Clock, pose: Pose, radius: float, skin: Floats) -> list[Part]:
    """A head with hair, eyes, nose and a mouth that opens."""
    rng = clock.rng
    hair = surface(rng, ["dark", "wood", "soil"][rng.integers(3)])
    dark = surface(rng, "dark", 0.03)
    look = 0.25 * radius * np.clip(clock.wander(0.8), -1, 1)[:, None] + radius * rng.normal(0, 0.1)
    parts = []
    if rng.random() < 0.5:
        parts.append(Part(oval(1.05 * radius, 1.5 * radius, 0.3j * radius), pose, hair, 0.3))
    parts.append(Part(oval(0.8 * radius, 1.1 * radius), pose, skin, 0.05))
    for eye in (-0.32, 0.32):
        parts.append(
            Part(oval(0.13 * radius, 0.07 * radius, eye * radius - 0.05j * radius) + look, pose, dark)
        )
        parts.append(
            Part(oval(0.2 * radius, 0.04 * radius, eye * radius - 0.28j * radius) + look, pose, hair)
        )
    parts.append(
        Part(oval(0.1 * radius, 0.2 * radius, 0.2j * radius) + 1.2 * look, pose, skin * np.float32(0.85))
    )
    talk = 0.06 + 0.1 * np.abs(clock.wave(rng.uniform(0, 2.5)))[:, None] * (rng.random() < 0.5)
    lips = oval(0.3 * radius, radius)
    spoken = lips.real + 1j * lips.imag * talk + 0.6j * radius + look
    parts.append(
        Part(spoken.astype(np.complex64), pose, surface(rng, "skin") * np.array([0.8, 0.4, 0.4], np.float32))
    )
    top = oval(0.88 * radius, 1.05 * radius, -0.15j * radius)
    fringe = rng.uniform(-0.7, -0.3) * radius
    cap = top.real + 1j * np.minimum(top.imag, fringe)
    parts.append(Part(cap.astype(np.complex64), pose, hair, 0.3))
    return parts


def ground_shadow(clock: Clock, path: NDArray[np.complex128], width: float, below: float) -> Part:
    """The soft dark patch under somebody's feet."""
    dark = np.full(3, 0.03, np.float32)
    spot = Pose(clock.static.turn, (path + 1j * below).astype(np.complex64))
    return Part(oval(width, 0.2 * width), spot, dark, 0.0, 0.0, clock.rng.uniform(0.0, 0.6))


def person(clock: Clock) -> list[Part]:
    """A standing, walking or gesturing person; often so near that only head and shoulders are seen."""
    rng = clock.rng
    skin = surface(rng, "skin", 0.15)
    shirt, trousers, shoes = palette(rng, 3)
    near = np.exp(rng.uniform(np.log(0.4), np.log(2.6)))
    drift = clock.wander(rng.choice([0.03, 0.3])) + 1j * clock.wander(0.03)
    centre = rng.normal(0, 0.15) + 1j * max(0.04, 0.45 * near - rng.uniform(0.2, 0.45))
    step = rng.choice([0.0, rng.uniform(0.5, 2.0)]) * (near < 1.6)
    sway = np.exp(1j * clock.wander(0.1))
    bob = 0.015j * np.abs(clock.wave(step)) * near
    body = Pose((near * sway).astype(np.complex64), (centre + drift + bob).astype(np.complex64))
    flip = rng.choice([-1, 1])
    arm = (0.15, 0.14, 0.03)
    sleeves = (shirt, shirt if rng.random() < 0.5 else skin, skin)
    back = [ground_shadow(clock, centre + drift, near * 0.2, near * 0.5)]
    front: list[Part] = []
    for side in (-1, 1):
        swing = (0.1 + 0.5 * (step > 0)) * clock.wave(step, 0.25 + 0.25 * side)
        leg = Limb(0.05 * side, (0.22, 0.22, 0.06), (0.055, 0.042, 0.028), (trousers, trousers, shoes))
        bend = -flip * 0.5 * np.maximum(clock.wave(step, 0.25 * side), 0) * (step > 0)
        back += leg.parts(body, [np.pi / 2 + swing, -bend, np.full(len(swing), -flip * 1.3)])
        raised = rng.choice([0.0, rng.uniform(0.0, 2.6)], p=[0.5, 0.5])
        limb = Limb(0.13 * side - 0.27j, arm, (0.036, 0.03, 0.03), sleeves)
        lift = np.pi / 2 - side * (0.2 + raised) - swing + clock.wander(0.3 + 0.4 * (raised > 0))
        elbow = -side * (0.2 + rng.gamma(1.5, 0.5)) + clock.wander(0.6)
        (back if rng.random() < 0.4 else front).extend(limb.parts(body, [lift, elbow, clock.wander(0.5)]))
    torso = np.array(
        [-0.1 + 0.02j, -0.15 - 0.27j, -0.05 - 0.33j, 0.05 - 0.33j, 0.15 - 0.27j, 0.1 + 0.02j], np.complex64
    )
    trunk = [
        Part(torso, body, shirt, 0.15),
        Part(capsule(0.06, 0.045, 0.04) * -1j - 0.3j, body, skin * np.float32(0.85)),
    ]
    nod = np.exp(1j * clock.wander(0.25)).astype(np.complex64)
    head = body @ Pose(nod, np.full(len(nod), -0.43j, np.complex64))
    return back + trunk + face(clock, head, 0.085, skin) + front


def animal(clock: Clock) -> list[Part]:
    """A four-legged animal that stands, walks or runs, seen from the side."""
    rng = clock.rng
    fur = surface(rng, ["dark", "soil", "wood", "wall", "asphalt"][rng.integers(5)], 0.15)
    shade = fur * np.float32(rng.uniform(0.6, 0.9))
    near = np.exp(rng.uniform(np.log(0.5), np.log(2.0)))
    rate = rng.choice([0.0, rng.uniform(0.6, 2.5)])
    path = (
        clock.wander(rng.choice([0.05, 0.4]))
        + rng.normal(0, 0.1)
        + 1j * (rng.normal(0.08, 0.08) + clock.wander(0.03))
    )
    pitch = np.exp(1j * clock.wander(0.1)) * near
    body = Pose(pitch.astype(np.complex64), path.astype(np.complex64))
    thick, leg, girth = rng.uniform(0.02, 0.05), rng.uniform(0.06, 0.14), rng.uniform(0.08, 0.15)
    parts = [ground_shadow(clock, path, near * 0.3, near * (2 * leg + 0.06))]
    for index, (joint, tone) in enumerate([(-0.2, shade), (0.2, shade), (-0.16, fur), (0.24, fur)]):
        swing = 0.6 * clock.wave(rate, index * rng.uniform(0.2, 0.3)) * (rate > 0)
        limb = Limb(joint + 0.05j, (leg, leg), (thick, 0.7 * thick), (tone, tone))
        legs = limb.parts(body, [np.pi / 2 + swing, 0.4 * np.abs(swing)])
        parts += legs if index < 2 else []
        if index == 2:
            tail = Limb(-0.27 - 0.03j, (0.12, 0.1), (0.025, 0.02), (fur, fur))
            parts += tail.parts(body, [np.pi + rng.normal(0, 0.6) + clock.wander(0.6), clock.wander(0.9)])
            trunk = oval(0.3, girth)
            parts.append(Part(trunk, body, fur, 0.15, 0.5))
        parts += legs if index >= 2 else []
    neck = Limb(0.24 - 0.04j, (0.1, 0.06), (0.07, 0.06), (fur, fur))
    head = neck.parts(body, [rng.uniform(-1.2, 0.3) + clock.wander(0.3), clock.wander(0.4) + 0.4])
    skull = head[-1].pose
    ears = [Part(oval(0.03, 0.05, 0.01 - 0.07j), skull, shade, 0.2)]
    eye = Part(oval(0.012, 0.012, 0.05 - 0.025j), skull, surface(rng, "dark", 0.02))
    snout = Part(capsule(0.06, 0.035, 0.02) + 0.06, skull, shade, 0.2, 0.4)
    animal_parts = parts + head + [snout, *ears, eye]
    return [mirrored(part) for part in animal_parts] if rng.random() < 0.5 else animal_parts


def mirrored(part: Part) -> Part:
    """The part as seen in a mirror: left and right exchanged."""
    pose = Pose(part.pose.turn.conj(), -part.pose.shift.conj())
    points = -part.points.conj()
    return Part(points, pose, part.tone, part.texture, part.roundness, part.alpha)


def hand(clock: Clock) -> list[Part]:
    """A hand that reaches into the picture and sometimes holds a thing."""
    rng = clock.rng
    skin = surface(rng, "skin", 0.15)
    sleeve = palette(rng, 1)[0] if rng.random() < 0.5 else skin
    near = rng.uniform(0.6, 1.8)
    angle = rng.uniform(0, 2 * np.pi)
    place = complex(*rng.normal(0, 0.15, 2)) + clock.wander(0.35) + 1j * clock.wander(0.25)
    body = Pose(
        (near * np.exp(1j * (angle + clock.wander(0.4)))).astype(np.complex64), place.astype(np.complex64)
    )
    parts = [Part(capsule(1.0, 0.06, 0.09) * -1 - 0.02, body, sleeve, 0.15, 0.5)]
    if rng.random() < 0.5:
        held = (
            outline(rng, ["box", "ellipse", "blob"][rng.integers(3)]) * np.complex64(rng.uniform(0.08, 0.25))
            + 0.2
        )
        parts.append(Part(held, body, palette(rng, 1)[0], 0.5))
    parts.append(Part(oval(0.1, 0.085, 0.05), body, skin, 0.1, 0.2))
    curl = 0.3 * clock.wander(1.0) + rng.uniform(0, 0.8)
    for finger, spread in enumerate((-0.9, -0.25, -0.05, 0.15, 0.35)):
        base = 0.02 - 0.06j if finger == 0 else 0.12 + 1j * (finger * 0.042 - 0.105)
        limb = Limb(base, (0.08, 0.07), (0.023, 0.02), (skin, skin))
        parts += limb.parts(body, [spread + clock.wander(0.2), curl])
    return parts


def things(clock: Clock) -> list[Part]:
    """A few loose things: balls, boxes and blobs that drift, bounce, spin, stretch and deform."""
    rng = clock.rng
    tones = palette(rng, 8)
    parts = []
    for index in range(1 + rng.poisson(1.5)):
        shape = outline(rng, ["ellipse", "box", "blob", "shard"][rng.integers(4)])
        points = np.repeat(shape[None], len(clock.times), 0)
        if rng.random() < 0.4:
            points = points.real * np.cos(rng.uniform(0, 6) + clock.wander(2.0))[:, None] + 1j * points.imag
        if rng.random() < 0.4 and len(shape) > 4:
            phase = np.angle(shape)[None] * rng.integers(1, 4)
            points = points * (1 + 0.25 * np.sin(phase + 2 * np.pi * rng.normal() * clock.times[:, None]))
        pose = travel(clock, np.exp(rng.uniform(np.log(0.04), np.log(0.4))))
        parts.append(
            Part(
                points.astype(np.complex64), pose, tones[index % 8], rng.uniform(0, 0.3), rng.uniform(0, 0.7)
            )
        )
    return parts


def toy(clock: Clock) -> list[Part]:
    """A compound thing that moves as one: a body with mirrored or ringed shapes on it."""
    rng = clock.rng
    tones = palette(rng, 6)
    pose = travel(clock, np.exp(rng.uniform(np.log(0.1), np.log(0.5))))
    squeeze = np.cos(clock.wander(rng.choice([0.0, 1.5])))[:, None]
    shapes = [outline(rng, ["ellipse", "box", "blob"][rng.integers(3)])]
    for _ in range(rng.integers(2, 7)):
        own = outline(rng, ["ellipse", "box", "blob"][rng.integers(3)]) * rng.uniform(0.1, 0.5)
        place = complex(rng.uniform(0.1, 0.9), rng.uniform(-1, 1))
        shapes += [own + place, -own.conj() - place.conjugate()]
    if rng.random() < 0.3:
        petal = outline(rng, "ellipse") * 0.4 + 0.8
        shapes += [petal * np.exp(2j * np.pi * index / 7) for index in range(7)]
    parts = []
    for index, shape in enumerate(shapes):
        points = (shape.real * squeeze + 1j * shape.imag).astype(np.complex64)
        parts.append(
            Part(points, pose, tones[(index + 1) // 2 % 6], rng.uniform(0, 0.3), rng.uniform(0, 0.7))
        )
    return parts


def swarm(clock: Clock) -> list[Part]:
    """Many small things that move alike: birds, leaves, snow, bubbles, a crowd far away."""
    rng = clock.rng
    tones = palette(rng, 4)
    flow = clock.wander(0.5) + 1j * clock.wander(0.3)
    shape = outline(rng, ["ellipse", "blob", "shard"][rng.integers(3)], 8)
    parts = []
    for index in range(rng.integers(6, 30)):
        own = complex(*rng.uniform(-0.6, 0.6, 2)) + flow * rng.uniform(0.6, 1.4)
        own = own + clock.wander(0.05) + 1j * clock.wander(0.05)
        turn = rng.uniform(0.01, 0.05) * np.exp(1j * clock.wander(1.0))
        pose = Pose(turn.astype(np.complex64), own.astype(np.complex64))
        parts.append(Part(shape, pose, tones[index % 4], 0.1))
    return parts


def occluders(clock: Clock) -> list[Part]:
    """Large things close to the lens, at the border of the view, that pass by faster than the rest."""
    rng = clock.rng
    tones = palette(rng, 3) * np.float32(rng.uniform(0.3, 1.0))
    parts = []
    for index in range(rng.integers(1, 4)):
        side = np.exp(1j * rng.uniform(0, 2 * np.pi)) * rng.uniform(0.45, 0.75)
        shape = outline(rng, ["box", "blob"][rng.integers(2)]) * np.complex64(rng.uniform(0.15, 0.45))
        shift = side + clock.wander(0.3) + 1j * clock.wander(0.1)
        parts.append(Part(shape, Pose(clock.static.turn, shift.astype(np.complex64)), tones[index], 0.4))
    return parts


CASTS: dict[Callable[[Clock], list[Part]], float] = {
    person: 0.34,
    animal: 0.13,
    hand: 0.1,
    things: 0.11,
    toy: 0.13,
    swarm: 0.04,
}  # the rest of the clips show a place without anybody


def cast(clock: Clock) -> list[Part]:
    """Who and what is in the clip, farthest first."""
    rng = clock.rng
    makers = [*CASTS, None]
    chances = [*CASTS.values(), 1 - sum(CASTS.values())]
    parts: list[Part] = []
    for _ in range(1 + (rng.random() < 0.25) + (rng.random() < 0.08)):
        maker = makers[rng.choice(len(makers), p=chances)]
        parts += maker(clock) if maker else []
    parts += occluders(clock) if rng.random() < 0.12 else []
    return parts[:MAX_PARTS]
