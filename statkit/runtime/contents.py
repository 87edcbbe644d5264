"""Checksums of files without a second read: a checksum stays valid while the file keeps its size,
its times and its place on the disk."""

import hashlib
import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .cache import cache_folder, fingerprint, read_cached, save_text
from .progress import progress_bar

FRESH = 2_000_000_000  # ns; a file changed more recently may change again in the same tick
READERS = 4
State = list[int]


def file_state(path: Path) -> State:
    """Size, time of content change, time of any change (programs cannot set it back), and place
    on the disk, of a link's target too. Empty if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


class Contents:
    """SHA-256 of the files below a folder, and ``facts`` about each content: SHA-256 -> any JSON
    value, which :meth:`save` writes to disk."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self._file = cache_folder("contents") / f"{fingerprint(str(self.root))}.json"
        self._files: dict[str, list]
        self._files, self.facts = read_cached(self._file, _read_parts) or ({}, {})

    def remember(self, name: str, state: State, digest: str) -> None:
        """Store a checksum that was computed after ``state``."""
        if state and time.time_ns() - max(state[1:3]) > FRESH:
            self._files[name] = [state, digest]

    def digests(self, names: Iterable[str], *, progress: bool = True) -> dict[str, str]:
        """SHA-256 per file; ``""`` for a file that cannot be read. Only new or changed files are
        read."""
        states = {name: file_state(self.root / name) for name in names}
        kept = {name: self._files.get(name, [None, ""]) for name in states}
        known = {name: kept[name][1] for name in states if kept[name][0] == states[name]}
        todo = [name for name in states if name not in known]
        with ThreadPoolExecutor(READERS) as pool:
            found = zip(todo, pool.map(lambda name: _sha256(self.root / name), todo), strict=True)
            label = f"reading {self.root.name}"
            for name, digest in progress_bar(found, label=label, total=len(todo), show=progress):
                known[name] = digest
                if digest:
                    self.remember(name, states[name], digest)
        if todo:
            self.save()
        return known

    def save(self) -> None:
        """Write checksums and facts to disk for the next run."""
        save_text(self._file, json.dumps({"files": self._files, "facts": self.facts}))


def read_object(file: Path) -> dict:
    """A JSON object; ValueError if the file holds anything else."""
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def _read_parts(file: Path) -> tuple[dict, dict]:
    kept = read_object(file)
    return dict(kept["files"]), dict(kept["facts"])


def digest_of(file: Path) -> str:
    """SHA-256 of one file, see :meth:`Contents.digests`."""
    return Contents(file.parent).digests([file.name], progress=False)[file.name]


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
