"""The demo set: short clips of twelve human actions, drawn by this file.

Nothing here was filmed, yet the problem is real. A jointed figure acts before clutter, under a
moving camera, among shapes that move too. It stands idle before and after it acts, so *when* to
look matters as well as *where*, and at 12x16 pixels a limb is thinner than a pixel. The folder is
laid out like UCF101, and its ``truth.npz`` knows what no filmed set does: which pixels are the
actor's, and when it acts.
"""

from __future__ import annotations

import colorsys
import json
import math
import multiprocessing
import os
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from statkit.video import write_video

VERSION = 1
NOTE = "These clips are generated: drawn by data_prep/demo.py, not filmed."
CLIPS_PER_GROUP = 2  # of each action
FINE = 2  # everything is drawn at twice the size and averaged down, for smooth edges

# --- poses --------------------------------------------------------------------------------------
# One arm and one leg are four angles: upper arm, forearm, thigh, shin, in degrees from straight
# down, positive to the front and absolute (a forearm does not add to its upper arm). A pose is
# float [13]: the near side, the far side, then ``lean`` of the torso (degrees from upright),
# ``lift`` off the ground and ``shift`` to the front (heights), a club's angle and length.


def _pose(near, far, lean=0.0, lift=0.0, shift=0.0, club=0.0, club_length=0.0) -> np.ndarray:
    return np.array([*near, *far, lean, lift, shift, club, club_length], float)


def _mirrored(*far: float) -> tuple[list[float], list[float]]:
    """Both sides: what the far one does to the front, the near one does to the back."""
    return [-angle for angle in far], list(far)


def _sin(cycles: float) -> float:
    return math.sin(2 * math.pi * cycles)


def _cos(cycles: float) -> float:
    return math.cos(2 * math.pi * cycles)


def _rise(p: float) -> float:
    """0 at whole phases, 1 half-way between them."""
    return (1 - _cos(p)) / 2


IDLE = _pose((-8, -4, -4, -4), (8, 12, 4, 3))
FORE, LEAN, SHIFT = 1, 8, 10  # where a pose holds the near forearm, the lean and the shift


def walk(p):
    def side(p):
        swing = 30 * _sin(p)
        return -swing, 15 - swing, swing, swing - 3 - 30 * max(0, _cos(p))

    return _pose(side(p), side(p + 0.5), lean=4)


def run(p):
    def side(p):
        s = _sin(p)
        return -10 - 50 * s, 80 - 50 * s, 18 + 52 * s, -28 + 45 * s - 45 * max(0, _cos(p))

    return _pose(side(p), side(p + 0.5), lean=18, lift=0.06 * abs(_sin(p)))


def jump(p):
    crouch, air = max(0, _cos(p)), max(0, -_cos(p))
    arm, fore = -45 * crouch + 140 * air, -30 * crouch + 155 * air
    side = (arm, fore, 60 * crouch + 30 * air, -45 * crouch - 65 * air)
    return _pose(side, side, lean=30 * crouch, lift=0.26 * air)


def jumping_jack(p):
    up = _rise(p)
    sides = _mirrored(10 + 140 * up, 10 + 160 * up, 4 + 30 * up, 3 + 30 * up)
    return _pose(*sides, lift=0.05 * _rise(2 * p))


def wave_one_hand(p):
    return _pose((-135, -175 - 45 * _sin(p), -4, -4), IDLE[4:8])


def wave_both_hands(p):
    return _pose(*_mirrored(135, 175 + 45 * _sin(p), 4, 3))


def bend(p):
    down = _rise(p)
    side = (25 * down, 15 * down, 10 * down, -4)
    return _pose(side, side, lean=105 * down, shift=-0.1 * down)


def box(p):
    def arm(p):
        punch = max(0, _sin(p))
        return 20 + 68 * punch, 140 - 50 * punch

    return _pose((*arm(p), -16, -22), (*arm(p + 0.5), 22, 6), lean=5)


def kick(p):
    thigh = 40 - 62 * _cos(p)
    shin = thigh - 10 - 55 * max(0, _cos(p))
    return _pose((-40, -20, thigh, shin), (45, 80, 2, -4), lean=-16 * _rise(p))


def squat(p):
    down = _rise(p)
    side = (88 * down, 90 * down, 98 * down, -42 * down)
    return _pose(side, side, lean=32 * down, shift=-0.06 * down)


def golf_swing(p):
    swing = np.interp(p, (0, 0.2, 0.45, 0.7, 1), (8, 8, -135, 140, 150))
    close = 10 * math.cos(math.radians(swing))  # both hands hold the grip
    near = (swing + close, swing + 1.5 * close, -4, -20)
    far = (swing - close, swing - 1.5 * close, 24, -2)
    return _pose(near, far, lean=30, club=1.25 * swing + 10, club_length=0.4)


