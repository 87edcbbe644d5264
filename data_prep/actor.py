"""The actor of the demo set: twelve actions as poses over time, and a figure in these poses."""

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

# --- poses --------------------------------------------------------------------------------------
# One arm and one leg are four angles: upper arm, forearm, thigh, shin, in degrees from straight
# down, positive to the front and absolute (a forearm does not add to its upper arm). A pose is
# float [13]: the near side, the far side, then ``lean`` of the torso (degrees from upright),
# ``lift`` off the ground and ``shift`` to the front (heights), a club's angle and length.


def _pose(near, far, lean=0.0, lift=0.0, shift=0.0, club=0.0, club_length=0.0) -> np.ndarray:
    return np.array([*near, *far, lean, lift, shift, club, club_length], float)


def _mirrored(*far: float) -> tuple[list[float], list[float]]:
    """Both sides: the near side mirrors the angles of the far side."""
    return [-angle for angle in far], list(far)


def sin_cycles(cycles: float) -> float:
    return math.sin(2 * math.pi * cycles)


def _cos(cycles: float) -> float:
    return math.cos(2 * math.pi * cycles)


def _rise(p: float) -> float:
    """0 at whole phases, 1 half-way between them."""
    return (1 - _cos(p)) / 2


IDLE = _pose((-8, -4, -4, -4), (8, 12, 4, 3))
FORE, LEAN, SHIFT = 1, 8, 10  # indices in a pose: near forearm, lean, shift


def walk(p):
    def side(p):
        swing = 30 * sin_cycles(p)
        return -swing, 15 - swing, swing, swing - 3 - 30 * max(0, _cos(p))

    return _pose(side(p), side(p + 0.5), lean=4)


def run(p):
    def side(p):
        s = sin_cycles(p)
        return -10 - 50 * s, 80 - 50 * s, 18 + 52 * s, -28 + 45 * s - 45 * max(0, _cos(p))

    return _pose(side(p), side(p + 0.5), lean=18, lift=0.06 * abs(sin_cycles(p)))


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
    return _pose((-135, -175 - 45 * sin_cycles(p), -4, -4), IDLE[4:8])


def wave_both_hands(p):
    return _pose(*_mirrored(135, 175 + 45 * sin_cycles(p), 4, 3))


def bend(p):
    down = _rise(p)
    side = (25 * down, 15 * down, 10 * down, -4)
    return _pose(side, side, lean=105 * down, shift=-0.1 * down)


def box(p):
    def arm(p):
        punch = max(0, sin_cycles(p))
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
    """A pose as a function of phase, the range of cycles, and the longest travel (heights).

    A cyclic action starts at any phase; the other actions run once, from phase 0 to phase 1.
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

OUTLINE = 0.03  # a dark rim on every limb; only high resolution shows it
SHOES, STEEL = (30, 25, 25), (225, 225, 225)


def random_colour(rng, vivid: float = 1.0, light=(0.3, 1.0)) -> tuple[int, int, int]:
    """A random hue with a lightness in ``light``; ``vivid`` from 1 (vivid) to 0 (grey)."""
    hsv = rng.random(), vivid * rng.uniform(0.6, 1), rng.uniform(*light)
    red, green, blue = colorsys.hsv_to_rgb(*hsv)
    return int(255 * red), int(255 * green), int(255 * blue)


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


def toward(angle: float) -> complex:
    return complex(math.sin(math.radians(angle)), math.cos(math.radians(angle)))


@dataclass(frozen=True)
class Appearance:
    """The appearance of the actor of one group: colours, and proportions in body heights."""

    skin: tuple[int, int, int]
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    leg: float
    torso: float
    arm: float
    thick: float
    breadth: float
    head: float


def make_appearance(rng: np.random.Generator) -> Appearance:
    """Draw a random actor: a bright shirt and dark trousers, so that arms and legs differ."""
    skin = _shaded((250, 205, 170), rng.uniform(0.35, 1.0))
    shirt, trousers = random_colour(rng, light=(0.75, 1)), random_colour(rng, light=(0.1, 0.4))
    low = (0.225, 0.27, 0.15, 0.065, 0.04, 0.065)
    high = (0.25, 0.31, 0.175, 0.085, 0.07, 0.08)
    return Appearance(skin, shirt, trousers, *(float(v) for v in rng.uniform(low, high)))


def figure(pose: np.ndarray, look: Appearance) -> list[Stroke]:
    """Strokes from back to front, one body height tall, standing on y = 0 about x = 0."""
    near, far, (lean, lift, shift, club, club_length) = pose[:4], pose[4:8], pose[8:]
    neck = look.torso * toward(180 - lean)
    head = neck + (look.head + 0.03) * toward(180 - 0.8 * lean)
    arms, legs, hands, feet = [], [], [], []
    for (arm, fore, thigh, shin), sign, shade in ((far, 1, 0.75), (near, -1, 1.0)):
        skin, shirt, trousers = (_shaded(c, shade) for c in (look.skin, look.shirt, look.trousers))
        shoulder = 0.92 * neck + sign * look.breadth
        elbow = shoulder + look.arm * toward(arm)
        hand = elbow + look.arm * toward(fore)
        hip = complex(sign * look.breadth * 0.6)
        knee = hip + look.leg * toward(thigh)
        ankle = knee + look.leg * toward(shin)
        toe = ankle + 0.06 * toward(shin + 80)
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
        strokes.append(Stroke(grip, grip + club_length * toward(club), 0.04, STEEL))
    ground = complex(shift, -lift - look.thick / 2 - max(feet))
    outlines = [Stroke(s.a, s.b, s.width + OUTLINE, _shaded(s.colour, 0.4)) for s in strokes]
    pairs = zip(outlines, strokes, strict=True)
    return [Stroke(s.a + ground, s.b + ground, s.width, s.colour) for pair in pairs for s in pair]


def placed(strokes: list[Stroke], at: complex, height: float, flip: bool) -> list[Stroke]:
    """Scale strokes to ``height`` and place them at the point ``at``; face left if ``flip``."""

    def move(z: complex) -> complex:
        return at + height * (complex(-z.real, z.imag) if flip else z)

    return [Stroke(move(s.a), move(s.b), s.width * height, s.colour, s.rounded) for s in strokes]
