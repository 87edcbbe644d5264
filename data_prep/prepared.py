"""A prepared set: ``prepared/`` in its folder, with a manifest of every file that was found, the
frames of every readable clip, and a card with checksums of all this."""

import csv
import hashlib
import io
import json
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from statkit.data.clips import DatasetError, Prepared, VideoDataset
from statkit.data.frames import FrameSettings
from statkit.runtime.cache import cache_folder, fingerprint, write_atomically
from statkit.runtime.progress import progress_bar

from .folder import truth_of
from .report import first_of
from .splits import as_split

FORMAT = 1
WHERE = ("clips", "fingerprint")
AGAIN = "delete the folder prepared/ in it and prepare it again"
FOUND = ("frames", "fps", "height", "width", "bytes", "sha256", "pixels")


def is_prepared(folder: str | Path) -> bool:
    return (Path(folder).expanduser() / "prepared" / "card.json").is_file()


def open_prepared(folder: str | Path, *, progress: bool = True) -> VideoDataset:
    """The data set of a prepared folder.

    Every call checks the manifest. The frames are checked once after every change of their files;
    the file system records such a change even if a program sets the time back.

    Without the HR frames the set can train students only; then the LR frames cannot be checked,
    and a message says so.

    Raises:
        DatasetError: the folder is not a prepared set, or it was changed.
    """
    folder = Path(folder).expanduser().absolute()
    card, lines = read_card(folder), read_manifest(folder)
    if not (folder / "prepared" / "hr.npy").is_file():
        print(f"{folder.name}: without its HR frames the LR frames are taken as they are")
    elif not _stamp(folder, card).is_file():
        verify_prepared(folder, progress=progress)
    kept = sorted((line for line in lines if line["row"] != ""), key=lambda line: int(line["row"]))
    names = tuple(line["clip"] for line in kept)
    classes = tuple(sorted({line["label"] for line in kept}))
    number = {label: i for i, label in enumerate(classes)}
    root = folder / card["clips"]  # an absolute path stands for itself
    return VideoDataset(
        name=folder.name,
        root=root,
        classes=classes,
        names=names,
        labels=np.array([number[line["label"]] for line in kept]),
        num_frames=np.array([int(line["frames"]) for line in kept]),
        splits={n: as_split([line[f"split{n}"] for line in kept]) for n in card["splits"]},
        generated=card["generated"],
        fingerprint=card["fingerprint"],
        truth=truth_of(root.parent / "truth.npz", list(names)) if card["generated"] else None,
        prepared=Prepared(folder / "prepared", settings_of(card)),
    )


def verify_prepared(
    folder: str | Path, *, sources: bool = False, progress: bool = True
) -> list[str]:
    """Compare every stored frame with the manifest and the manifest with the card.

    Args:
        sources: whether to compare the source clips too, if they still exist.

    Returns:
        One line per comparison.

    Raises:
        DatasetError: something differs; the message names the first few.
    """
    folder = Path(folder).expanduser().absolute()
    card, lines = read_card(folder), read_manifest(folder)
    if not (folder / "prepared" / "hr.npy").is_file():
        raise DatasetError(f"{folder}: prepared/hr.npy is not there; {AGAIN}")
    kept = [line for line in lines if line["row"] != ""]
    wrong = list(_wrong_rows(folder, card, kept, progress))
    said = [f"frames of {len(kept)} clips are as they were prepared"]
    if sources:
        changed, gone = _changed_sources(folder / card["clips"], kept, progress)
        wrong += changed
        there = f"{len(kept) - len(gone)} clips are as they were, {len(gone)} are not there"
        said.append(f"{there}: {first_of(gone)}" if gone else there)
    if wrong:
        raise DatasetError(
            f"{folder}: {len(wrong)} clips are not as they were prepared: {first_of(wrong)}; "
            f"{AGAIN}"
        )
    trust(folder, card)
    return said


def settings_of(card: dict) -> FrameSettings:
    """The frame settings in a card."""
    sizes = {key: tuple(card["settings"][key]) for key in ("hr_size", "lr_size")}
    return FrameSettings(**card["settings"] | sizes)


def write_prepared(
    folder: Path, card: dict, lines: list[dict], settings: FrameSettings, report: str
) -> dict:
    """Write manifest, report and card into ``folder``, which holds the arrays; returns the card."""
    columns = ["clip", "label", "group", *(f"split{n}" for n in card["splits"])]
    columns += ["status", "note", "row", *FOUND]
    text = io.StringIO(newline="")
    odd = any("\r" in str(value) for line in lines for value in line.values())
    how = {"lineterminator": "\n", "quoting": csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL}
    table = csv.DictWriter(text, columns, restval="", **how)
    table.writeheader()
    table.writerows(lines)
    manifest = text.getvalue().encode(errors="surrogateescape")
    (folder / "manifest.csv").write_bytes(manifest)
    (folder / "report.txt").write_bytes(report.encode(errors="surrogateescape"))
    card = card | {"format": FORMAT, "settings": settings.as_dict()}
    card["manifest"] = hashlib.sha256(manifest).hexdigest()
    card["fingerprint"] = _fingerprint(card)
    (folder / "card.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", "utf-8")
    for name in ("manifest.csv", "report.txt", "card.json"):
        with open(folder / name, "rb+") as file:
            os.fsync(file.fileno())
    return card


