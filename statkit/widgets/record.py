"""States of an explorer that are drawn ahead, so that a page without a kernel can show them."""

import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from io import BytesIO
from itertools import chain, combinations, product
from math import prod
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from statkit.runtime.cache import write_atomically

from .controls import Control
from .picture import render

RECORD = "STATKIT_RECORD"  # the runner of notebooks sets it to the folder of the pictures
POSITIONS = 13  # of a control, at most
STATES = 64  # of an explorer, besides those in which one control alone has moved
QUALITY = 72  # of WebP; the book of all lessons must stay small


def recording(draw: Callable[..., Figure], controls: dict[str, Control], now: dict) -> dict | None:
    """Draw the states that the book shows; None unless a run is recorded. ``controls`` has name,
    label, kind and the words of each position; ``states`` the position of each control (``at``),
    the picture's file name, size and description, first the state in which they stand ``now``."""
    if not os.environ.get(RECORD):
        return None
    positions = {name: c.positions(now[name], POSITIONS) for name, c in controls.items()}
    start = [values.index(now[name]) for name, values in positions.items()]
    states = []
    for at in states_to_record([len(values) for values in positions.values()], start):
        values = {name: positions[name][i] for name, i in zip(positions, at, strict=True)}
        try:
            image = render(draw(**values))
        except Exception as error:
            raise RuntimeError(f"drawing with {values} failed") from error
        size = [image.width, image.height]
        states.append({"at": at, "file": keep(image.data), "size": size, "alt": image.alt})
    about = [{"name": name, **c.recorded(positions[name])} for name, c in controls.items()]
    return {"controls": about, "states": states}


def states_to_record(counts: Sequence[int], start: Sequence[int]) -> list[tuple[int, ...]]:
    """Places of the controls, the start first: each control along its range, the others as they
    stand; then all combinations of two or more controls, the smallest first, that fit in
    ``STATES``."""
    every = range(len(counts))
    groups = chain.from_iterable(combinations(every, n) for n in range(len(counts) + 1))
    found: dict[tuple[int, ...], None] = {}
    for group in sorted(groups, key=lambda group: (len(group) > 1, prod(counts[i] for i in group))):
        ranges = [range(counts[i]) if i in group else [start[i]] for i in every]
        more = found | dict.fromkeys(product(*ranges))
        if len(group) < 2 or len(more) <= STATES:
            found = more
    return list(found)


def keep(png: bytes, quality: int = QUALITY) -> str:
    """Keep a picture in the recording's folder, once however often it is shown; its file name."""
    path = Path(os.environ[RECORD]) / f"{sha256(png).hexdigest()[:16]}.webp"
    if not path.is_file():
        image = Image.open(BytesIO(png))
        write_atomically(path, lambda file: image.save(file, "WEBP", quality=quality))
    return path.name
