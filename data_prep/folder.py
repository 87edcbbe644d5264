"""A folder of class folders of clips, with or without official lists, becomes a data set."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from statkit.data.clips import DatasetError, Split, Truth, VideoDataset
from statkit.runtime.cache import cache_folder, fingerprint, write_atomically
from statkit.runtime.progress import progress_bar

from .lists import SplitLists, match, read_lists
from .readers import read_all

VIDEO_SUFFIXES = {".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"}
TEST_SHARE = 0.3


def index_folder(
    source: str | Path, *, lists: str | Path | None = None, progress: bool = True
) -> VideoDataset:
    """Make a data set of a folder, by pointing at it.

    Args:
        source: a folder of class folders, or one that holds such a folder (``videos/``, ``clips*``)
            beside its lists.
        lists: folder of official split lists; looked for in and beside ``source`` when None.
            Without any, each class is split 70:30 by group (``_g01_`` in the name), or by clip.

    Returns:
        The data set; what was matched and what was left out is printed, one line each.

    Raises:
        DatasetError: no class folder with clips in it, or lists that match no clip.
    """
    source = Path(source).expanduser()
    if not source.is_dir():
        raise DatasetError(f"{source}: no such folder")
    root = _class_root(source)
    stems = {path.stem for folder in root.iterdir() if folder.is_dir() for path in _clips(folder)}
    places = given_places(Path(lists)) if lists else usual_places(root, source)
    split_lists = find_lists(places, stems)
    if lists and split_lists is None:
        raise DatasetError(f"{lists}: no UCF101 or HMDB51 lists in it that name any of these clips")
    names, counts = _readable_clips(root, progress)
    classes = tuple(sorted({name.split("/")[0] for name in names}))
    splits = _official(names, split_lists) if split_lists else {1: as_split(by_group(names))}
    marker = source / "generated.json"
    stats = [(root / name).stat() for name in names]
    return VideoDataset(
        name=source.name,
        root=root,
        classes=classes,
        names=tuple(names),
        labels=np.array([classes.index(name.split("/")[0]) for name in names]),
        num_frames=np.array(counts),
        splits=splits,
        generated=marker.is_file(),
        fingerprint=_fingerprint(marker, names, counts, splits, stats),
        truth=truth_of(source / "truth.npz", names),
    )


def _class_root(source: Path) -> Path:
    """The folder whose children are class folders: ``source`` or one folder inside it."""
    for root in (source, *sorted(path for path in source.iterdir() if path.is_dir())):
        if any(_clips(folder) for folder in root.iterdir() if folder.is_dir()):
            return root
    raise DatasetError(
        f"{source}: no class folder with clips ({', '.join(sorted(VIDEO_SUFFIXES))}) found; "
        "expected SOURCE/ClassName/clip.avi"
    )


def _clips(folder: Path) -> list[Path]:
    try:
        inside = list(folder.iterdir())
    except OSError:
        return []
    return sorted(
        path
        for path in inside
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
    )


def given_places(folder: Path) -> list[Path]:
    """Folders to look for lists in, if they were said to be here: the folder and two levels in."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    return [folder, *sorted(p for deep in ("*/", "*/*/") for p in folder.glob(deep))]


def usual_places(*folders: Path) -> list[Path]:
    """Where lists lie by custom: with the clips, beside them, in ``splits`` or in folders named as
    in the official archives; ``splits`` may hold several sets, a folder each."""
    around = [place for folder in folders for place in (folder, folder.parent)]
    named = ("", "splits", "ucfTrainTestlist", "testTrainMulti_7030_splits")
    return [place / name for place in around for name in named] + [
        inside for place in around for inside in sorted((place / "splits").glob("*/"))
    ]


def find_lists(places: Iterable[Path], stems: set[str], style: str = "") -> SplitLists | None:
    """The first lists that know a clip of ``stems`` (and are of the style, if one is named)."""
    for folder in dict.fromkeys(places):
        found = read_lists(folder) if folder.is_dir() else None
        if found and stems & found.classes.keys() and style in ("", found.style):
            return found
    return None


