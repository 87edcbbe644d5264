"""Finds what a folder or an archive holds: clips, classes, the parts of a split, and lists.

All clips are found through :func:`discover`, so that all callers find the same clips.
Supported layouts:

* class folders: ``class/clip``, and clips deeper inside a class folder;
* folders for parts of a split: ``train/class/clip``, ``test/class/clip``, or ``class/train/clip``;
* groups: ``class/group/clip``, as in UCF11; a group is in one part of the split only;
* any of these inside one more folder, or in archives, with or without official lists.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from statkit.data.clips import DatasetError
from statkit.video import VIDEO_SUFFIXES

from .archives import is_archive
from .lists import FORMS, Match, SplitLists, files_of, match, read_lists, stem_of
from .sources import UNPACKED, Refused, unpack_all

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
LITTER = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "lost+found"),
    *("$recycle.bin", "system volume information", ".ds_store"),
}
PARTS = {
    "train": {"train", "training", "trn"},
    "val": {"val", "valid", "validation", "dev"},
    "test": {"test", "testing", "tst", "eval", "evaluation"},
}
TABLES = {".csv", ".tsv", ".txt", ".json"}
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
        folder, archives = source, _archives(source)
    files, litter, guesses = _scan(folder, leave)
    clips = [c for c in files if c.is_video and not c.reason and ("/" in c.name or not labelled)]
    if archives and not clips:
        folder, archives = unpack(archives), []
        files, litter, guesses = _scan(folder, leave)
    if known := [path for path in archives if path.name in lists_archives]:
        unpack(known)
    found = Discovery(folder, tuple(files), tuple(litter), guesses=tuple(guesses))
    found = _classes(folder, found, source) if labelled else found
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


# --- files --------------------------------------------------------------------------------------


def _scan(
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
        files, litter, _ = _scan(source, leave, follow=True)
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


def _archives(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_archive(path) and path.is_file())
    except OSError:
        return []


# --- classes ------------------------------------------------------------------------------------


def _classes(folder: Path, found: Discovery, source: Path) -> Discovery:
    """The same files with their classes, groups and parts, relative to the folder of classes.

    Args:
        folder: where the files are.
        source: what the user named, for messages.
    """
    videos = [tuple(c.name.split("/")) for c in found.clips if c.is_video and not c.reason]
    guesses, prefix, level = list(found.guesses), (), 0
    while True:
        inside = [path[len(prefix) :] for path in videos if path[: len(prefix)] == prefix]
        folders = [path for path in inside if len(path) > 1]
        tops = sorted({path[0] for path in folders})
        if not tops:
            raise _no_classes(source, found)
        split = {part for part in map(part_of, tops) if part}
        if "train" in split and len(split) > 1:
            if not any(len(path) > 2 for path in folders if part_of(path[0]) == "train"):
                raise DatasetError(
                    f"{source.joinpath(*prefix)}: clips lie directly in "
                    f"{' and '.join(t + '/' for t in tops if part_of(t))}; expected class folders "
                    "in them, as in train/ClassName/clip.mp4"
                )
            level = 1
            break
        if any(len(path) == 2 for path in folders):
            break
        seconds = {part_of(path[1]) if len(path) == 3 else "" for path in folders}
        in_parts = "train" in seconds and len(seconds) > 1 and "" not in seconds
        if len(tops) == 1 and not in_parts:
            prefix += (tops[0],)
            if part_of(tops[0]):
                guesses.append(f"clips of {tops[0]}/ alone, so they make both parts")
        elif in_parts or _are_groups(folders):
            break
        else:
            raise DatasetError(
                f"{source} holds several sets: {', '.join('/'.join((*prefix, t)) for t in tops)}; "
                "name one of them (if they are the classes of one set, put the clips of each "
                "directly into its folder)"
            )
    root = folder.joinpath(*prefix)
    deep = [path for path in folders if len(path) > level + 2]
    grouped = 0  # folders down to the groups
    if level == 0 and len(deep) == len(folders) and any(not part_of(p[1]) for p in deep):
        depths = range(2, min(map(len, deep)))  # one folder in each class divides no clips
        grouped = next((d for d in depths if len({p[:d] for p in deep}) > len(tops)), 0)
    if grouped:
        guesses.append(
            "the folders inside of a class are groups, each of them in one part of a split"
        )
    elif level == 0 and deep and any(not part_of(p[1]) for p in deep):
        guesses.append(f"{len(deep)} clips that lie deeper in a class folder belong to that class")
    outside = tuple(c.name for c in found.clips if c.is_video and not _below(c.name, prefix))
    lists = {top for top in _others(found, prefix, tops) if _holds_lists(root / top)}
    spelled: dict[str, str] = {}  # the name of a class, as in train/ if there
    within = [path for path in folders if level and len(path) > 2]
    for path in sorted(within, key=lambda path: part_of(path[0]) != "train"):
        spelled.setdefault(path[1].casefold(), path[1])
    if other := sorted({path[1] for path in within} - set(spelled.values())):
        names = ", ".join(other)
        guesses.append(f"class folders that differ in capital letters alone are one class: {names}")
    clips, start = [], len("/".join((*prefix, "")))
    for clip in found.clips:
        if not _below(clip.name, prefix):
            continue
        path = clip.name[start:].split("/")
        if path[0] in lists and len(path) > 1:
            continue
        clip = replace(clip, name=clip.name[start:])
        folders_of = path[:-1]
        if len(folders_of) <= level or (level and not part_of(path[0])):
            if clip.is_video or len(folders_of) > level or clip.reason:
                beside = "not in a class folder" if len(folders_of) <= level else "beside the parts"
                clips.append(replace(clip, reason=clip.reason or beside))
            continue
        label = spelled.get(path[level].casefold(), path[level])
        part = part_of(path[0]) if level else part_of(path[1]) if len(folders_of) > 1 else ""
        group = "/".join(path[:grouped]) if grouped and not part else group_of(clip.name, label)
        clips.append(replace(clip, label=label, group=group, part=part))
    litter = found.litter + outside
    return replace(found, root=root, clips=tuple(clips), litter=litter, guesses=tuple(guesses))


def _below(name: str, prefix: tuple[str, ...]) -> bool:
    return tuple(name.split("/"))[: len(prefix)] == prefix


def part_of(folder: str) -> str:
    """ "train", "val" or "test" if that is what a folder's name means, otherwise ""."""
    word = re.sub(r"[^a-z]", "", folder.casefold())
    word = re.sub(r"(set|data|split|videos?|clips?)$", "", word)
    return next((part for part, words in PARTS.items() if word in words), "")


