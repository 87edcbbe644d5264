"""The demo set: short clips of twelve human actions, drawn by :mod:`data_prep.film`.

The folder has the layout of UCF101, and its ``truth.npz`` has facts that no camera records: the
pixels of the actor, and the interval of the action.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from statkit.errors import StatkitError
from statkit.runtime.cache import write_atomically
from statkit.runtime.processes import cores
from statkit.runtime.progress import progress_bar
from statkit.video import write_video

from .actor import ACTIONS
from .film import DEFAULT, Clip, Knobs, film

VERSION = 4
NOTE = "These clips are generated: drawn by data_prep/demo.py, not filmed."  # in fingerprints
CLIPS_PER_GROUP = 2  # of each action
FEW = 48  # clips that are drawn without a progress bar and without more processes


def _boxes(masks: np.ndarray) -> np.ndarray:
    """Masks bool [T, H, W] to boxes float32 [T, 4]: x0, y0, x1, y1, half-open."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        ys, xs = np.nonzero(mask)
        if len(ys):
            box[:] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    return boxes


def _write_clip(task: tuple[Clip, int, int, tuple[int, int], Path, Knobs]) -> dict:
    """Write one clip's video and return its row of the truth."""
    clip, seed, frames, size, out, knobs = task
    pictures, masks, interval = film(clip, seed, frames, size, knobs)
    file = out / "videos" / clip.name
    write_atomically(file, lambda path: write_video(path, pictures, fps=12))
    packed = np.packbits(masks.reshape(frames, -1), axis=1)
    row = {"names": clip.name, "boxes": _boxes(masks), "masks": packed}
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return row | {"intervals": np.array(interval, np.int64), "sha256": digest}


