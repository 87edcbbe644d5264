"""The cache of computed results; the name of a result changes with every input of the result."""

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from filelock import FileLock, Timeout

_ROOT = Path(__file__).resolve().parents[2]
IN_CHECKOUT = (_ROOT / "pyproject.toml").is_file()
# Default folder of notebooks and figures: the checkout, or the current folder if statkit is
# installed without a checkout.
REPOSITORY = _ROOT if IN_CHECKOUT else Path()

CACHE, SHARED = "STATKIT_CACHE", "STATKIT_SHARED_CACHE"
BROKEN = ".broken"
T = TypeVar("T")


def cache_folder(*parts: str) -> Path:
    """A folder of the cache, created if missing. It also contains links to all files of the same
    folder in a shared cache, its locks apart.

    The cache is ``$STATKIT_CACHE``, or ``cache/`` in the checkout, or ``~/.cache/statkit`` if the
    package does not run from a checkout. A relative ``$STATKIT_CACHE`` is relative to the folder
    where it was typed. A read-only cache (a course volume, another user's) becomes
    ``$STATKIT_SHARED_CACHE``: its results are used, and new results go to ``~/.cache/statkit``.
    """
    folder = _usable_root(os.environ.get(CACHE, "").strip()).joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    if (shared := os.environ.get(SHARED)) and parts[:1] != ("locks",):
        with suppress(OSError):
            for found in Path(shared).joinpath(*parts).iterdir():
                here, aside = folder / found.name, folder / (found.name + BROKEN)
                if not (found.name[0] == "." or os.path.lexists(here) or os.path.lexists(aside)):
                    here.symlink_to(found)
    return folder


@lru_cache(maxsize=8)
def _usable_root(named: str) -> Path:
    own = Path.home() / ".cache" / "statkit"
    root = Path(named).expanduser() if named else REPOSITORY / "cache" if IN_CHECKOUT else own
    if not root.is_absolute():
        typed = os.environ.get("PWD") if "ipykernel" in sys.modules else None
        root = Path(typed or os.getcwd()) / root
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        if root == own or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        print(f"{root} cannot be written; new results are kept in {own}", file=sys.stderr)
        os.environ[SHARED], root = str(root), own
        root.mkdir(parents=True, exist_ok=True)
    os.environ[CACHE] = str(root)  # for processes that start in another folder
    return root


def set_aside(path: Path, why: object) -> None:
    """Rename an unreadable cache file or folder and print a message; it is then made again."""
    aside = path.with_name(path.name + BROKEN)
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    with suppress(FileNotFoundError):  # another process was first
        os.replace(path, aside)
    reason = " ".join(str(why).split())[:200]
    print(f"{path} is broken ({reason}); it is now {aside.name} and is made anew", file=sys.stderr)


def read_cached(path: Path, read: Callable[[Path], T]) -> T | None:
    """The result of ``read`` for a file or folder of the cache; None if it is missing or broken. A
    broken one is renamed, see :func:`set_aside`."""
    if not path.exists():
        return None
    try:
        return read(path)
    except Exception as error:  # each format has its own errors for an incomplete file
        of_its_own = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        if of_its_own or isinstance(error, MemoryError):  # not caused by the file's content
            raise
        set_aside(path, error or type(error).__name__)
        return None


def new_array(path: Path, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """A new memory-mapped ``.npy`` file; OSError if the disk is full. Its space is reserved: a
    write without free disk space would end the process."""
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "rb+") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array


def fingerprint(value: object) -> str:
    """16 hexadecimal digits that change with any part of a value made of plain types."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def locked(file: Path, waiting: str) -> Iterator[None]:
    """Hold a lock that the system releases when its process ends for any reason. If another process
    holds the lock, print ``waiting`` and wait."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        print(waiting, flush=True)
        held = lock.acquire()
    with held:
        yield


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Call ``write`` on a temporary file beside ``path``, then move it there in one step. An
    OSError names ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = f".{path.stem[:80]}-"
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=hidden, suffix=path.suffix)
        os.close(handle)
        try:
            write(Path(name))
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        if Path(str(error.filename)).name.startswith(hidden):
            error.filename = str(path)
        raise
    return path


def require_place(file: Path) -> None:
    """Raise an OSError unless ``file`` can be written: before work whose results go there."""
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        error.filename = str(file)
        raise


def save_text(path: str | Path, text: str) -> Path:
    """Write a text file (a table, a sidecar) completely or not at all."""
    return write_atomically(Path(path), lambda target: target.write_text(text, encoding="utf-8"))
