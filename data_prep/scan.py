"""The files of a folder or an archive that may be clips, and those that are ignored."""

import os
from dataclasses import dataclass
from pathlib import Path

from statkit.video import VIDEO_SUFFIXES

from .archives import is_archive
from .sources import UNPACKED

LITTER = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "lost+found"),
    *("$recycle.bin", "system volume information", ".ds_store"),
}
LEADS_OUT = "a link that leads out of the folder"


@dataclass(frozen=True)
class Found:
    """A file that may be a clip.

    Attributes:
        name: relative to the root of the set, with ``/``.
        reason: why the file must not be opened; None if it may be opened.
        label: its class.
        group: clips of one group come from one source video, or are in one folder.
        part: "train", "val" or "test" if folders of these names define the split.
    """

    name: str
    reason: str | None = None
    label: str = ""
    group: str = ""
    part: str = ""

    @property
    def is_video(self) -> bool:
        """Whether the name is a clip's name; an unreadable file of this kind is a lost clip."""
        return _is_video(self.name) and not Path(self.name).name.startswith(".")

    @property
    def is_missed(self) -> bool:
        """Whether a strict preparation stops if this file cannot be read."""
        return self.is_video or (self.reason or "").startswith(("a folder that", "a link"))


def scan(
    source: Path, leave: Path | None, follow: bool = False
) -> tuple[list[Found], list[str], list[str]]:
    """Files that may be clips, sorted by name; names of ignored files; guesses.

    A link that leads out of the folder is not followed, except in a folder whose clips are all
    such links: such a folder is a selection of clips.
    """
    files: list[Found] = []
    litter: list[str] = []
    whole = source.resolve()

    def walk(folder: Path, inside: tuple[Path, ...]) -> None:
        try:
            with os.scandir(folder) as entries:
                entries = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            files.append(Found(name(folder), f"a folder that cannot be read ({error.strerror})"))
            return
        for entry in entries:
            path = Path(entry.path)
            if (leave and path.absolute() == leave.absolute()) or entry.name == UNPACKED:
                continue
            if _is_litter(entry.name):
                litter.append(name(path))
            elif entry.name.startswith("."):
                files.append(Found(name(path), "hidden (its name begins with a dot)"))
            elif reason := _link(path, whole, follow) if entry.is_symlink() else None:
                files.append(Found(name(path), reason))
            elif entry.is_dir():
                if os.path.isfile(path / "prepared" / "card.json"):  # no error if unreadable
                    litter.append(name(path))  # a prepared set
                elif (real := path.resolve()) not in inside:
                    walk(path, (*inside, real))
            else:
                files.append(Found(name(path), None if entry.is_file() else "not a regular file"))

    def name(path: Path) -> str:
        return path.relative_to(source).as_posix()

    walk(source, (whole,))
    links = sum(clip.reason == LEADS_OUT for clip in files)
    if links and not follow and not any(c.is_video for c in files if not c.reason):
        files, litter, _ = scan(source, leave, follow=True)
        return files, litter, ["all clips are links, so links that lead out are followed"]
    return sorted(files, key=lambda clip: os.fsencode(clip.name)), litter, []


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in VIDEO_SUFFIXES


def _is_litter(name: str) -> bool:
    hidden = name.startswith(".") and not _is_video(name)
    return hidden or name.startswith("._") or name.lower() in LITTER


def _link(path: Path, whole: Path, follow: bool) -> str | None:
    """The reason why a link is not followed; None if it is followed."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    if follow:
        return None
    if not target.is_relative_to(whole):
        return LEADS_OUT
    return None if target.is_file() else "a link to a folder"


def archives_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_archive(path) and path.is_file())
    except OSError:
        return []
