"""Reads the official split lists of UCF101 and HMDB51 and matches them to the clips present."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from statkit.data.clips import DatasetError
from statkit.video import VIDEO_SUFFIXES

UCF_LIST = re.compile(r"(train|test)list0?(\d+)\.txt$")
HMDB_LIST = re.compile(r"(.+)_test_split(\d+)\.txt$")
FORMS = {
    "UCF101": "trainlist01.txt and testlist01.txt with lines Class/clip.avi",
    "HMDB51": "CLASS_test_split1.txt with lines clip.avi 1 (train) or clip.avi 2 (test)",
}


@dataclass(frozen=True)
class SplitLists:
    """Clip name without folder and suffix -> "train" or "test", for each split number.

    ``classes`` has the class of every clip in the lists, including HMDB51's unused clips.
    """

    style: str
    splits: dict[int, dict[str, str]]
    classes: dict[str, str] = field(default_factory=dict)

    def report(self, present: set[str]) -> list[str]:
        """One line per split: how many listed clips are present."""
        lines = []
        for number, roles in sorted(self.splits.items()):
            counts = []
            for role in ("train", "test"):
                listed = [name for name, value in roles.items() if value == role]
                counts.append(f"{len(present.intersection(listed))} of {len(listed)} {role}")
            lines.append(f"split {number} ({self.style} lists): matched {', '.join(counts)} clips")
        return lines


@dataclass(frozen=True)
class Match:
    """The clips found, compared with the clips in the lists.

    Attributes:
        listed: name as found (``Class/clip.avi``) -> name as listed, for the listed clips.
        spelled: pairs (found, listed) that differ in more than the suffix.
        moved: ``(found, class in the lists)`` of clips in another class's folder.
        extra, missing: clips found but not listed; clips listed but not found.
    """

    listed: dict[str, str]
    spelled: tuple[tuple[str, str], ...]
    moved: tuple[tuple[str, str], ...]
    extra: tuple[str, ...]
    missing: tuple[str, ...]


def stem_of(name: str) -> str:
    """A clip's name without folder and suffix; without both suffixes of ``clip.avi.mp4``."""
    stem = Path(name).name
    while Path(stem).suffix.lower() in VIDEO_SUFFIXES:
        stem = Path(stem).stem
    return stem if stem != Path(name).name else Path(name).stem


def match(labels: dict[str, str], lists: SplitLists) -> Match:
    """Match clips by name without folder and suffix; if that fails, by letters and digits only.

    The official lists and folders write some names differently (HandStandPushups, and special
    characters in HMDB51's names, which some unpacking programs replace). A match by letters and
    digits counts only if it is unique on both sides.

    Args:
        labels: name as found -> its class.
    """
    names = list(labels)
    stems = {name: stem_of(name) for name in names}
    often = Counter(stems.values())  # then the folder says which of them is meant
    listed = {
        name: stem
        for name, stem in stems.items()
        if stem in lists.classes
        and (often[stem] == 1 or labels[name].casefold() == lists.classes[stem].casefold())
    }
    taken = set(listed.values())
    loose_lists = _by_loose_name(stem for stem in lists.classes if stem not in taken)
    loose_names = _by_loose_name(name for name in names if name not in listed)
    for key, found in loose_names.items():
        known = loose_lists.get(key, [])
        if len(found) == len(known) == 1:
            listed[found[0]] = known[0]
    pairs = [(name, listed[name]) for name in names if name in listed]
    meant = [(name, lists.classes[stem]) for name, stem in pairs]
    return Match(
        listed=listed,
        spelled=tuple((name, stem) for name, stem in pairs if stems[name] != stem),
        moved=tuple(
            (name, label) for name, label in meant if labels[name].casefold() != label.casefold()
        ),
        extra=tuple(name for name in names if name not in listed),
        missing=tuple(sorted(lists.classes.keys() - set(listed.values()))),
    )


def read_lists(folder: Path) -> SplitLists | None:
    """Read UCF101's ``trainlist01.txt`` or HMDB51's ``*_test_split1.txt``; None if neither exists.

    Line ends may be CRLF. HMDB51's lines end in a space; its code 0 means neither part.

    Raises:
        DatasetError: a line has neither form, or a clip is in two classes or in both parts.
    """
    files = files_of(folder)
    for style, pattern, parse in (
        ("UCF101", UCF_LIST, _parse_ucf),
        ("HMDB51", HMDB_LIST, _parse_hmdb),
    ):
        splits: dict[int, dict[str, str]] = {}
        classes: dict[str, str] = {}
        for file in files:
            if found := pattern.search(file.name):
                roles = splits.setdefault(int(found[2]), {})
                for number, line in enumerate(_lines(file), 1):
                    try:
                        stem, label, role = parse(line, found[1])
                    except (ValueError, KeyError):
                        raise DatasetError(
                            f"{file}, line {number}: not a line of {style}'s lists: {line!r}"
                        ) from None
                    if classes.setdefault(stem, label) != label:
                        raise DatasetError(
                            f"{file}, line {number}: {stem} is listed in two classes, {label} and "
                            f"{classes[stem]}; clips of such lists need names of their own"
                        )
                    if role and roles.setdefault(stem, role) != role:
                        raise DatasetError(f"{file}: {stem} is in both parts of split {found[2]}")
        if splits:
            return SplitLists(style, splits, classes)
    return None


def files_of(folder: Path) -> list[Path]:
    """The files of a folder by name; none if the folder cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    except OSError:  # no permission, or the file was deleted
        return []


def _lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _parse_ucf(line: str, role: str) -> tuple[str, str, str]:
    clip = re.sub(r"\s+\d+$", "", line).replace("\\", "/")
    label, name = clip.rsplit("/", 1)
    return stem_of(name), label.split("/")[-1], role


def _parse_hmdb(line: str, label: str) -> tuple[str, str, str | None]:
    name, code = line.rsplit(maxsplit=1)
    return stem_of(name), label, {"0": None, "1": "train", "2": "test"}[code]


def _by_loose_name(names) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        text = unicodedata.normalize("NFKC", stem_of(name)).casefold()
        found.setdefault(re.sub(r"[\W_]+", "", text), []).append(name)
    return found