def clap(p):
    shut = _rise(p)
    return _pose(*_mirrored(70 - 45 * shut, 90 - 195 * shut, 4, 3))


@dataclass(frozen=True)
class Action:
    """A pose as a function of phase, how many cycles it runs, and how far it may go (heights).

    A cyclic action starts at any phase; the others run through once, from 0 to 1.
    """

    pose: Callable[[float], np.ndarray]
    cycles: tuple[float, float] | None = None
    travel: float = 0.0


TABLE = {
    "Walk": Action(walk, (1.0, 1.6), travel=0.5),
    "Run": Action(run, (1.3, 2.2), travel=0.7),
    "Jump": Action(jump),
    "JumpingJack": Action(jumping_jack, (1.0, 2.0)),
    "WaveOneHand": Action(wave_one_hand, (1.2, 2.2)),
    "WaveBothHands": Action(wave_both_hands, (1.2, 2.2)),
    "Bend": Action(bend),
    "Box": Action(box, (1.2, 2.2)),
    "Kick": Action(kick),
    "Squat": Action(squat),
    "GolfSwing": Action(golf_swing),
    "Clap": Action(clap, (1.2, 2.2)),
}
ACTIONS: tuple[str, ...] = tuple(TABLE)

# --- the figure ---------------------------------------------------------------------------------
# Points are complex numbers, x + iy with y downwards as in an image.

OUTLINE = 0.03  # darkens the rim of every limb, which only high resolution can see
SHOES, STEEL = (30, 25, 25), (225, 225, 225)


def _shaded(colour: tuple[int, int, int], shade: float) -> tuple[int, int, int]:
    return tuple(int(shade * c) for c in colour)


@dataclass(frozen=True)
class Stroke:
    """A thick line from ``a`` to ``b``; round ends make it a capsule, or a disc if a == b."""

    a: complex
    b: complex
    width: float
    colour: tuple[int, int, int]
    rounded: bool = True

    def draw(self, canvas: ImageDraw.ImageDraw, fill=None) -> None:
        fill = self.colour if fill is None else fill
        ends = [(end.real, end.imag) for end in (self.a, self.b)]
        canvas.line(ends, fill, max(1, round(self.width)))
        r = self.width / 2
        for x, y in ends if self.rounded else ():
            canvas.ellipse((x - r, y - r, x + r, y + r), fill)


def _toward(angle: float) -> complex:
    return complex(math.sin(math.radians(angle)), math.cos(math.radians(angle)))


@dataclass(frozen=True)
class Look:
    """What one group shares: colours, and proportions in body heights."""

    skin: tuple[int, int, int]
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    leg: float
    torso: float
    arm: float
    thick: float
    breadth: float
    head: float


def make_look(rng: np.random.Generator) -> Look:
    """Invent an actor: a bright shirt over dark trousers, so that limbs can be told apart."""
    skin = _shaded((250, 205, 170), rng.uniform(0.35, 1.0))
    shirt, trousers = _colour(rng, light=(0.75, 1)), _colour(rng, light=(0.1, 0.4))
    low = (0.225, 0.27, 0.15, 0.065, 0.04, 0.065)
    high = (0.25, 0.31, 0.175, 0.085, 0.07, 0.08)
    return Look(skin, shirt, trousers, *(float(v) for v in rng.uniform(low, high)))


