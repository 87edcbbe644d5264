"""Unpacks the archives of a source, and the archives inside them, into one folder."""

import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from statkit.data.clips import DatasetError
from statkit.runtime.cache import read_cached, save_text
from statkit.runtime.contents import read_object
from statkit.runtime.progress import progress_bar

from .archives import is_archive, unpack

UNPACKED = ".unpacked.json"  # which archives were unpacked into a folder
NESTED = 3  # HMDB51 is an archive of archives


class Refused(NamedTuple):
    """A member that was not unpacked, named ``archive:member``, and the reason."""

    name: str
    reason: str


def unpack_all(archives: list[Path], folder: Path, *, progress: bool) -> list[Refused]:
    """Unpack archives, and archives inside them, into one folder; continues a stopped run.

    If an archive differs from the one unpacked earlier, or is gone, the folder is emptied first.

    Raises:
        DatasetError: an archive cannot be read at all, or does not fit on the disk.
    """
    done = _Done(folder / UNPACKED)
    gone = {key for key in done.state if key[0] != "/"} - {archive.name for archive in archives}
    if gone or any(done.is_other(archive) for archive in archives):
        shutil.rmtree(folder)
        done = _Done(folder / UNPACKED)
    for archive in archives:
        if not done.has(archive.name):
            done.add(archive.name, archive, unpack(archive, folder, progress=progress))
    for _ in range(NESTED):
        inside = _archives_inside(folder)
        about = {"label": "archives inside", "total": len(inside), "show": progress}
        for archive in progress_bar(inside, **about):
            key = f"/{archive.relative_to(folder).as_posix()}"  # it may have its archive's name
            if not done.has(key):
                try:
                    refused = unpack(archive, archive.parent, progress=False)
                except DatasetError as error:
                    refused = [(archive.name, str(error).removeprefix(f"{archive}: "))]
                done.add(key, archive, refused)
            archive.unlink()
    return [
        Refused(f"{key.removeprefix('/')}:{name}", reason)
        for key, (*_, refused) in sorted(done.state.items())
        for name, reason in refused
    ]


class _Done:
    """A file that records the unpacked archives, their sizes and times, and refused members."""

    def __init__(self, file: Path):
        self._file = file
        self.state = read_cached(file, read_object) or {}

    def has(self, key: str) -> bool:
        return key in self.state

    def is_other(self, archive: Path) -> bool:
        """Whether a different archive of this name was unpacked."""
        *kept, _ = self.state.get(archive.name, [None])
        found = archive.stat()
        return kept != [found.st_size, found.st_mtime_ns][: len(kept)]

    def add(self, key: str, archive: Path, refused: list[tuple[str, str]]) -> None:
        found = archive.stat()
        self.state[key] = [found.st_size, found.st_mtime_ns, refused]
        save_text(self._file, json.dumps(self.state, indent=1, sort_keys=True))


def _archives_inside(folder: Path) -> list[Path]:
    return sorted(
        Path(base) / name
        for base, _, names in os.walk(folder)
        for name in names
        if is_archive(Path(base) / name)
    )