def trust(folder: Path, card: dict) -> None:
    """Record that the frames were checked; the record is valid until their files change."""
    write_atomically(_stamp(folder, card), lambda path: path.write_text("compared\n", "utf-8"))


def _stamp(folder: Path, card: dict) -> Path:
    files = [(folder / "prepared" / f"{kind}.npy").stat() for kind in ("hr", "lr")]
    dates = ([f.st_size, f.st_mtime_ns, f.st_ctime_ns] for f in files)
    state = [str(folder), card["fingerprint"], *dates]
    return cache_folder("verified") / f"{fingerprint(state)}.txt"


def _fingerprint(card: dict) -> str:
    """Fingerprint of the set's content, independent of its path."""
    return fingerprint({key: card[key] for key in sorted(card) if key not in WHERE})


def read_card(folder: Path) -> dict:
    """The card of a prepared set.

    Raises:
        DatasetError: the card is missing, or it was changed.
    """
    if not is_prepared(folder):
        raise DatasetError(f"{folder}: not a prepared set (no prepared/card.json in it)")
    try:
        card = json.loads((folder / "prepared" / "card.json").read_text("utf-8"))
        version, as_written = card["format"], card["fingerprint"] == _fingerprint(card)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{folder}: its card cannot be read ({error}); {AGAIN}") from error
    if version != FORMAT:
        raise DatasetError(f"{folder}: its format is {version}, not {FORMAT}; {AGAIN}")
    if not as_written:
        raise DatasetError(f"{folder}: its card was changed since it was prepared; {AGAIN}")
    return card


def read_manifest(folder: Path) -> list[dict]:
    """The lines of the manifest.

    Raises:
        DatasetError: the manifest was changed, or the arrays do not match it.
    """
    card, inside = read_card(folder), folder / "prepared"
    settings = settings_of(card)
    try:
        manifest = (inside / "manifest.csv").read_bytes()
    except OSError as error:
        raise DatasetError(f"{folder}: no manifest ({error.strerror}); {AGAIN}") from error
    if hashlib.sha256(manifest).hexdigest() != card["manifest"]:
        raise DatasetError(f"{folder}: the manifest was changed since it was prepared; {AGAIN}")
    text = manifest.decode(errors="surrogateescape")
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    rows = sum(line["row"] != "" for line in lines)
    for kind, size in (("hr", settings.hr_size), ("lr", settings.lr_size)):
        if kind == "hr" and not (inside / "hr.npy").is_file():
            continue
        _check_array(inside / f"{kind}.npy", (rows, settings.frames_per_clip, *size, 3))
    return lines


def _check_array(file: Path, expected: tuple[int, ...]) -> None:
    try:
        array = np.load(file, mmap_mode="r")
        found = (array.dtype, array.shape)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file}: cannot be read ({error}); prepare the set again") from error
    if found != (np.uint8, expected):
        raise DatasetError(f"{file}: holds {found}, not uint8 {expected}; prepare the set again")


def _wrong_rows(folder: Path, card: dict, kept: list[dict], progress: bool) -> Iterator[str]:
    """Names of clips whose stored frames differ from the manifest."""
    settings, inside = settings_of(card), folder / "prepared"
    with open(inside / "hr.npy", "rb") as hr, open(inside / "lr.npy", "rb") as lr:
        places = []
        for file, size in ((hr, settings.hr_size), (lr, settings.lr_size)):
            length = settings.frames_per_clip * math.prod(size) * 3
            start = os.fstat(file.fileno()).st_size - len(kept) * length
            places.append((file, start, length))
        lines = sorted(kept, key=lambda line: int(line["row"]))
        for row, line in enumerate(
            progress_bar(lines, label=f"checking {folder.name}", total=len(kept), show=progress)
        ):
            crc = 0
            for file, start, length in places:
                file.seek(start + row * length)
                crc = zlib.crc32(file.read(length), crc)
            if f"{crc:08x}" != line["pixels"]:
                yield line["clip"]


def _changed_sources(root: Path, kept: list[dict], progress: bool) -> tuple[list[str], list[str]]:
    changed, gone = [], []
    for line in progress_bar(kept, label="checking clips", total=len(kept), show=progress):
        try:
            with open(root / line["clip"], "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != line["sha256"]:
                    changed.append(line["clip"])
        except OSError:
            gone.append(line["clip"])
    return changed, gone
