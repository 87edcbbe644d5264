"""What one generated clip shows. A jointed figure acts in front of clutter, with a moving camera,
among moving shapes. The figure is idle before and after its action, so attention in time matters as
well as attention in space. At 12x16 pixels a limb is thinner than a pixel.

Five **knobs** each change one property of the clips and nothing else (:class:`Knobs`).
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from PIL import Image, ImageDraw

from statkit.errors import StatkitError

from .actor import (
    ACTIONS,
    FORE,
    IDLE,
    LEAN,
    SHIFT,
    TABLE,
    Action,
    Stroke,
    figure,
    make_appearance,
    placed,
    random_colour,
    sin_cycles,
    toward,
)

FINE = 2  # draws at twice the size and averages down, for smooth edges


@dataclass(frozen=True)
class Knobs:
    """Properties of the generated clips; each knob changes one. The default knobs give the default
    set, byte for byte; every other value keeps actors, poses, camera and test clips.

    Attributes:
        scene: how strongly the background reveals the class, from 0 (not at all) to 1. The wall of
            every class has its own tint, ``40 * scene`` grey levels (rounded) off the default in
            two of the three colour channels, the same in training and test clips.
        actor: height of the actor, as a factor of the default (0.45 to 0.7 of the frame's height);
            from 0.3 to 1.3.
        idle: mean share of the clip in which the actor does not act, from 0 to 0.85. Single clips
            differ by about 0.1 from it. An action fills at most the clip and takes at least two
            frames, so of 16 frames the mean is 0.02 at idle = 0, and 0.84 at 0.85.
        clutter: number of bars on the wall and of moving shapes, as a factor of the default; from
            0 to 4.
        clips: training clips, a positive multiple of 12 ("demo" alone has this knob).
    """

    scene: float = 0.0
    actor: float = 1.0
    idle: float = 0.535
    clutter: float = 1.0
    clips: int = 768

    def __post_init__(self):
        for name, (low, high) in KNOB_RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise StatkitError(f"{name} is a number, got {value!r}")
            if not low <= value <= high:
                raise StatkitError(f"{name} is from {low} to {high}, got {value}")
        if self.clips % len(ACTIONS):
            raise StatkitError(f"clips is a multiple of {len(ACTIONS)}, got {self.clips}")

    @classmethod
    def read(cls, words: str) -> Self:
        """Knobs from words such as ``"scene=0.5,actor=0.7"``.

        Raises:
            ValueError: an unknown knob, a knob given twice, or a value out of its range.
        """
        values = {}
        for word in filter(None, words.split(",")):
            name, _, text = word.partition("=")
            if name not in KNOB_RANGES:
                raise StatkitError(f"the knobs are {', '.join(KNOB_RANGES)}; got {word!r}")
            if name in values:
                raise StatkitError(f"{name} is given twice in {words!r}")
            try:
                values[name] = int(text) if name == "clips" else float(text)
            except ValueError:
                raise StatkitError(f"{name} is a number, got {text!r}") from None
        return cls(**values)

    def changed(self) -> dict[str, float]:
        """The knobs whose values differ from the defaults."""
        return {k: v for k, v in asdict(self).items() if v != getattr(DEFAULT, k)}


KNOB_RANGES = {
    "scene": (0, 1),
    "actor": (0.3, 1.3),
    "idle": (0, 0.85),
    "clutter": (0, 4),
    "clips": (len(ACTIONS), 100 * 768),
}
DEFAULT = Knobs()
TINT = 40  # grey levels at scene = 1
# A direction in RGB for each class: the midpoints of a cube's twelve edges. All have the
# same distance from grey, and no class is only brighter or darker than another.
TINTS = [
    np.roll((a, b, 0), place) for place in range(3) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
]

# --- the scene ----------------------------------------------------------------------------------
# All lengths in the scene are in pixels of the fine canvas.


def _point(rng, width: float, height: float) -> complex:
    return complex(rng.uniform(0, width), rng.uniform(0, height))


@lru_cache(maxsize=2)
def background(seed: int, group: int, height: int, width: int, clutter: float = 1.0) -> Image.Image:
    """The wall of a group [height, width]: noise at several scales, then bars, discs, stripes."""
    rng = np.random.default_rng([seed, 1, group])
    wall = np.zeros((height, width, 3), np.float32)
    for cells in (4, 9, 20, 44):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells * 4 // 3, 3), np.uint8))
        wall += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))
    wall = wall / 4 - 128
    wall = 0.4 * wall + 0.6 * wall.mean(-1, keepdims=True)  # more light than hue
    wall = wall * rng.uniform(0.5, 1.2) + rng.integers(90, 170) + rng.integers(-20, 21, 3)
    image = Image.fromarray(wall.clip(0, 255).astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    for _ in range(round(clutter * rng.integers(15, 26))):
        a, colour = _point(rng, width, height), random_colour(rng, 0.55, (0.2, 1.0))
        length, thick = height * rng.uniform(0, 0.22), height * rng.uniform(0.01, 0.07)
        step = length * toward(rng.uniform(0, 360))
        stripes = rng.integers(2, 5) if rng.random() < 0.3 else 1
        for k in range(stripes):  # side by side, at equal distances
            aside = 2j * thick * k * step / (abs(step) + 1e-6)
            Stroke(a + aside, a + aside + step, thick, colour, rng.random() < 0.5).draw(canvas)
    return image


def drifters(
    rng: np.random.Generator, frames: int, height: int, width: int, count: int | None = None
) -> list[list[Stroke]]:
    """Moving shapes, one list per frame: discs, bars and boxes that drift, swing and turn; 4 to 8
    shapes when ``count`` is None."""
    scenes = [[] for _ in range(frames)]
    for _ in range(rng.integers(4, 9) if count is None else count):
        at, drift = _point(rng, width, height), 0.35 * height * toward(rng.uniform(0, 360))
        swing = height * rng.uniform(0, 0.1) * toward(rng.uniform(0, 360))
        angle, turn = rng.uniform(0, 360), rng.normal(0, 90)
        cycles, phase, speed = rng.uniform(0.5, 4), rng.random(), rng.uniform(-1, 1)
        length, thick = height * rng.uniform(0, 0.22), height * rng.uniform(0.03, 0.1)
        colour, rounded = random_colour(rng), rng.random() < 0.6
        for t, scene in enumerate(scenes):
            u = t / frames
            centre = at + drift * speed * (u - 0.5) + swing * sin_cycles(cycles * u + phase)
            half = length / 2 * toward(angle + turn * u)
            scene.append(Stroke(centre - half, centre + half, thick, colour, rounded))
    return scenes


def camera(rng: np.random.Generator, frames: int, height: int) -> np.ndarray:
    """Position of the frame's corner, int [T, 2] (x, y): a steady pan plus random shake."""
    pan = np.linspace(-0.5, 0.5, frames)[:, None] * rng.uniform(-0.08, 0.08, 2) * height
    shake = rng.normal(0, 0.008 * height, (frames, 2))
    return np.round(pan * (1, 0.4) + shake).astype(int)


# --- one clip -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clip:
    """Identity of a clip: its frames depend on it and on the set's seed, sizes and knobs."""

    action: str
    group: int
    number: int

    @property
    def name(self) -> str:
        return f"{self.action}/v_{self.action}_g{self.group:02d}_c{self.number:02d}.mp4"


def perform(
    rng, action: Action, frames: int, idle: float = DEFAULT.idle
) -> tuple[np.ndarray, tuple[int, int]]:
    """Poses float [T, 13] and the action's interval; outside the interval the actor only sways."""
    share = rng.uniform(0.38, 0.55)
    length = round(frames * share)
    start = int(rng.integers(1, frames - length))
    if idle != DEFAULT.idle:  # same relative start in the rest of the clip
        place = start / (frames - length)
        length = min(max(round(frames * (share + DEFAULT.idle - idle)), 2), frames)
        start = round(place * (frames - length))
    cycles = rng.uniform(*action.cycles) if action.cycles else 1
    phase = rng.random() if action.cycles else 0
    strength, sway = rng.uniform(0.9, 1.1), rng.uniform(0, 1, 2)
    travel = action.travel * rng.uniform(0, 1)
    poses = np.tile(IDLE, (frames, 1))
    for t, pose in enumerate(poses):
        u = (t + 0.5 - start) / length
        if 0 < u < 1:
            ease = strength * min(1, 8 * u, 8 * (1 - u))
            pose += ease * (action.pose(phase + cycles * u) - IDLE)
        pose[FORE] += 4 * sin_cycles(t / 12 + sway[0])
        pose[LEAN] += 2 * sin_cycles(t / 16 + sway[1])
        pose[SHIFT] += travel * (min(1, max(0, u)) - 0.5)
    return poses, (start, start + length)


def film(clip: Clip, seed: int, frames: int, size: tuple[int, int], knobs: Knobs = DEFAULT):
    """Draw one clip.

    Returns:
        frames uint8 [T, H, W, 3], the actor's masks bool [T, H, W] (a golf club is part of the
        actor) and the action's interval (first frame, last frame + 1).
    """
    label = ACTIONS.index(clip.action)
    rng = np.random.default_rng([seed, 2, clip.group, label, clip.number])
    look = make_appearance(np.random.default_rng([seed, 0, clip.group]))
    height, width = (FINE * n for n in size)
    poses, interval = perform(rng, TABLE[clip.action], frames, knobs.idle)
    tall = height * rng.uniform(0.45, 0.7) * knobs.actor
    highest = min(1.12 * tall, 0.96 * height)  # for the ground: leaves room for the head
    feet = complex(width * rng.uniform(0.28, 0.72), rng.uniform(highest, 0.97 * height))
    flip = rng.random() < 0.5
    wall = background(seed, clip.group, height * 2, width * 2, knobs.clutter)
    if knobs.scene:
        tinted = np.asarray(wall) + (TINT * knobs.scene * TINTS[label]).round()
        wall = Image.fromarray(tinted.clip(0, 255).astype(np.uint8))
    corner = rng.integers((width // 4, height // 4), (width * 3 // 4, height * 3 // 4))
    shapes, path = drifters(rng, frames, height, width), camera(rng, frames, height)
    if knobs.clutter != 1:
        wanted = round(knobs.clutter * len(shapes[0]))
        other = np.random.default_rng([seed, 3, clip.group, label, clip.number])
        more = drifters(other, frames, height, width, max(0, wanted - len(shapes[0])))
        shapes = [(old + new)[:wanted] for old, new in zip(shapes, more, strict=True)]
    pictures, masks = [], []
    for pose, passing, eye in zip(poses, shapes, path, strict=True):
        x, y = (int(v) for v in corner + eye)
        picture = wall.crop((x, y, x + width, y + height))
        mask = Image.new("L", (width, height))
        canvas, stencil = ImageDraw.Draw(picture), ImageDraw.Draw(mask)
        for stroke in placed(passing, complex(*-eye), 1, False):
            stroke.draw(canvas)
        for stroke in placed(figure(pose, look), feet - complex(*eye), tall, flip):
            stroke.draw(canvas)
            stroke.draw(stencil, 255)
        pictures.append(np.asarray(picture.reduce(FINE)))
        masks.append(np.asarray(mask.reduce(FINE)) >= 128)
    return _sensed(rng, np.stack(pictures)), np.stack(masks), interval


def _sensed(rng: np.random.Generator, pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 [T, H, W, 3] of a cheap camera: adds light, flicker, contrast, noise."""
    light = rng.uniform(-18, 18) + rng.normal(0, 4, (len(pictures), 1, 1, 1))
    seen = (pictures.astype(np.float32) - 128) * rng.uniform(0.85, 1.15) + 128 + light
    noise = rng.standard_normal(pictures.shape, np.float32) * rng.uniform(3, 6)
    return (seen + noise).clip(0, 255).astype(np.uint8)
