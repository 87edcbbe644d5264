"""The report on a set: three lines and a few names on the screen, the full text in a file."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .lists import Match, SplitLists
from .official import Official, check, differences
from .scan import Found

OK, DAMAGED, LEFT_OUT = "ok", "damaged", "left out"
SHOWN = 10  # names on the screen; the report file has all names

Section = tuple[str, list[str]]  # a title and the names under it


@dataclass(frozen=True)
class Told:
    """Report text besides the clips: the splits in words, guesses, and ignored files."""

    splits: str
    guesses: Sequence[str] = ()
    litter: Sequence[str] = ()


def compared(official: Official | None, lists: SplitLists | None, found: Match | None):
    """Sections that compare the clips found with the clips in the lists."""
    if found is None:
        return []
    counts = [(line, []) for line in check(official, lists, found)] if official else []
    return counts + [(title, names) for title, names in differences(found).items() if names]


def outcome(lines: list[dict], told: Told, official: Official | None = None) -> list[Section]:
    """Sections about the files read, from the lines of the manifest: the first lists what was
    taken, the second what was guessed."""
    stored = [line for line in lines if line["status"] != LEFT_OUT]
    classes = {line["label"] for line in stored}
    taken = f"{len(stored)} of {len(lines)} files are in the set, {len(classes)} classes"
    sections = [
        (f"{taken}; {told.splits}", []),
        (f"guessed: {'; '.join(told.guesses) or 'nothing'}", []),
    ]
    lost = [line for line in lines if line["status"] == LEFT_OUT]
    empty = {line["label"] for line in lines if line.get("label")} - classes
    named = {
        "left out": _notes(line for line in lost if _is_missed(line)),
        "in the set, but damaged": _notes(line for line in lines if line["status"] == DAMAGED),
        "in the set, read in a way that needs a word": _notes(
            line for line in lines if line["status"] == OK and line["note"]
        ),
        "test clips with the bytes of a training clip": _leaks(stored),
        "the same bytes as another clip": _doubles(stored),
        "folders without a clip that reads": sorted(empty),
        "no clips, passed over": _notes(line for line in lost if not _is_missed(line)),
        "of other programs or beside the set, passed over": list(told.litter),
    }
    sections += [(title, names) for title, names in named.items() if names]
    return sections + ([(official.terms, [])] if official else [])


def three_lines(sections: list[Section], file: object) -> str:
    """What was taken, what was guessed, how much was left out, and the name of ``file``."""
    names = dict(sections)
    left = [f"left out: {first_of(names.get('left out') or ['nothing'], 2)}"]
    left += [f"{title}: {len(of)}" for title, of in sections if of and title != "left out"]
    return "\n".join([sections[0][0], sections[1][0], f"{'; '.join(left)}; in full in {file}"])


def first_of(names: Sequence[str], most: int = 5) -> str:
    """The first names, and the number of the other names."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(plain, names[:most])) + more


def on_screen(sections: list[Section]) -> str:
    """The sections, with the first names of each."""
    return _written(sections, SHOWN)


def in_full(sections: list[Section]) -> str:
    """The sections with every name."""
    return _written(sections, None)


def plain(text: str) -> str:
    """Text that any screen can show: line ends and undecodable bytes are escaped."""
    shown = text.encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def _written(sections: list[Section], most: int | None) -> str:
    lines = []
    for title, names in sections:
        lines.append(f"{title}: {len(names)}" if names else title)
        lines += [f"  {plain(name)}" for name in names[:most]]
        if names[most or len(names) :]:
            lines.append(f"  ... and {len(names) - most} more, all in report.txt")
    return "\n".join(lines) + "\n"


def _notes(lines: Iterable[dict]) -> list[str]:
    return [f"{line['clip']}: {line['note']}" for line in lines]


def _is_missed(line: dict) -> bool:
    return Found(line["clip"], line["note"]).is_missed


def _doubles(stored: list[dict]) -> list[str]:
    first: dict[str, str] = {}
    doubles = []
    for line in stored:
        other = first.setdefault(line["sha256"], line["clip"])
        if other != line["clip"]:
            doubles.append(f"{line['clip']} = {other}")
    return doubles


def _leaks(stored: list[dict]) -> list[str]:
    """Clips to test on that are also trained on, by another name, in any split."""
    leaks = []
    for split in sorted({key for line in stored for key in line if re.fullmatch(r"split\d+", key)}):
        trained = {line["sha256"]: line["clip"] for line in stored if line.get(split) == "train"}
        for line in stored:
            if line.get(split) == "test" and line["sha256"] in trained:
                leaks.append(f"{line['clip']} = {trained[line['sha256']]} ({split})")
    return leaks
