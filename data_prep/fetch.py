"""Downloads files on request only, resumes interrupted downloads, and checks every file."""

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from statkit.data.clips import DatasetError
from statkit.runtime.cache import write_atomically
from statkit.runtime.progress import progress_bar

from .official import Download

BLOCK = 1 << 20
TRIES, PAUSE, PATIENCE = 5, 1.0, 60.0  # PAUSE, PATIENCE: seconds between tries, without a byte


def fetch(
    downloads: Iterable[Download],
    folder: Path,
    *,
    mirror: str | None = None,
    progress: bool = True,
) -> list[Path]:
    """Download the files that are missing.

    A file is compared with its known SHA-256. If no SHA-256 is known, the first download records
    it in ``downloads.json``, and later calls compare the file with this record.

    Args:
        folder: target; a file gets its final name only when it is complete.
        mirror: address of a folder that replaces the official addresses.

    Raises:
        DatasetError: no answer after several tries, or a file with another SHA-256.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "downloads.json"
    known = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    files = []
    for download in downloads:
        url = f"{mirror.rstrip('/')}/{download.file}" if mirror else download.url
        target = folder / download.file
        if not target.is_file():
            _download(url, target, progress)
            known.pop(download.file, None)  # the file of that record is no longer here
        found = _sha256(target)
        expected = download.sha256 or known.get(download.file, found)
        if found != expected:
            target.rename(target.with_name(f"{target.name}.wrong"))
            raise DatasetError(
                f"{url}: not the file that is known (SHA-256 {found}, expected {expected}); "
                f"kept as {target.name}.wrong"
            )
        known[download.file] = found
        text = json.dumps(known, indent=1, sort_keys=True)
        write_atomically(record, lambda path, text=text: path.write_text(text, "utf-8"))
        files.append(target)
    return files


def _download(url: str, target: Path, progress: bool) -> None:
    part = target.with_name(f"{target.name}.part")
    for attempt in range(TRIES):
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _continue(url, part, progress):
                part.rename(target)
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code in (401, 403, 404, 410):
                break
        except (urllib.error.URLError, OSError) as error:
            reason = str(getattr(error, "reason", error))
        gained = part.is_file() and part.stat().st_size > before
        if attempt < TRIES - 1 and not gained:
            time.sleep(PAUSE * (attempt + 1))
    raise DatasetError(
        f"{url}: cannot be fetched ({reason}); run it again to go on, or download it by hand and "
        "name it with --source"
    )


def _continue(url: str, part: Path, progress: bool) -> bool:
    """Fetch the missing rest of a file; True when the file is complete."""
    mark = part.with_name(f"{part.name}.etag")
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "statkit"})
    version = mark.read_text("utf-8") if mark.is_file() else ""
    if have:
        request.add_header("Range", f"bytes={have}-")
        if version:
            request.add_header("If-Range", version)
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # no bytes after ours: complete, or another file
            raise
        total = error.headers.get("Content-Range", "*/-1").rsplit("/", 1)[1]
        if int(total) != have:
            part.unlink()
        return int(total) == have
    with answer:
        goes_on = answer.status == 206 and have
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        mark.write_text(version, "utf-8")
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            open(part, "ab" if goes_on else "wb") as out,
            progress_bar(label=part.stem, total=total, initial=have, show=progress) as bar,
        ):
            while block := answer.read(BLOCK):
                out.write(block)
                bar.update(len(block))
    whole = total is None or part.stat().st_size == total
    if whole:
        mark.unlink(missing_ok=True)
    return whole


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
