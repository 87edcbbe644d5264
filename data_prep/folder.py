"""A folder of class folders of clips, with or without official lists, becomes a data set."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from statkit.cache import cache_folder, fingerprint, write_atomically
from statkit.datasets import DatasetError, Split, Truth, VideoDataset
from statkit.progress import progress_bar
from statkit.video import VideoError, probe

from .lists import SplitLists, read_lists

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
    split_lists = read_lists(Path(lists)) if lists else _find_lists(source, root)
    if lists and split_lists is None:
        raise DatasetError(f"{lists}: no UCF101 or HMDB51 lists in it")
    names, counts = _readable_clips(root, progress)
    classes = tuple(sorted({name.split("/")[0] for name in names}))
    splits = _official(names, split_lists) if split_lists else {1: _by_group(names)}
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
        truth=_truth(source / "truth.npz", names),
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
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
    )


def _find_lists(source: Path, root: Path) -> SplitLists | None:
    """Lists in the folder, in its ``splits`` (or the official archive's name), or one level up."""
    places = [root, source, root.parent, source.parent]
    folders = [
        p / sub
        for p in places
        for sub in ("", "splits", "ucfTrainTestlist", "testTrainMulti_7030_splits")
    ]
    # Several sets of lists may lie in subfolders; the one that knows these clips is right.
    folders += [sub for place in places for sub in sorted((place / "splits").glob("*/"))]
    present = {path.stem for folder in root.iterdir() if folder.is_dir() for path in _clips(folder)}
    for folder in folders:
        found = read_lists(folder) if folder.is_dir() else None
        if found and any(present & roles.keys() for roles in found.splits.values()):
            return found
    return None


def _readable_clips(root: Path, progress: bool) -> tuple[list[str], list[int]]:
    """Names and frame counts of the clips that decode; the others are named once, with reasons.

    Counting means decoding, so the counts are kept, under the state of the files.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    paths = [path for folder in folders for path in _clips(folder)]
    state = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    kept = cache_folder("probes") / f"{fingerprint(state)}.json"
    if not kept.is_file():
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = pool.map(_count_frames, paths)
            label = f"clips of {root.name}"
            counts = list(progress_bar(jobs, label=label, total=len(paths), show=progress))
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


def _count_frames(path: Path) -> int | str:
    try:
        return probe(path).num_frames
    except VideoError as error:
        return str(error)


def _official(names: list[str], lists: SplitLists) -> dict[int, Split]:
    stems = [Path(name).stem for name in names]
    for line in lists.report(set(stems)):
        print(line)
    splits = {}
    for number, roles in sorted(lists.splits.items()):
        parts = [
            np.array([i for i, stem in enumerate(stems) if roles.get(stem) == role], np.int64)
            for role in ("train", "test")
        ]
        splits[number] = Split(*parts)
    if not all(len(part) for part in splits[min(splits)]):
        raise DatasetError("the split lists match no training or no test clip")
    return splits


def _by_group(names: list[str]) -> Split:
    """Every class's last groups (or clips) are for testing, so that no group is in both parts."""
    parts: dict[str, list[int]] = {"train": [], "test": []}
    for label in sorted({name.split("/")[0] for name in names}):
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            if name.split("/")[0] == label:
                found = re.search(r"_g(\d+)_", name)
                groups.setdefault(found[1] if found else name, []).append(i)
        ordered = [groups[key] for key in sorted(groups)]
        cut = max(1, round(len(ordered) * (1 - TEST_SHARE)))
        for k, members in enumerate(ordered):
            parts["train" if k < cut else "test"].extend(members)
    print(
        f"no split lists: {len(parts['train'])} train and {len(parts['test'])} test clips by group"
    )
    return Split(*(np.array(sorted(parts[role]), np.int64) for role in ("train", "test")))


def _fingerprint(marker: Path, names, counts, splits, stats) -> str:
    roles = {number: [part.tolist() for part in split] for number, split in splits.items()}
    made_from = marker.read_text() if marker.is_file() else None
    return fingerprint([names, counts, roles, [s.st_size for s in stats], made_from])


def _truth(file: Path, names: list[str]) -> Truth | None:
    if not file.is_file():
        return None
    with np.load(file) as data:
        order = {name: i for i, name in enumerate(data["names"].tolist())}
        rows = [order[name] for name in names]
        size = tuple(int(n) for n in data["size"])
        return Truth(data["boxes"][rows], data["intervals"][rows], data["masks"][rows], size)