def _are_groups(paths: list[tuple[str, ...]]) -> bool:
    """For ``x/y/clip`` with several x: True if x are classes and y groups, False if x are sets and
    y classes. Clip names contain class names, group names are often numbers, and two sets of the
    same clips have folders of the same names."""
    named = [_in_name(path[0], "/".join(path[1:])) for path in paths]
    if sum(named) > len(paths) / 2:
        return True
    if sum(_in_name(path[1], path[-1]) for path in paths) > len(paths) / 2:
        return False
    names = [name for _, name in sorted({path[:2] for path in paths})]
    if sum(bool(re.search(r"\d", name)) for name in names) > len(names) / 2:
        return True
    return len(set(names)) > len(names) / 2


def _in_name(folder: str, name: str) -> bool:
    word = re.sub(r"[\W_]", "", folder).casefold()
    return len(word) > 2 and word in re.sub(r"[\W_]", "", name).casefold()


def _others(found: Discovery, prefix: tuple[str, ...], tops: list[str]) -> set[str]:
    """Folders beside the class folders that contain no video."""
    paths = (tuple(clip.name.split("/")) for clip in found.clips)
    depth = len(prefix)
    return {p[depth] for p in paths if p[:depth] == prefix and len(p) > depth + 1} - set(tops)


def _holds_lists(folder: Path) -> bool:
    return any(read_lists(place) for place in (folder, *sorted(folder.glob("*/"))))


def _no_classes(source: Path, found: Discovery) -> DatasetError:
    """The error if no class folder contains clips."""
    pictures = Counter(
        Path(clip.name).parent.as_posix()
        for clip in found.clips
        if Path(clip.name).suffix.lower() in PICTURES
    )
    for folder, count in sorted(pictures.items()):
        if count > 1:
            return DatasetError(
                f"{source}: no clips, but frames stored as pictures ({count} in {folder}/); "
                "join the pictures of each clip into a film first, for example with "
                "ffmpeg -pattern_type glob -i 'FOLDER/*.jpg' CLIP.mp4"
            )
    unread = [clip for clip in found.clips if clip.reason and clip.reason.startswith("a ")]
    also = f" ({unread[0].name}: {unread[0].reason})" if unread else ""
    kinds = ", ".join(sorted(VIDEO_SUFFIXES))
    return DatasetError(
        f"{source}: no class folder with clips found{also}; expected ClassName/clip.avi in it, or "
        f"an archive of that; clips end in {kinds}"
    )


# --- splits -------------------------------------------------------------------------------------


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


def group_of(name: str, label: str) -> str:
    """Clips from one source video are a **group**: the number in UCF101's names, the text before
    the class in HMDB51's names; otherwise every clip is its own group."""
    stem = Path(name).stem
    if numbered := re.search(r"_g(\d+)_", stem):
        return numbered[1]
    before, cut, _ = stem.partition(f"_{label}_")
    return before if cut and before else name
