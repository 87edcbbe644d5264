"""Where made things are kept, under names that change with all that made them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_ROOT = Path(__file__).resolve().parents[2]
IN_CHECKOUT = (_ROOT / "pyproject.toml").is_file()
# Where notebooks and figures are by default: the checkout, or the current folder where statkit is
# installed without one.
REPOSITORY = _ROOT if IN_CHECKOUT else Path()


def cache_folder(*parts: str) -> Path:
    """A folder (made if need be) under ``$STATKIT_CACHE``, or ``cache/`` in the checkout, or
    ``~/.cache/statkit`` where statkit is installed without a checkout."""
    default = REPOSITORY / "cache" if IN_CHECKOUT else Path.home() / ".cache" / "statkit"
    folder = Path(os.environ.get("STATKIT_CACHE", default)).joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fingerprint(value: object) -> str:
    """16 hexadecimal digits that change with any part of a value made of plain types."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def locked(file: Path, waiting: str) -> Iterator[None]:
    """Hold a lock that ends with the process that holds it, however that ends. Where another
    process holds it, print what is ``waiting`` and wait."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(waiting, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Call ``write`` on a temporary file beside ``path``, then move it there in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        write(Path(name))
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path
