"""Where the clips of a set are: in archives, in class folders, or in a pile."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from statkit.data.clips import DatasetError
from statkit.runtime.cache import write_atomically
from statkit.runtime.progress import progress_bar

from .archives import is_archive, unpack
from .folder import VIDEO_SUFFIXES
from .lists import read_lists

UNPACKED = ".unpacked.json"  # which archives were unpacked into a folder
NESTED = 3  # HMDB51 is an archive of archives


@dataclass(frozen=True)
class Found:
    """A file that may be a clip; ``reason`` says why it must not be opened."""

    name: str
    reason: str | None = None


def unpack_all(archives: list[Path], folder: Path, *, progress: bool) -> list[Found]:
    """Unpack archives, and those inside of them, into one folder; goes on where it was stopped.

    Returns:
        Members that were not unpacked, named ``archive:member``.

    Raises:
        DatasetError: an archive that cannot be read at all, or does not fit.
    """
    done = _Done(folder / UNPACKED)
    for archive in archives:
        key = archive.name
        if not done.has(key, archive):
            done.add(key, archive, unpack(archive, folder, progress=progress))
    for _ in range(NESTED):
        inside = _archives_inside(folder)
        for archive in progress_bar(
            inside, label="archives inside", total=len(inside), show=progress and bool(inside)
        ):
            key = archive.relative_to(folder).as_posix()
            if done.has(key, archive) is None:
                try:
                    refused = unpack(archive, archive.parent, progress=False)
                except DatasetError as error:
                    refused = [(archive.name, str(error).removeprefix(f"{archive}: "))]
                done.add(key, archive, refused)
            archive.unlink()
    return [
        Found(f"{key}:{name}", reason)
        for key, (_, refused) in sorted(done.state.items())
        for name, reason in refused
    ]


class _Done:
    """Which archives were unpacked, with their sizes and what was refused, kept in a file."""

    def __init__(self, file: Path):
        self._file = file
        self.state = json.loads(file.read_text()) if file.is_file() else {}

    def has(self, key: str, archive: Path) -> list | None:
        kept = self.state.get(key)
        return kept if kept and kept[0] == archive.stat().st_size else None

    def add(self, key: str, archive: Path, refused: list[tuple[str, str]]) -> None:
        self.state[key] = [archive.stat().st_size, refused]
        text = json.dumps(self.state, indent=1, sort_keys=True)
        write_atomically(self._file, lambda path: path.write_text(text))


def _archives_inside(folder: Path) -> list[Path]:
    return sorted(
        Path(base) / name
        for base, _, names in os.walk(folder)
        for name in names
        if is_archive(Path(base) / name)
    )


def class_root(source: Path) -> Path | None:
    """The folder whose children are class folders: ``source``, or one up to two folders inside.

    Raises:
        DatasetError: several folders could be meant.
    """
    level = [source]
    for _ in range(3):
        roots = [folder for folder in level if _has_classes(folder)]
        if len(roots) > 1:
            names = ", ".join(str(root.relative_to(source)) for root in roots)
            raise DatasetError(f"{source} holds several sets: {names}; name one of them as source")
        if roots:
            return roots[0]
        level = [child for folder in level for child in _folders(folder)]
    return None


def _has_classes(folder: Path) -> bool:
    return any(
        Path(entry.name).suffix.lower() in VIDEO_SUFFIXES
        for child in _folders(folder)
        for entry in _entries(child)
        if not entry.name.startswith(".")
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(
        Path(entry.path)
        for entry in _entries(folder)
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
    )


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def find_clips(root: Path, *, classes: bool, leave: Path) -> list[Found]:
    """Every file that may be a clip, sorted by name, each with a reason if it is not to be opened.

    Args:
        root: the folder of class folders, or the pile.
        classes: whether a clip has to lie in a class folder.
        leave: a folder not to look into: where the prepared set goes.
    """
    found = list(_walk(root, root, classes, leave))
    return sorted(found, key=lambda clip: os.fsencode(clip.name))


def _walk(root: Path, folder: Path, classes: bool, leave: Path) -> Iterator[Found]:
    top = folder == root
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(_name(root, folder), f"a folder that cannot be read ({error.strerror})")
        return
    for entry in entries:
        path = Path(entry.path)
        name = _name(root, path)
        if path.absolute() == leave.absolute() or (top and entry.name == UNPACKED):
            continue
        if entry.name.startswith("."):
            yield Found(name, "hidden (its name begins with a dot)")
        elif entry.is_symlink():
            reason = _link(path, root)
            if reason or not top or not classes:
                yield Found(name, reason)
        elif entry.is_dir():
            if not (top and classes and read_lists(path)):
                yield from _walk(root, path, classes, leave)
        elif not entry.is_file():
            yield Found(name, "not a regular file")
        elif not (top and classes):
            yield Found(name)
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            yield Found(name, "not in a class folder")


def _link(path: Path, root: Path) -> str | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    if not target.is_relative_to(root.resolve()):
        return "a link that leads out of the folder"
    return None if target.is_file() else "a link to a folder"


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
