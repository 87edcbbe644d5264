"""Facts about the official data sets: their archives, counts, and terms."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .lists import Match, SplitLists


@dataclass(frozen=True)
class Download:
    """An address and, if it is known, the file's SHA-256."""

    url: str
    sha256: str | None = None

    @property
    def file(self) -> str:
        return self.url.rsplit("/", 1)[1]


@dataclass(frozen=True)
class Official:
    """One official data set: its numbers of clips and classes, the numbers of (train, test) clips
    per split and, if these are equal for all classes, per class of a split."""

    style: str
    clips: int
    classes: int
    splits: dict[int, tuple[int, int]]
    downloads: tuple[Download, ...]
    terms: str
    a_class: tuple[int, int] | None = None


OFFICIAL = {
    "ucf101": Official(
        style="UCF101",
        clips=13_320,
        classes=101,
        splits={1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)},
        downloads=(
            Download("https://www.crcv.ucf.edu/data/UCF101/UCF101.rar"),
            Download(
                "https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip",
                "5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27",
            ),
        ),
        terms=(
            "UCF101: research data collected from YouTube, from CRCV, University of Central "
            "Florida (https://www.crcv.ucf.edu/data/UCF101.php); no licence to pass clips or "
            "frames on is stated"
        ),
    ),
    "hmdb51": Official(
        style="HMDB51",
        clips=6_766,
        classes=51,
        splits=dict.fromkeys((1, 2, 3), (3570, 1530)),
        a_class=(70, 30),
        downloads=(
            Download("http://serre-lab.clps.brown.edu/wp-content/uploads/2013/10/hmdb51_org.rar"),
            Download(
                "http://serre-lab.clps.brown.edu/wp-content/uploads/2013/10/test_train_splits.rar"
            ),
        ),
        terms=(
            "HMDB51: from the Serre lab, Brown University, CC BY 4.0 according to its page; the "
            "clips are cut from films and the web"
        ),
    ),
}


def check(official: Official, lists: SplitLists, found: Match) -> list[str]:
    """Compare the counts with the official counts; returns one line per comparison."""
    classes = {lists.classes[stem] for stem in found.listed.values()}
    lines = [
        _compared("clips", len(found.listed), official.clips),
        _compared("classes", len(classes), official.classes),
    ]
    for number, (train, test) in official.splits.items():
        roles = [lists.splits.get(number, {}).get(stem) for stem in found.listed.values()]
        for role, count in (("train", train), ("test", test)):
            lines.append(_compared(f"split {number} {role} clips", roles.count(role), count))
        lines += _classes(official.a_class, lists, found, number)
    if len(lists.classes) != official.clips:
        lines.append(f"the lists name {len(lists.classes)} clips, officially {official.clips}")
    return lines


def _classes(
    expected: tuple[int, int] | None, lists: SplitLists, found: Match, number: int
) -> Iterator[str]:
    """One line per class of a split whose number of clips is not the official number."""
    counts = Counter(
        (lists.classes[stem], lists.splits.get(number, {}).get(stem))
        for stem in found.listed.values()
    )
    for label in sorted(set(lists.classes.values()) if expected else ()):
        have = counts[label, "train"], counts[label, "test"]
        if have != expected:
            have, officially = ("{} train, {} test".format(*pair) for pair in (have, expected))
            yield f"split {number}, {label}: {have} clips, officially {officially}"


def differences(found: Match) -> dict[str, list[str]]:
    """All differences between the clips and the lists: title -> names."""
    return {
        "in the lists, not found": list(found.missing),
        "found, not in the lists": list(found.extra),
        "matched though spelled differently": _arrows(found.spelled),
        "in another class's folder than the lists say": _arrows(found.moved),
    }


def _compared(what: str, count: int, official: int) -> str:
    verdict = "as it should be" if count == official else f"officially {official}"
    return f"{what}: {count}, {verdict}"


def _arrows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name} -> {other}" for name, other in pairs]