def figure(pose: np.ndarray, look: Look) -> list[Stroke]:
    """Strokes from back to front, one body height tall, standing on y = 0 about x = 0."""
    near, far, (lean, lift, shift, club, club_length) = pose[:4], pose[4:8], pose[8:]
    neck = look.torso * _toward(180 - lean)
    head = neck + (look.head + 0.03) * _toward(180 - 0.8 * lean)
    arms, legs, hands, feet = [], [], [], []
    for (arm, fore, thigh, shin), sign, shade in ((far, 1, 0.75), (near, -1, 1.0)):
        skin, shirt, trousers = (_shaded(c, shade) for c in (look.skin, look.shirt, look.trousers))
        shoulder = 0.92 * neck + sign * look.breadth
        elbow = shoulder + look.arm * _toward(arm)
        hand = elbow + look.arm * _toward(fore)
        hip = complex(sign * look.breadth * 0.6)
        knee = hip + look.leg * _toward(thigh)
        ankle = knee + look.leg * _toward(shin)
        toe = ankle + 0.06 * _toward(shin + 80)
        upper = Stroke(shoulder, elbow, look.thick, shirt)
        sleeve = Stroke(elbow, 0.2 * elbow + 0.8 * hand, 0.85 * look.thick, shirt)
        arms.append([upper, sleeve, Stroke(hand, hand, look.thick, skin)])
        thigh = Stroke(hip, knee, 1.15 * look.thick, trousers)
        shin = Stroke(knee, ankle, look.thick, trousers)
        legs.append([thigh, shin, Stroke(ankle, toe, 0.8 * look.thick, SHOES)])
        hands.append(hand)
        feet.append(ankle.imag)
    trunk = [
        Stroke(0j, 0.9 * neck, 2 * look.breadth + look.thick, _shaded(look.shirt, 0.87)),
        Stroke(neck, head, look.thick, look.skin),
        Stroke(head, head, 2 * look.head, look.skin),
    ]
    strokes = arms[0] + legs[0] + trunk + legs[1] + arms[1]
    if club_length > 0.1:
        grip = sum(hands) / 2
        strokes.append(Stroke(grip, grip + club_length * _toward(club), 0.04, STEEL))
    ground = complex(shift, -lift - look.thick / 2 - max(feet))
    outlines = [Stroke(s.a, s.b, s.width + OUTLINE, _shaded(s.colour, 0.4)) for s in strokes]
    pairs = zip(outlines, strokes, strict=True)
    return [Stroke(s.a + ground, s.b + ground, s.width, s.colour) for pair in pairs for s in pair]


def _placed(strokes: list[Stroke], at: complex, height: float, flip: bool) -> list[Stroke]:
    """Scale strokes to ``height`` and stand them at the point ``at``, facing left if ``flip``."""

    def move(z: complex) -> complex:
        return at + height * (complex(-z.real, z.imag) if flip else z)

    return [Stroke(move(s.a), move(s.b), s.width * height, s.colour, s.rounded) for s in strokes]


# --- the scene ----------------------------------------------------------------------------------
# Lengths in the scene are in pixels of the fine canvas.


def _colour(rng, vivid: float = 1.0, light=(0.3, 1.0)) -> tuple[int, int, int]:
    """A random hue of some lightness; greyer as ``vivid`` goes from 1 to 0."""
    hsv = rng.random(), vivid * rng.uniform(0.6, 1), rng.uniform(*light)
    red, green, blue = colorsys.hsv_to_rgb(*hsv)
    return int(255 * red), int(255 * green), int(255 * blue)


def _point(rng, width: float, height: float) -> complex:
    return complex(rng.uniform(0, width), rng.uniform(0, height))


@lru_cache(maxsize=2)
def background(seed: int, group: int, height: int, width: int) -> Image.Image:
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
    for _ in range(rng.integers(10, 20)):
        a, colour = _point(rng, width, height), _colour(rng, 0.35, (0.3, 0.9))
        length, thick = height * rng.uniform(0, 0.22), height * rng.uniform(0.01, 0.07)
        step = length * _toward(rng.uniform(0, 360))
        stripes = rng.integers(2, 5) if rng.random() < 0.3 else 1
        for k in range(stripes):  # side by side, each as far again from the last
            aside = 2j * thick * k * step / (abs(step) + 1e-6)
            Stroke(a + aside, a + aside + step, thick, colour, rng.random() < 0.5).draw(canvas)
    return image


def drifters(rng: np.random.Generator, frames: int, height: int, width: int) -> list[list[Stroke]]:
    """Moving shapes, one list a frame: discs, bars and boxes that drift, swing and turn."""
    scenes = [[] for _ in range(frames)]
    for _ in range(rng.integers(2, 5)):
        at, drift = _point(rng, width, height), 0.35 * height * _toward(rng.uniform(0, 360))
        swing = height * rng.uniform(0, 0.1) * _toward(rng.uniform(0, 360))
        angle, turn = rng.uniform(0, 360), rng.normal(0, 90)
        cycles, phase, speed = rng.uniform(0.5, 4), rng.random(), rng.uniform(-1, 1)
        length, thick = height * rng.uniform(0, 0.22), height * rng.uniform(0.03, 0.1)
        colour, rounded = _colour(rng), rng.random() < 0.6
        for t, scene in enumerate(scenes):
            u = t / frames
            centre = at + drift * speed * (u - 0.5) + swing * _sin(cycles * u + phase)
            half = length / 2 * _toward(angle + turn * u)
            scene.append(Stroke(centre - half, centre + half, thick, colour, rounded))
    return scenes


