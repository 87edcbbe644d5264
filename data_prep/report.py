"""What to say of a preparation: a few lines on the screen, all of it in a file."""

from __future__ import annotations

from .lists import Match, SplitLists
from .official import Official, check, differences
from .prepared import DAMAGED, LEFT_OUT

SHOWN = 10  # names on the screen; the report has the rest

Section = tuple[str, list[str]]  # a title and the names under it


def compared(official: Official | None, lists: SplitLists | None, found: Match | None):
    """Sections about the clips that are there and those that are listed."""
    if found is None:
        return []
    counts = [(line, []) for line in check(official, lists, found)] if official else []
    return counts + [(title, names) for title, names in differences(found).items() if names]


def outcome(lines: list[dict], splits: list[int], official: Official | None) -> list[Section]:
    """Sections about what was read, from the lines of the manifest."""
    stored = [line for line in lines if line["status"] != LEFT_OUT]
    classes = {line["label"] for line in stored}
    sections = [(f"{len(stored)} of {len(lines)} files are in the set, {len(classes)} classes", [])]
    for number in splits:
        roles = [line[f"split{number}"] for line in stored]
        counts = f"{roles.count('train')} train, {roles.count('test')} test clips"
        sections.append((f"split {number}: {counts}", []))
    empty = {line["label"] for line in lines if line.get("label")} - classes
    named = {
        "left out": [f"{x['clip']}: {x['note']}" for x in lines if x["status"] == LEFT_OUT],
        "in the set, but damaged": [
            f"{x['clip']}: {x['note']}" for x in lines if x["status"] == DAMAGED
        ],
        "the same bytes as another clip": _doubles(stored),
        "folders without a clip that reads": sorted(empty),
    }
    sections += [(title, names) for title, names in named.items() if names]
    return sections + ([(official.terms, [])] if official else [])


def on_screen(sections: list[Section]) -> str:
    """The sections, with the first names of each."""
    return _written(sections, SHOWN)


def in_full(sections: list[Section]) -> str:
    """The sections with every name."""
    return _written(sections, None)


def plain(text: str) -> str:
    """Text that any screen can show: line ends, and bytes that are no letters, are spelled out."""
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


def _doubles(stored: list[dict]) -> list[str]:
    first: dict[str, str] = {}
    doubles = []
    for line in stored:
        other = first.setdefault(line["sha256"], line["clip"])
        if other != line["clip"]:
            doubles.append(f"{line['clip']} = {other}")
    return doubles
