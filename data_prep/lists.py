"""Official split lists of UCF101 and HMDB51, read as they are and matched to the clips present."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

UCF_LIST = re.compile(r"(train|test)list0?(\d+)\.txt$")
HMDB_LIST = re.compile(r"(.+)_test_split(\d+)\.txt$")


@dataclass(frozen=True)
class SplitLists:
    """Clip name without folder and suffix -> "train" or "test", for each split number."""

    style: str
    splits: dict[int, dict[str, str]]

    def report(self, present: set[str]) -> list[str]:
        """One line a split: how many listed clips are present."""
        lines = []
        for number, roles in sorted(self.splits.items()):
            counts = []
            for role in ("train", "test"):
                listed = [name for name, value in roles.items() if value == role]
                counts.append(f"{len(present.intersection(listed))} of {len(listed)} {role}")
            lines.append(f"split {number} ({self.style} lists): matched {', '.join(counts)} clips")
        return lines


def read_lists(folder: Path) -> SplitLists | None:
    """Read UCF101's ``trainlist01.txt`` or HMDB51's ``*_test_split1.txt``; None without either.

    Line ends may be CRLF, HMDB51's lines end in a space; a clip coded 0 there is in neither part.
    """
    for style, pattern, parse in (
        ("UCF101", UCF_LIST, _parse_ucf),
        ("HMDB51", HMDB_LIST, _parse_hmdb),
    ):
        splits: dict[int, dict[str, str]] = {}
        for file in sorted(folder.iterdir()):
            match = pattern.search(file.name)
            if match:
                roles = splits.setdefault(int(match[2]), {})
                for line in file.read_text(encoding="utf-8-sig").splitlines():
                    if line.strip():
                        roles.update(parse(line.strip(), match[1]))
        if splits:
            return SplitLists(style, splits)
    return None


def _parse_ucf(line: str, role: str) -> dict[str, str]:
    return {Path(line.split()[0]).stem: role}


def _parse_hmdb(line: str, _: str) -> dict[str, str]:
    name, code = line.rsplit(maxsplit=1)
    role = {"1": "train", "2": "test"}.get(code)
    return {Path(name).stem: role} if role else {}
