"""Finds what a folder or an archive holds: clips, classes, the parts of a split, and lists.

All clips are found through :func:`discover`, so that all callers find the same clips.
Supported layouts:

* class folders: ``class/clip``, and clips deeper inside a class folder;
* folders for parts of a split: ``train/class/clip``, ``test/class/clip``, or ``class/train/clip``;
* groups: ``class/group/clip``, as in UCF11; a group is in one part of the split only;
* any of these inside one more folder, or in archives, with or without official lists.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from statkit.data.clips import DatasetError

from .archives import is_archive
from .layout import Layout, class_layout, part_of
from .lists import FORMS, Match, SplitLists, files_of, match, read_lists, stem_of
from .scan import Found, archives_in, scan
from .sources import Refused, unpack_all

TABLES = {".csv", ".tsv", ".txt", ".json"}


@dataclass(frozen=True)
class Discovery:
    """What :func:`discover` found.

    Attributes:
        root: folder that the names are relative to.
        clips: every file that may be a clip, sorted by name.
        litter: ignored files, with names relative to the source: files of the system or of other
            programs, prepared sets, and files beside the set.
        refused: members of archives that were not unpacked.
        lists, match: official lists, and how they match the clips.
        guesses: one sentence per guess.
    """

    root: Path
    clips: tuple[Found, ...]
    litter: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    lists: SplitLists | None = None
    match: Match | None = None
    guesses: tuple[str, ...] = field(default=())

    @property
    def generated(self) -> Path | None:
        """The card of generated clips; None if the clips are not generated."""
        card = self.root.parent / "generated.json"
        return card if self.root.name == "videos" and card.is_file() else None


def discover(
    source: Path,
    unpacked: Callable[[], Path],
    *,
    labelled: bool = True,
    lists: str | Path | None = None,
    style: str = "",
    lists_archives: Iterable[str] = (),
    leave: Path | None = None,
    progress: bool = True,
) -> Discovery:
    """Find the clips of a folder or an archive.

    Args:
        source: never written to.
        unpacked: returns the folder for unpacked archives; called only if there are archives.
        labelled: whether clips have classes; otherwise ``source`` holds clips without classes.
        lists: folder or archive of official split lists; None searches in and beside
            ``source``.
        style: "UCF101" or "HMDB51" if lists of that style are required.
        lists_archives: names of archives of lists; they are unpacked even if the clips are present.
        leave: a folder that is not searched: the folder of the prepared set.

    Raises:
        DatasetError: no file may be a clip, there are several sets, frames are stored as pictures,
            or requested lists match nothing.
    """
    if not source.exists():
        raise DatasetError(f"{source}: no such folder or archive")
    refused: list[Refused] = []
    places: list[Path] = []  # folders of unpacked archives

    def unpack(archives: list[Path], inside: str = "") -> Path:
        places.append(unpacked() / inside)
        refused.extend(unpack_all(archives, places[-1], progress=progress))
        return places[-1]

    if source.is_file():
        if not is_archive(source):
            raise DatasetError(f"{source}: neither a folder nor an archive")
        folder, archives = unpack([source]), []
    else:
        folder, archives = source, archives_in(source)
    files, litter, guesses = scan(folder, leave)
    clips = [c for c in files if c.is_video and not c.reason and ("/" in c.name or not labelled)]
    if archives and not clips:
        folder, archives = unpack(archives), []
        files, litter, guesses = scan(folder, leave)
    if known := [path for path in archives if path.name in lists_archives]:
        unpack(known)
    layout = Layout(folder, tuple(files), (), ())
    if labelled:
        layout = class_layout(folder, files, source)
    ignored, said = (*litter, *layout.outside), (*guesses, *layout.guesses)
    found = Discovery(layout.root, layout.clips, ignored, guesses=said)
    unopened = tuple(path.name for path in archives if path not in known)
    if not found.clips:
        raise DatasetError(f"{source}: no file in it that could be a clip")
    if labelled:
        if lists and is_archive(archive := Path(lists).expanduser()):
            lists = unpack([archive], "lists")
        split_lists, said = _lists(found, source, lists, style, places)
        found = replace(found, guesses=(*found.guesses, *said))
        if split_lists:
            labels = {clip.name: clip.label for clip in found.clips if clip.label}
            found = replace(found, lists=split_lists, match=match(labels, split_lists))
    return replace(found, refused=tuple(refused), litter=found.litter + unopened)


def _lists(
    found: Discovery, source: Path, given, style: str, unpacked: list[Path]
) -> tuple[SplitLists | None, list[str]]:
    """Official lists, and a sentence about lists that are not used; there is no search for them if
    folders define the split."""
    stems = {stem_of(clip.name) for clip in found.clips if clip.label}
    if given:
        places = _given_places(Path(given).expanduser())
    elif any(clip.part for clip in found.clips) and not style:
        return None, []
    else:
        places = _usual_places(found.root, source)
        places += [place for folder in unpacked for place in _given_places(folder)]
    lists, others = _first_lists(places, stems, style)
    if lists is None and (given or style):
        where = given or f"{found.root} and around it"
        kinds = [form for name, form in FORMS.items() if style in ("", name)]
        raise DatasetError(
            f"{where}: no split lists in it that name any of these clips; lists are "
            f"{' or '.join(kinds)}" + ("" if given else "; say where they are with --lists")
        )
    unused = [f"the split lists in {place} name none of the clips" for place in others]
    return lists, [] if lists else unused + _tables(found.root)


def _tables(root: Path) -> list[str]:
    """A sentence about tables beside the classes that look like split lists of another form."""
    names = [
        path.name
        for path in files_of(root)
        if path.suffix.lower() in TABLES and (part_of(path.stem) or "split" in path.stem.lower())
    ]
    return [f"{', '.join(names)}: not read, lists are {' or '.join(FORMS.values())}"] * bool(names)


def _given_places(folder: Path) -> list[Path]:
    """Folders to search if the user names the place of the lists: the folder and two levels."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    return [folder, *sorted(p for deep in ("*/", "*/*/") for p in folder.glob(deep))]


def _usual_places(*folders: Path) -> list[Path]:
    """Usual folders of lists: with the clips, beside the clips, in ``splits`` or in folders named
    as in the official archives; ``splits`` may hold several sets, one folder per set."""
    around = [place for folder in folders for place in (folder, folder.parent)]
    named = ("", "splits", "ucfTrainTestlist", "testTrainMulti_7030_splits")
    return [place / name for place in around for name in named] + [
        inside for place in around for inside in sorted((place / "splits").glob("*/"))
    ]


def _first_lists(
    places: Iterable[Path], stems: set[str], style: str
) -> tuple[SplitLists | None, list[Path]]:
    """The first lists that contain a clip of ``stems`` (and have the style, if one is given), and
    the folders of lists that contain none."""
    others = []
    for folder in dict.fromkeys(places):
        found = read_lists(folder) if folder.is_dir() else None
        if found and stems & found.classes.keys() and style in ("", found.style):
            return found, others
        others += [folder] if found else []
    return None, others
