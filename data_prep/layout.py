"""How the clips of a set lie in folders: its classes, groups, and the parts of a split."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from statkit.data.clips import DatasetError
from statkit.video import VIDEO_SUFFIXES

from .lists import read_lists
from .scan import Found

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
PARTS = {
    "train": {"train", "training", "trn"},
    "val": {"val", "valid", "validation", "dev"},
    "test": {"test", "testing", "tst", "eval", "evaluation"},
}
Names = tuple[str, ...]  # the folders of a clip and its file


@dataclass(frozen=True)
class Layout:
    """The clips with their classes.

    Attributes:
        root: folder of the classes, or of the parts; the clips' names are relative to it.
        clips: with label, group and part.
        outside: videos beside the set.
        guesses: one sentence per guess.
    """

    root: Path
    clips: tuple[Found, ...]
    outside: tuple[str, ...]
    guesses: tuple[str, ...]


def class_layout(folder: Path, files: list[Found], source: Path) -> Layout:
    """The same files with their classes, groups and parts, relative to the folder of classes.

    Args:
        folder: where the files are.
        source: what the user named, for messages.

    Raises:
        DatasetError: there are no classes, or several sets.
    """
    prefix, level, folders, guesses = _class_folders(files, source)
    start, root = len(prefix), folder.joinpath(*prefix)
    grouped, said = _groups(folders, level)
    spelled, also = _spelling(folders) if level else ({}, [])
    inside = {clip: clip.name.split("/")[start:] for clip in files if _below(clip.name, prefix)}
    others = {path[0] for path in inside.values() if len(path) > 1} - {path[0] for path in folders}
    lists = {name for name in others if _holds_lists(root / name)}
    clips = []
    for clip, path in inside.items():
        if path[0] in lists and len(path) > 1:
            continue
        clip, depth = replace(clip, name="/".join(path)), len(path) - 1
        if depth <= level or (level and not part_of(path[0])):
            if clip.is_video or depth > level or clip.reason:
                beside = "not in a class folder" if depth <= level else "beside the parts"
                clips.append(replace(clip, reason=clip.reason or beside))
            continue
        label = spelled.get(path[level].casefold(), path[level])
        part = part_of(path[0]) if level else part_of(path[1]) if depth > 1 else ""
        group = "/".join(path[:grouped]) if grouped and not part else group_of(clip.name, label)
        clips.append(replace(clip, label=label, group=group, part=part))
    outside = tuple(clip.name for clip in files if clip.is_video and clip not in inside)
    return Layout(root, tuple(clips), outside, (*guesses, *said, *also))


def _class_folders(files: list[Found], source: Path) -> tuple[Names, int, list[Names], list[str]]:
    """The folders above the classes or the parts; 1 if folders of parts hold the classes, otherwise
    0; the clips in folders, from there; guesses."""
    videos = [tuple(c.name.split("/")) for c in files if c.is_video and not c.reason]
    prefix: Names = ()
    guesses = []
    while True:
        inside = [path[len(prefix) :] for path in videos if path[: len(prefix)] == prefix]
        folders = [path for path in inside if len(path) > 1]
        tops = sorted({path[0] for path in folders})
        if not tops:
            raise _no_classes(source, files)
        split = {part for part in map(part_of, tops) if part}
        if "train" in split and len(split) > 1:
            if not any(len(path) > 2 for path in folders if part_of(path[0]) == "train"):
                raise DatasetError(
                    f"{source.joinpath(*prefix)}: clips lie directly in "
                    f"{' and '.join(t + '/' for t in tops if part_of(t))}; expected class folders "
                    "in them, as in train/ClassName/clip.mp4"
                )
            return prefix, 1, folders, guesses
        if any(len(path) == 2 for path in folders):
            return prefix, 0, folders, guesses
        seconds = {part_of(path[1]) if len(path) == 3 else "" for path in folders}
        in_parts = "train" in seconds and len(seconds) > 1 and "" not in seconds
        if len(tops) == 1 and not in_parts:
            prefix += (tops[0],)
            if part_of(tops[0]):
                guesses.append(f"clips of {tops[0]}/ alone, so they make both parts")
        elif in_parts or _are_groups(folders):
            return prefix, 0, folders, guesses
        else:
            raise DatasetError(
                f"{source} holds several sets: {', '.join('/'.join((*prefix, t)) for t in tops)}; "
                "name one of them (if they are the classes of one set, put the clips of each "
                "directly into its folder)"
            )


def _groups(folders: list[Names], level: int) -> tuple[int, list[str]]:
    """The number of folders down to the groups, 0 without such folders; and the guess."""
    deep = [path for path in folders if len(path) > level + 2]
    if level or not any(not part_of(path[1]) for path in deep):
        return 0, []
    if len(deep) == len(folders):
        count = len({path[0] for path in folders})
        depths = range(2, min(map(len, deep)))  # one folder in each class divides no clips
        if grouped := next((d for d in depths if len({p[:d] for p in deep}) > count), 0):
            said = "the folders inside of a class are groups, each of them in one part of a split"
            return grouped, [said]
    return 0, [f"{len(deep)} clips that lie deeper in a class folder belong to that class"]


def _spelling(folders: list[Names]) -> tuple[dict[str, str], list[str]]:
    """The name of a class, as in train/ if there, by its name in small letters; and the guess."""
    spelled: dict[str, str] = {}
    within = [path for path in folders if len(path) > 2]
    for path in sorted(within, key=lambda path: part_of(path[0]) != "train"):
        spelled.setdefault(path[1].casefold(), path[1])
    names = ", ".join(sorted({path[1] for path in within} - set(spelled.values())))
    said = f"class folders that differ in capital letters alone are one class: {names}"
    return spelled, [said] * bool(names)


def _below(name: str, prefix: Names) -> bool:
    return tuple(name.split("/"))[: len(prefix)] == prefix


def part_of(folder: str) -> str:
    """ "train", "val" or "test" if that is what a folder's name means, otherwise ""."""
    word = re.sub(r"[^a-z]", "", folder.casefold())
    word = re.sub(r"(set|data|split|videos?|clips?)$", "", word)
    return next((part for part, words in PARTS.items() if word in words), "")


