"""Opens generated clips before they are drawn: an index that ships says what their files will be.

The index has the size of every file of the default set, and the truth. So the data set, with the
fingerprint that it has when it is drawn as a whole, is known at once, and a clip is drawn when it
is first used. Sets with other knobs have no index and are drawn before they are opened.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from statkit.data.clips import Truth, VideoDataset
from statkit.runtime.cache import fingerprint
from statkit.runtime.processes import cores

from . import demo
from .splits import as_split

INDEX = Path(__file__).with_name(f"demo-v{demo.VERSION}.npz")


def open_on_demand(folder: Path, card: dict) -> VideoDataset | None:
    """The set of a card, to be drawn in ``folder``, which is made if it is missing.

    Returns:
        None if the index does not have the set, or if this machine's encoder writes other files
        than the index says; then the set must be drawn as a whole.
    """
    index = _index_of(card)
    if index is None:
        return None
    if folder.is_symlink() and not (folder / "truth.npz").is_file():  # half of a shared cache's
        folder.unlink()
    demo.begin_set(folder, card)
    names = sorted(index["names"].tolist())
    rows = [index["names"].tolist().index(name) for name in names]
    sizes = index["bytes"][rows].tolist()
    draw = OnDemand(folder, card, dict(zip(names, sizes, strict=True)))
    draw(names[:1])
    if _size(folder / "videos" / names[0]) != sizes[0]:
        return None
    train = {clip.name for clip in demo.parts_of(card)[0]}
    split = as_split("train" if name in train else "test" for name in names)
    classes, counts = sorted(card["actions"]), [card["frames"]] * len(names)
    parts = (index[key][rows] for key in ("boxes", "intervals", "masks"))
    roles = {1: [part.tolist() for part in split]}
    print(f"clips: {len(names)} of {len(classes)} classes, drawn when they are first used")
    return VideoDataset(
        name=folder.name,
        root=folder / "videos",
        classes=tuple(classes),
        names=tuple(names),
        labels=np.array([classes.index(name.split("/")[0]) for name in names]),
        num_frames=np.array(counts),
        splits={1: split},
        generated=True,
        fingerprint=fingerprint([names, counts, roles, sizes, demo.card_text(card)]),
        truth=Truth(*parts, tuple(card["size"]), tuple(index["sha256"][rows].tolist())),
        draw=draw,
    )


@dataclass(frozen=True)
class OnDemand:
    """Draws clips of a card's set in ``folder``; ``sizes`` has the bytes of each file by name."""

    folder: Path
    card: dict
    sizes: dict[str, int]

    def __call__(self, names: list[str]) -> None:
        """Draw those of the named clips whose files are missing or of another size. If all clips
        are named, the truth is written too: then the set is as if it was drawn as a whole."""
        videos = self.folder / "videos"
        todo = [name for name in names if _size(videos / name) != self.sizes[name]]
        if todo:
            clips = {clip.name: clip for part in demo.parts_of(self.card) for clip in part}
            workers = 1 if len(todo) <= demo.FEW else cores()
            demo.draw_clips(self.folder, self.card, [clips[name] for name in todo], workers)
        if len(names) == len(self.sizes) and not (self.folder / "truth.npz").is_file():
            truth = {key: values for key, values in _index_of(self.card).items() if key != "bytes"}
            truth["size"] = np.array(self.card["size"], np.int64)
            demo.write_truth(self.folder, truth)


def write_index(folder: Path) -> None:
    """Write the index from the default set, drawn as a whole in ``folder``."""
    with np.load(folder / "truth.npz") as truth:
        found = {key: truth[key] for key in ("names", "boxes", "masks", "intervals")}
    files = [(folder / "videos" / name).read_bytes() for name in found["names"]]
    found["sha256"] = np.array([hashlib.sha256(data).hexdigest() for data in files])
    np.savez_compressed(INDEX, **found, bytes=np.array([len(data) for data in files]))


@cache
def _index() -> dict[str, np.ndarray]:
    with np.load(INDEX) as index:
        return {key: index[key] for key in index.files}


def _index_of(card: dict) -> dict[str, np.ndarray] | None:
    """The rows of the card's clips, training clips first; None if the index does not have them."""
    if not INDEX.is_file() or card != demo.card_of(card["train"], card["test"]):
        return None
    row = {name: number for number, name in enumerate(_index()["names"].tolist())}
    names = [clip.name for part in demo.parts_of(card) for clip in part]
    if not row.keys() >= set(names):
        return None
    return {key: values[[row[name] for name in names]] for key, values in _index().items()}


def _size(file: Path) -> int | None:
    """The bytes of a file; None if there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None
