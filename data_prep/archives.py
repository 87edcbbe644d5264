"""Unpacks archives safely: writes nothing outside the folder, creates no link, and writes no more
bytes than the archive announces or than compressed video can give. Reports every member that it
does not unpack."""

import errno
import lzma
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import rarfile

from statkit.data.clips import DatasetError
from statkit.runtime.progress import progress_bar

SUFFIXES = (".rar", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
BOMB_RATIO, BOMB_BYTES = 200, 64 << 20  # a file above both limits is not video
BLOCK = 1 << 20
LONGEST = 255, 1023  # bytes: of a name, and of a name with its folders
BEGUN = ".unpacking-"  # prefix of the names of incomplete files
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, rarfile.Error, zlib.error, lzma.LZMAError),
    *(struct.error, EOFError, OverflowError, ValueError),
)
OUTSIDE, LINK = "leads out of the folder", "a link"
UNPACKERS = {
    "unrar": ("unrar", "x", "-idq", "-y", "-o+", "{archive}", "{folder}/"),
    "unar": ("unar", "-q", "-f", "-D", "-o", "{folder}", "{archive}"),
    "bsdtar": ("bsdtar", "-x", "-f", "{archive}", "-C", "{folder}"),
}


@dataclass(frozen=True)
class Member:
    """One file in an archive; ``refused`` says why it must not be unpacked."""

    name: str
    size: int
    crc: int | None
    refused: str | None
    open: Callable[[], BinaryIO] | None = None


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")


def unpack(archive: Path, folder: Path, *, progress: bool = True) -> list[tuple[str, str]]:
    """Unpack an archive; a second call after an interruption continues the work.

    A file gets its final name only when it is complete.

    Returns:
        Names of members that were not unpacked, each with one reason, in order of the archive.

    Raises:
        DatasetError: the archive is not readable, or its files do not fit on the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    try:
        with _opened(archive) as (members, at_once):
            members = list(_guarded(members, archive.stat().st_size))
            if not members:
                raise DatasetError(f"{archive}: there is no file in it")
            wanted = [member for member in members if member.refused is None]
            todo = [m for m in wanted if not _is_there(folder / m.name, m)]
            # A file has its final name when it is complete, so another archive made this one.
            taken = {m.name for m in todo if (folder / m.name).is_file()}
            todo = [m for m in todo if m.name not in taken]
            _check_room(archive, folder, todo)
            if at_once and not any(m.refused in (OUTSIDE, LINK) for m in members):
                _unpack_at_once(archive, folder, todo)
                todo = [m for m in todo if not _is_there(folder / m.name, m)]
            failed = dict.fromkeys(taken, "another archive has a file of that name")
            for member in progress_bar(todo, label=archive.name, total=len(todo), show=progress):
                failed[member.name] = _unpack_one(member, folder)
    except DatasetError:
        raise
    except (OSError, NotImplementedError, *BROKEN) as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, PermissionError):
            raise
        raise DatasetError(f"{archive}: not a readable archive ({error})") from error
    reasons = [(m.name, m.refused or failed.get(m.name)) for m in members]
    return [(name, reason) for name, reason in reasons if reason]


def _clear(folder: Path) -> None:
    """Remove the incomplete files of an earlier call that was killed."""
    for begun in folder.glob(f"{BEGUN}*"):
        if begun.is_dir() and not begun.is_symlink():
            shutil.rmtree(begun)
        else:
            begun.unlink()


def _guarded(members: Iterator[Member], archive_bytes: int) -> Iterator[Member]:
    """The members; a member that must not be unpacked (a duplicate too) gets a reason."""
    seen: set[str] = set()
    total = 0
    for member in members:
        path = PurePosixPath(member.name.replace("\\", "/"))
        reason = member.refused
        if not path.name or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            reason = OUTSIDE
        elif any(part.startswith(".") for part in path.parts):
            reason = "hidden (a name that begins with a dot)"
        elif any(ord(letter) < 32 for letter in member.name):
            reason = "a control character in its name"
        elif len(os.fsencode(path)) > LONGEST[1] or any(
            len(os.fsencode(part)) > LONGEST[0] for part in path.parts
        ):
            reason = "a name too long for a disk"
        elif str(path) in seen:
            reason = "a second file of that name"
        seen.add(str(path))
        reason = reason or _too_good(total + member.size, archive_bytes)
        total += 0 if reason else member.size
        yield Member(str(path), member.size, member.crc, reason, member.open)


def _check_room(archive: Path, folder: Path, members: list[Member]) -> None:
    needed, free = sum(m.size for m in members), shutil.disk_usage(folder).free
    if needed > free:
        raise DatasetError(
            f"{archive}: unpacked it needs {needed / 1e6:,.1f} MB, and {folder} has room for "
            f"{free / 1e6:,.1f} MB; free some, or choose another --out"
        )


def _unpack_one(member: Member, folder: Path) -> str | None:
    """Write one complete file, or no file; returns the reason if it writes no file."""
    target = folder / member.name
    handle, draft = tempfile.mkstemp(dir=folder, prefix=BEGUN)
    try:
        with os.fdopen(handle, "wb") as out, member.open() as source:
            reason = _copy(source, out, member)
        if reason is None:
            os.chmod(draft, 0o644)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft, target)
        return reason
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return "a file and a folder of one name"
    except (OSError, *BROKEN) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        return f"damaged in the archive ({str(error) or type(error).__name__})"
    except NotImplementedError as error:
        return f"packed in a way that is not known ({error})"
    finally:
        Path(draft).unlink(missing_ok=True)


def _copy(source: BinaryIO, out: BinaryIO, member: Member) -> str | None:
    written = crc = 0
    while block := source.read(BLOCK):
        written += len(block)
        if written > member.size:
            return "more in it than the archive says"
        crc = zlib.crc32(block, crc)
        out.write(block)
    if written < member.size:
        return f"damaged in the archive ({written} of {member.size} bytes)"
    if member.crc is not None and crc != member.crc:
        return "damaged in the archive (its checksum differs)"
    return None


def _is_there(path: Path, member: Member) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != member.size:
        return False
    return member.crc is None or _crc(path) == member.crc


def _crc(path: Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[Iterator[Member], bool]]:
    """The members of an archive (type detected by content); whether to unpack all at once."""
    if rarfile.is_rarfile(archive):
        with rarfile.RarFile(archive) as rar:
            infos = [info for info in rar.infolist() if not info.is_dir()]
            members = [_rar_member(rar, info) for info in infos]
            stored = all(info.compress_type == rarfile.RAR_M0 for info in infos)
            if not stored and not any(map(shutil.which, UNPACKERS)):
                raise DatasetError(
                    f"{archive}: to unpack RAR a program is needed: install unar (or bsdtar)"
                )
            yield iter(members), not stored
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            infos = [info for info in packed.infolist() if info.filename[-1:] not in ("/", "\\")]
            yield (_zip_member(packed, info) for info in infos), False
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as packed:
            yield (_tar_member(packed, m) for m in _tar_infos(packed) if not m.isdir()), False
    else:
        raise DatasetError(f"{archive}: not a RAR, ZIP or TAR archive, or cut short")


def _tar_infos(packed: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Members up to the point where the archive is cut; a checksum of the whole is at its end."""
    try:
        yield from packed
        while packed.fileobj.read(BLOCK):
            pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        lost = tarfile.TarInfo("(some of the archive)")
        lost.type, lost.linkname = tarfile.SYMTYPE, f"cut off or damaged ({error})"
        lost.pax_headers = {"lost": lost.linkname}
        yield lost