def _are_groups(paths: list[Names]) -> bool:
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


def _holds_lists(folder: Path) -> bool:
    return any(read_lists(place) for place in (folder, *sorted(folder.glob("*/"))))


def _no_classes(source: Path, files: list[Found]) -> DatasetError:
    """The error if no class folder contains clips."""
    pictures = Counter(
        Path(clip.name).parent.as_posix()
        for clip in files
        if Path(clip.name).suffix.lower() in PICTURES
    )
    for folder, count in sorted(pictures.items()):
        if count > 1:
            return DatasetError(
                f"{source}: no clips, but frames stored as pictures ({count} in {folder}/); "
                "join the pictures of each clip into a film first, for example with "
                "ffmpeg -pattern_type glob -i 'FOLDER/*.jpg' CLIP.mp4"
            )
    unread = [clip for clip in files if clip.reason and clip.reason.startswith("a ")]
    also = f" ({unread[0].name}: {unread[0].reason})" if unread else ""
    kinds = ", ".join(sorted(VIDEO_SUFFIXES))
    return DatasetError(
        f"{source}: no class folder with clips found{also}; expected ClassName/clip.avi in it, or "
        f"an archive of that; clips end in {kinds}"
    )


def group_of(name: str, label: str) -> str:
    """Clips from one source video are a **group**: the number in UCF101's names, the text before
    the class in HMDB51's names; otherwise every clip is its own group."""
    stem = Path(name).stem
    if numbered := re.search(r"_g(\d+)_", stem):
        return numbered[1]
    before, cut, _ = stem.partition(f"_{label}_")
    return before if cut and before else name
