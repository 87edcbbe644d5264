"""Writes a store: one process writes every clip once, and can continue after any kill.

A file of the source has a row in ``hr`` and ``lr`` from the beginning. A clip's pixels are written
to its row first; then its line with their checksum is written to the journal. A later run accepts
a line only if the checksum still matches the row. At the end the last rows fill the rows of clips
that were left out, so that the same clips give the same bytes after any interruptions.
"""

import errno
import io
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np

from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings
from statkit.runtime.cache import write_atomically

HEADER = 128  # bytes of a .npy file before its numbers


class Draft:
    """An unfinished store, in its own folder.

    Args:
        folder: for its files; created if missing, emptied if it holds a draft of another ``plan``.
        plan: identifies everything that the store is made from.
        settings: how its frames are made.
        rows: number of files of the source.
    """

    def __init__(self, folder: Path, plan: str, settings: FrameSettings, rows: int):
        self.folder, self.rows = folder, rows
        length = settings.frames_per_clip
        self.shapes = {
            "hr": (length, *settings.hr_size, 3),
            "lr": (length, *settings.lr_size, 3),
        }
        self.done: dict[int, dict] = {}
        self._journal, self._files = folder / "journal.jsonl", {}
        note = folder / "plan"
        if folder.is_dir() and not (note.is_file() and note.read_bytes() == plan.encode()):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(note, lambda path: path.write_bytes(plan.encode()))

    @property
    def clip_bytes(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())

    def __enter__(self) -> Self:
        for kind in self.shapes:
            self._files[kind] = os.open(self._part(kind), os.O_RDWR | os.O_CREAT, 0o644)
        kept = self._journal.read_bytes() if self._journal.is_file() else b""
        for line in kept.splitlines():
            entry = _parsed(line)
            if (
                entry
                and 0 <= entry["row"] < self.rows
                and (not entry["result"].get("sha256") or self._is_so(entry))
            ):
                self.done[entry["row"]] = entry
        lines = b"".join(_line(entry) for _, entry in sorted(self.done.items()))
        if lines != kept:
            write_atomically(self._journal, lambda path: path.write_bytes(lines))
        self._files["journal"] = os.open(
            self._journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )
        return self

    def __exit__(self, *_) -> None:
        for handle in self._files.values():
            os.close(handle)
        self._files = {}

    def add(self, row: int, state: list, result: dict) -> None:
        """Store a clip: its ``hr`` and ``lr`` if present, and the rest in the journal.

        Args:
            state: the file's size and time, so that a changed file is read again.
        """
        for kind in self.shapes:
            if kind in result:
                self._write(kind, row, result[kind].tobytes())
        told = {key: value for key, value in result.items() if key not in self.shapes}
        entry = {"row": row, "state": state, "result": told}
        _write_whole(self._files["journal"], _line(entry))
        self.done[row] = entry

    def finish(self) -> dict[int, int]:
        """Fill the gaps and write the headers; returns kept row -> final row."""
        kept = sorted(row for row, e in self.done.items() if e["result"].get("sha256"))
        final = final_rows(kept)
        moved = [(row, gap) for row, gap in final.items() if row != gap]
        for kind, shape in self.shapes.items():
            for row, gap in moved:
                self._write(kind, gap, self._read(kind, row))
            header = io.BytesIO()
            described = {"descr": "|u1", "fortran_order": False, "shape": (len(kept), *shape)}
            np.lib.format.write_array_header_1_0(header, described)
            if len(header.getvalue()) != HEADER:
                raise DatasetError(f"the header of an array {shape} does not fit")
            os.pwrite(self._files[kind], header.getvalue(), 0)
            os.ftruncate(self._files[kind], HEADER + len(kept) * math.prod(shape))
            os.fsync(self._files[kind])
        return final

    def move(self, folder: Path) -> None:
        """Move the finished arrays to ``folder`` under their final names."""
        for kind in self.shapes:
            os.replace(self._part(kind), folder / f"{kind}.npy")

    def _part(self, kind: str) -> Path:
        return self.folder / f"{kind}.part"

    def _place(self, kind: str, row: int) -> tuple[int, int]:
        size = math.prod(self.shapes[kind])
        return HEADER + row * size, size

    def _write(self, kind: str, row: int, data: bytes) -> None:
        _write_whole(self._files[kind], data, self._place(kind, row)[0])

    def _read(self, kind: str, row: int) -> bytes:
        offset, size = self._place(kind, row)
        return os.pread(self._files[kind], size, offset)

    def _is_so(self, entry: dict) -> bool:
        crc = zlib.crc32(self._read("lr", entry["row"]), zlib.crc32(self._read("hr", entry["row"])))
        return entry["result"].get("pixels") == f"{crc:08x}"


def final_rows(kept: list[int]) -> dict[int, int]:
    """Kept row -> final row: the last rows fill the gaps, the other rows stay."""
    gaps = sorted(set(range(len(kept))) - set(kept))
    moved = [row for row in kept if row >= len(kept)]
    return {row: row for row in kept} | dict(zip(moved, gaps, strict=True))


@contextmanager
def room_on_disk(folder: Path) -> Iterator[None]:
    """Turn a full disk into an error that says what to do.

    Raises:
        DatasetError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DatasetError(
            f"{folder}: the disk is full; what is done is kept, free some room and run the same "
            "command again"
        ) from error


def _write_whole(handle: int, data: bytes, offset: int | None = None) -> None:
    """Write all bytes: on a nearly full disk one call may write only a part."""
    view = memoryview(data)
    while view:
        count = os.write(handle, view) if offset is None else os.pwrite(handle, view, offset)
        view = view[count:]
        offset = None if offset is None else offset + count


def _line(entry: dict) -> bytes:
    return json.dumps(entry, sort_keys=True).encode() + b"\n"


def _parsed(line: bytes) -> dict | None:
    """A line of the journal; None if it is incomplete (kill, full disk) or overwritten."""
    try:
        entry = json.loads(line)
        whole = isinstance(entry["row"], int) and isinstance(entry["result"], dict)
        return entry if whole and "state" in entry else None
    except (ValueError, TypeError, KeyError):
        return None