def camera(rng: np.random.Generator, frames: int, height: int) -> np.ndarray:
    """Where the frame's corner is, int [T, 2] (x, y): a steady pan and a shaking hand."""
    pan = np.linspace(-0.5, 0.5, frames)[:, None] * rng.uniform(-0.08, 0.08, 2) * height
    shake = rng.normal(0, 0.008 * height, (frames, 2))
    return np.round(pan * (1, 0.4) + shake).astype(int)


# --- one clip -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clip:
    """Which clip: with the set's seed and sizes, all that its frames depend on."""

    action: str
    group: int
    number: int

    @property
    def name(self) -> str:
        return f"{self.action}/v_{self.action}_g{self.group:02d}_c{self.number:02d}.mp4"


def perform(rng, action: Action, frames: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Poses float [T, 13] and the action's interval; outside of it the actor only sways."""
    length = round(frames * rng.uniform(0.38, 0.55))
    start = int(rng.integers(1, frames - length))
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
        pose[FORE] += 4 * _sin(t / 12 + sway[0])
        pose[LEAN] += 2 * _sin(t / 16 + sway[1])
        pose[SHIFT] += travel * (min(1, max(0, u)) - 0.5)
    return poses, (start, start + length)


def film(clip: Clip, seed: int, frames: int, size: tuple[int, int]):
    """Draw one clip.

    Returns:
        frames uint8 [T, H, W, 3], the actor's masks bool [T, H, W] (a golf club is part of the
        actor) and the action's interval (first frame, one past the last).
    """
    rng = np.random.default_rng([seed, 2, clip.group, ACTIONS.index(clip.action), clip.number])
    look = make_look(np.random.default_rng([seed, 0, clip.group]))
    height, width = (FINE * n for n in size)
    poses, interval = perform(rng, TABLE[clip.action], frames)
    tall = height * rng.uniform(0.5, 0.8)
    highest = min(1.12 * tall, 0.96 * height)  # for the ground: leaves room for the head
    feet = complex(width * rng.uniform(0.28, 0.72), rng.uniform(highest, 0.97 * height))
    flip = rng.random() < 0.5
    wall = background(seed, clip.group, height * 2, width * 2)
    corner = rng.integers((width // 4, height // 4), (width * 3 // 4, height * 3 // 4))
    shapes, path = drifters(rng, frames, height, width), camera(rng, frames, height)
    pictures, masks = [], []
    for pose, passing, eye in zip(poses, shapes, path, strict=True):
        x, y = (int(v) for v in corner + eye)
        picture = wall.crop((x, y, x + width, y + height))
        mask = Image.new("L", (width, height))
        canvas, stencil = ImageDraw.Draw(picture), ImageDraw.Draw(mask)
        for stroke in _placed(passing, complex(*-eye), 1, False):
            stroke.draw(canvas)
        for stroke in _placed(figure(pose, look), feet - complex(*eye), tall, flip):
            stroke.draw(canvas)
            stroke.draw(stencil, 255)
        pictures.append(np.asarray(picture.reduce(FINE)))
        masks.append(np.asarray(mask.reduce(FINE)) >= 128)
    return _sensed(rng, np.stack(pictures)), np.stack(masks), interval


def _sensed(rng: np.random.Generator, pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 [T, H, W, 3] as a cheap camera gives them: light, flicker, contrast, noise."""
    light = rng.uniform(-18, 18) + rng.normal(0, 4, (len(pictures), 1, 1, 1))
    seen = (pictures.astype(np.float32) - 128) * rng.uniform(0.85, 1.15) + 128 + light
    noise = rng.standard_normal(pictures.shape, np.float32) * rng.uniform(3, 6)
    return (seen + noise).clip(0, 255).astype(np.uint8)


def _boxes(masks: np.ndarray) -> np.ndarray:
    """Masks bool [T, H, W] to boxes float32 [T, 4]: x0, y0, x1, y1, half-open."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        ys, xs = np.nonzero(mask)
        if len(ys):
            box[:] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    return boxes


def _write_clip(task: tuple[Clip, int, int, tuple[int, int], Path]) -> dict[str, np.ndarray]:
    """Write one clip's video and return its row of the truth."""
    clip, seed, frames, size, out = task
    pictures, masks, interval = film(clip, seed, frames, size)
    write_video(out / "videos" / clip.name, pictures, fps=12)
    packed = np.packbits(masks.reshape(frames, -1), axis=1)
    row = {"names": clip.name, "boxes": _boxes(masks), "masks": packed}
    return row | {"intervals": np.array(interval, np.int64)}


# --- the set ------------------------------------------------------------------------------------


def _clips(count: int, first_group: int) -> list[Clip]:
    """``count`` clips, as many of each action, group by group."""
    return [
        Clip(action, first_group + i // CLIPS_PER_GROUP, i % CLIPS_PER_GROUP + 1)
        for i in range(count // len(ACTIONS))
        for action in ACTIONS
    ]


def _check(train: int, test: int, frames: int, size: tuple[int, int]) -> None:
    for name, count in (("train", train), ("test", test)):
        if count < len(ACTIONS) or count % len(ACTIONS):
            raise ValueError(f"{name} must be a positive multiple of {len(ACTIONS)}, got {count}")
    if frames < 8:
        raise ValueError(f"frames must be at least 8, got {frames}")
    if min(size) < 16 or size[0] % 2 or size[1] % 2:
        raise ValueError(f"size must be even and at least 16x16, got {size[0]}x{size[1]}")


def _same(out: Path, card: dict) -> bool:
    """True if ``out`` holds the set of this card, False if nothing is there.

    Raises:
        ValueError: something else is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / "generated.json").read_text())
    except (OSError, ValueError):
        raise ValueError(f"{out} exists and is not a demo set") from None
    differ = [
        f"{key} is {found.get(key)!r}, asked for {card.get(key)!r}"
        for key in sorted(found.keys() | card.keys())
        if found.get(key) != card.get(key)
    ]
    if differ:
        raise ValueError(f"{out} holds another demo set: {'; '.join(differ)}")
    return True


def _write_lists(folder: Path, train: list[Clip], test: list[Clip]) -> None:
    folder.mkdir()
    numbers = {action: i for i, action in enumerate(ACTIONS, 1)}
    index = "".join(f"{i} {action}\n" for action, i in numbers.items())
    (folder / "classInd.txt").write_text(index)
    lines = (f"{clip.name} {numbers[clip.action]}\n" for clip in train)
    (folder / "trainlist01.txt").write_text("".join(lines))
    (folder / "testlist01.txt").write_text("".join(f"{clip.name}\n" for clip in test))


def _fill(out: Path, card: dict, workers: int) -> None:
    """Write the whole set into the folder ``out``."""
    frames, size, seed = card["frames"], tuple(card["size"]), card["seed"]
    train = _clips(card["train"], 1)
    test = _clips(card["test"], train[-1].group + 1)
    for action in ACTIONS:
        (out / "videos" / action).mkdir(parents=True)
    _write_lists(out / "splits", train, test)
    tasks = [(clip, seed, frames, size, out) for clip in train + test]
    bar = {"total": len(tasks), "desc": "demo clips"}
    if workers == 1:
        rows = list(tqdm(map(_write_clip, tasks), **bar))
    else:
        # Spawned, not forked: a fork of a process with torch's threads can hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            rows = list(tqdm(pool.map(_write_clip, tasks, chunksize=24), **bar))
    truth = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    np.savez_compressed(out / "truth.npz", **truth, size=np.array(size, np.int64))
    (out / "generated.json").write_text(json.dumps(card, indent=2) + "\n")


def make_demo(
    out: str | Path,
    *,
    train: int = 1536,
    test: int = 720,
    frames: int = 16,
    size: tuple[int, int] = (72, 96),
    seed: int = 0,
    workers: int | None = None,
) -> Path:
    """Make the demo set, or find it made.

    Args:
        out: its folder; made whole or not at all.
        train, test: numbers of clips, multiples of 12. The two parts share no group.
        frames: frames a clip, at 12 a second.
        size: height and width in pixels, even.
        seed: 0 or more; the same seed makes the same frames, however many workers.
        workers: processes; all processors when None.

    Returns:
        The folder, with ``videos/``, ``splits/`` as in UCF101, ``generated.json`` and
        ``truth.npz``: names [N], boxes float32 [N, T, 4], masks uint8 [N, T, ceil(H*W/8)],
        intervals int64 [N, 2], size int64 [2].

    Raises:
        ValueError: parameters that cannot be, or ``out`` holds something else.
    """
    out, (height, width) = Path(out), size
    _check(train, test, frames, (height, width))
    card = {"generated": True, "note": NOTE, "version": VERSION, "actions": list(ACTIONS)}
    card |= {"train": train, "test": test, "frames": frames, "size": [height, width], "seed": seed}
    if _same(out, card):
        return out
    draft = out.parent / f".{out.name}.{uuid.uuid4().hex}"  # a name of our own: no one shares it
    draft.mkdir(parents=True)
    try:
        _fill(draft, card, workers or os.cpu_count() or 1)
        os.replace(draft, out)
    except OSError:
        if not _same(out, card):  # else another process made the same set meanwhile
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return out