def _rar_member(rar: rarfile.RarFile, info: rarfile.RarInfo) -> Member:
    refused = _too_good(info.file_size, info.compress_size)
    if info.is_symlink() or not info.is_file() or info.file_redir:
        refused = LINK
    elif info.needs_password():
        refused = "encrypted"
    return Member(info.filename, info.file_size, info.CRC, refused, lambda: rar.open(info))


def _zip_member(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    refused = _too_good(info.file_size, info.compress_size)
    if stat.S_ISLNK(info.external_attr >> 16):
        refused = LINK
    elif info.flag_bits & 1:
        refused = "encrypted"
    name = info.orig_filename.split("\0")[0]
    return Member(name, info.file_size, info.CRC, refused, lambda: packed.open(info))


def _tar_member(packed: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    refused = info.pax_headers.get("lost")
    if not refused and not info.isfile():
        refused = LINK if info.issym() or info.islnk() else "not a regular file"
    return Member(info.name, info.size, None, refused, lambda: packed.extractfile(info))


def _too_good(size: int, packed: int) -> str | None:
    if size > BOMB_BYTES and size > BOMB_RATIO * packed:
        return f"{size} bytes packed into {packed}: no video packs like that"
    return None


def _unpack_at_once(archive: Path, folder: Path, members: list[Member]) -> None:
    """Call a program once for all files: one call per file costs a third of a second per file.

    Some programs report success on damaged entries, and no program reads every kind of RAR. So
    size and checksum decide per file, and the next program tries the files that one cannot read.
    """
    for program, command in UNPACKERS.items():
        if not members or not shutil.which(program):
            continue
        with tempfile.TemporaryDirectory(dir=folder, prefix=BEGUN) as scratch:
            words = [word.format(archive=archive.absolute(), folder=scratch) for word in command]
            patience = 60 + sum(m.size for m in members) / 2e6  # seconds
            try:
                subprocess.run(words, timeout=patience, capture_output=True, check=False)
            except subprocess.TimeoutExpired:
                continue
            for member in members:
                made = Path(scratch) / member.name
                inside = made.resolve().is_relative_to(Path(scratch).resolve())
                if inside and _is_there(made, member):
                    target = folder / member.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.chmod(made, 0o644)
                    os.replace(made, target)
        members = [m for m in members if not _is_there(folder / m.name, m)]