def _clips(count: int, first_group: int) -> list[Clip]:
    """``count`` clips, equally many per action, group by group."""
    return [
        Clip(action, first_group + i // CLIPS_PER_GROUP, i % CLIPS_PER_GROUP + 1)
        for i in range(count // len(ACTIONS))
        for action in ACTIONS
    ]


def _parts(train: int, test: int, *, fixed_test: bool) -> tuple[list[Clip], list[Clip]]:
    """Training and test clips, which share no group. With ``fixed_test`` the test clips are those
    of the default set for any number of training clips."""
    first = DEFAULT.clips if fixed_test else train
    learn, rest = _clips(min(train, first), 1), max(0, train - first)
    check = _clips(test, 1 + -(-first // (len(ACTIONS) * CLIPS_PER_GROUP)))
    return learn + (_clips(rest, check[-1].group + 1) if rest else []), check


def _check(train: int, test: int, frames: int, size: tuple[int, int]) -> None:
    for name, count in (("train", train), ("test", test)):
        if count < len(ACTIONS) or count % len(ACTIONS):
            raise StatkitError(f"{name} must be a positive multiple of {len(ACTIONS)}, got {count}")
    if frames < 8:
        raise StatkitError(f"frames must be at least 8, got {frames}")
    if min(size) < 16 or size[0] % 2 or size[1] % 2:
        raise StatkitError(f"size must be even and at least 16x16, got {size[0]}x{size[1]}")


def _same(out: Path, card: dict) -> bool:
    """True if ``out`` holds the set of this card, False if ``out`` is missing or empty.

    Raises:
        ValueError: ``out`` holds something else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / "generated.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise StatkitError(f"{out} exists and is not a demo set") from None
    differ = [
        f"{key} is {found.get(key)!r}, asked for {card.get(key)!r}"
        for key in sorted(found.keys() | card.keys())
        if found.get(key) != card.get(key)
    ]
    if differ:
        raise StatkitError(f"{out} holds another demo set: {'; '.join(differ)}")
    return True


def _write_lists(folder: Path, train: list[Clip], test: list[Clip]) -> None:
    folder.mkdir()
    numbers = {action: i for i, action in enumerate(ACTIONS, 1)}
    index = "".join(f"{i} {action}\n" for action, i in numbers.items())
    (folder / "classInd.txt").write_text(index, "utf-8")
    lines = (f"{clip.name} {numbers[clip.action]}\n" for clip in train)
    (folder / "trainlist01.txt").write_text("".join(lines), "utf-8")
    (folder / "testlist01.txt").write_text("".join(f"{clip.name}\n" for clip in test), "utf-8")


def parts_of(card: dict) -> tuple[list[Clip], list[Clip]]:
    """The training and the test clips of the card's set."""
    return _parts(card["train"], card["test"], fixed_test="clips" in card.get("knobs", {}))


def draw_clips(out: Path, card: dict, clips: list[Clip], workers: int) -> dict[str, np.ndarray]:
    """Draw clips of the card's set into its folder, each complete or not at all; returns their
    truth."""
    frames, size, seed = card["frames"], tuple(card["size"]), card["seed"]
    knobs = Knobs(**card.get("knobs", {}))
    tasks = [(clip, seed, frames, size, out, knobs) for clip in clips]
    # joblib starts fresh processes (a fork of a process with torch's threads can hang), and these
    # processes do not run the caller's script again.
    pool = Parallel(workers, return_as="generator", batch_size=8)
    made = pool(delayed(_write_clip)(task) for task in tasks)
    many = len(tasks) > FEW
    rows = list(progress_bar(made, label="demo clips", total=len(tasks), show=many))
    truth = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return truth | {"size": np.array(size, np.int64)}


def _begin(out: Path, card: dict) -> None:
    """Write all of a set into the folder ``out`` but its clips and their truth."""
    for action in ACTIONS:
        (out / "videos" / action).mkdir(parents=True)
    _write_lists(out / "splits", *parts_of(card))
    (out / "generated.json").write_text(card_text(card), "utf-8")


def _fill(out: Path, card: dict, workers: int) -> None:
    train, test = parts_of(card)
    write_truth(out, draw_clips(out, card, train + test, workers))


def card_text(card: dict) -> str:
    """The content of ``generated.json``, which is a part of the set's fingerprint."""
    return json.dumps(card, indent=2) + "\n"


def write_truth(out: Path, truth: dict[str, np.ndarray]) -> None:
    """Write ``truth.npz``: it says that the set is complete."""
    write_atomically(out / "truth.npz", lambda path: np.savez_compressed(path, **truth))


def make_demo(
    out: str | Path,
    *,
    train: int = 768,
    test: int = 720,
    frames: int = 16,
    size: tuple[int, int] = (72, 96),
    seed: int = 0,
    knobs: Knobs = DEFAULT,
    workers: int | None = None,
) -> Path:
    """Make the demo set, or return the folder if the set exists.

    Args:
        out: folder of the set; it appears only when the set is complete.
        train, test: numbers of clips, multiples of 12. The two parts share no group.
        frames: frames per clip, at 12 frames per second.
        size: height and width in pixels, even.
        seed: 0 or more; the same seed makes the same frames with any number of workers.
        knobs: changed properties of the clips; ``knobs.clips`` overrides ``train``.
        workers: processes; all processors when None.

    Returns:
        The folder, with ``videos/``, ``splits/`` as in UCF101, ``generated.json`` and
        ``truth.npz``: names [N], boxes float32 [N, T, 4], masks uint8 [N, T, ceil(H*W/8)],
        intervals int64 [N, 2], size int64 [2], sha256 of the files [N].

    Raises:
        ValueError: invalid parameters, or ``out`` holds something else.
    """
    out, card = Path(out), card_of(train, test, frames, size, seed, knobs)
    begin_set(out, card, lambda folder: _fill(folder, card, workers or cores()))
    if not (out / "truth.npz").is_file():  # the set was begun on demand
        _fill(out, card, workers or cores())
    return out


def card_of(
    train: int,
    test: int,
    frames: int = 16,
    size: tuple[int, int] = (72, 96),
    seed: int = 0,
    knobs: Knobs = DEFAULT,
) -> dict:
    """The card of a set: all that its clips depend on. Arguments as in :func:`make_demo`."""
    changed = knobs.changed()
    train = changed.get("clips", train)
    _check(train, test, frames, size)
    card = {"generated": True, "note": NOTE, "version": VERSION, "actions": list(ACTIONS)}
    card |= {"train": train, "test": test, "frames": frames, "size": list(size), "seed": seed}
    return card | ({"knobs": changed} if changed else {})


def begin_set(out: Path, card: dict, fill: Callable[[Path], None] = lambda folder: None) -> None:
    """Make the folder of a set, unless it exists; ``fill`` writes more into it before it appears.

    Raises:
        ValueError: ``out`` holds something else.
    """
    if _same(out, card):
        return
    draft = out.parent / f".{out.name}.{uuid.uuid4().hex}"  # a unique name
    draft.mkdir(parents=True)
    try:
        _begin(draft, card)
        fill(draft)
        os.replace(draft, out)
    except OSError:
        if not _same(out, card):  # otherwise another process made the same set
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