def _readable_clips(root: Path, progress: bool) -> tuple[list[str], list[int]]:
    """Names and frame counts of the clips that decode; the others are named once, with reasons.

    Counting means decoding, so the counts are kept, under the state of the files.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    for folder in folders:
        if not os.access(folder, os.R_OK | os.X_OK):
            print(f"left out: {folder}: a folder that may not be read")
    paths = [path for folder in folders for path in _clips(folder)]
    state = [(str(path), *file_state(path)) for path in paths]
    kept = cache_folder("probes") / f"{fingerprint(state)}.json"
    if not kept.is_file():
        jobs = ((i, ("probe", str(path))) for i, path in enumerate(paths))
        label = f"clips of {root.name}"
        counts = [None] * len(paths)
        for i, info, reason in progress_bar(
            read_all(jobs), label=label, total=len(paths), show=progress
        ):
            counts[i] = info["num_frames"] if info else f"{paths[i]}: {reason}"
        write_atomically(kept, lambda path: path.write_text(json.dumps(counts)))
    counts = json.loads(kept.read_text())
    names = [path.relative_to(root).as_posix() for path in paths]
    for count in counts:
        if isinstance(count, str):
            print(f"left out: {count}")
    good = [(name, n) for name, n in zip(names, counts, strict=True) if isinstance(n, int)]
    if not good:
        raise DatasetError(f"{root}: none of its {len(names)} clips can be read")
    return [name for name, _ in good], [n for _, n in good]


def _official(names: list[str], lists: SplitLists) -> dict[int, Split]:
    found = match(names, lists)
    for line in lists.report(set(found.listed.values())):
        print(line)
    for name, listed in found.spelled:
        print(f"{name} is taken for {listed} of the lists")
    splits = {}
    for number, roles in sorted(lists.splits.items()):
        given = [roles.get(found.listed.get(name)) for name in names]
        splits[number] = as_split(given)
    if not all(len(part) for part in splits[min(splits)]):
        raise DatasetError("the split lists match no training or no test clip")
    return splits


def as_split(roles: list[str | None]) -> Split:
    """Clip numbers by role: "train", "test", or neither."""
    return Split(
        *(
            np.array([i for i, given in enumerate(roles) if given == role], np.int64)
            for role in ("train", "test")
        )
    )


def file_state(path: Path) -> tuple[int, int]:
    """Size and time of a file; of a link, of what it leads to; zeros where there is nothing."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def group_of(name: str) -> str:
    """Clips cut from one film are a group: the number in UCF101's names, what stands before the
    class in HMDB51's; a clip by itself otherwise."""
    label, stem = name.split("/")[0], Path(name).stem
    if numbered := re.search(r"_g(\d+)_", stem):
        return numbered[1]
    before, cut, _ = stem.partition(f"_{label}_")
    return before if cut and before else name


def by_group(names: list[str]) -> list[str]:
    """A role for each clip: every class's last groups are for testing, so that no group is in both
    parts."""
    groups: dict[str, dict[str, list[int]]] = {}
    for i, name in enumerate(names):
        groups.setdefault(name.split("/")[0], {}).setdefault(group_of(name), []).append(i)
    roles = [""] * len(names)
    for of_class in groups.values():
        cut = max(1, round(len(of_class) * (1 - TEST_SHARE)))
        for k, key in enumerate(sorted(of_class)):
            for i in of_class[key]:
                roles[i] = "train" if k < cut else "test"
    train, test = roles.count("train"), roles.count("test")
    print(f"no split lists: {train} train and {test} test clips by group")
    return roles


def _fingerprint(marker: Path, names, counts, splits, stats) -> str:
    roles = {number: [part.tolist() for part in split] for number, split in splits.items()}
    made_from = marker.read_text() if marker.is_file() else None
    return fingerprint([names, counts, roles, [s.st_size for s in stats], made_from])


def truth_of(file: Path, names: list[str]) -> Truth | None:
    """What generated clips know of themselves, in the order of ``names``."""
    if not file.is_file():
        return None
    with np.load(file) as data:
        order = {name: i for i, name in enumerate(data["names"].tolist())}
        rows = [order[name] for name in names]
        size = tuple(int(n) for n in data["size"])
        return Truth(data["boxes"][rows], data["intervals"][rows], data["masks"][rows], size)
