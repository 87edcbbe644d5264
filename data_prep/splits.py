"""Who trains and who tests: the splits of the clips that were found, from official lists, from
folders, or by group."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from statkit.data.clips import DatasetError, Split

from .discover import Discovery
from .scan import Found

PURPOSE = {"train": "train on", "val": "validate on", "test": "test on"}
TEST_SHARE = 0.3  # of each class's groups


def roles_of(found: Discovery, clips: list[Found]) -> tuple[dict[int, list[str]], list[str]]:
    """The splits of the readable clips.

    Returns:
        Split number -> "train", "test" or "" per clip; and the guesses made for it.

    Raises:
        DatasetError: the official lists, or folders that define the split, leave no training
        clip or no test clip.
    """
    if not any(clip.label for clip in found.clips):
        return {1: ["train"] * len(clips)}, []
    if found.lists:
        listed = [found.match.listed.get(clip.name) for clip in clips]
        splits = {
            number: [roles.get(name) or "" for name in listed]
            for number, roles in sorted(found.lists.splits.items())
        }
        first = min(splits)
        train, test = (splits[first].count(role) for role in ("train", "test"))
        if not (train and test):
            raise DatasetError(
                f"split {first} of the {found.lists.style} lists matches {train} training and "
                f"{test} test clips, and needs some of both: add the clips or the lists that "
                "are missing, or name other lists with --lists"
            )
        return splits, _one_sided(clips, splits[first])
    parts = Counter(clip.part for clip in clips)
    test = "test" if parts["test"] else "val"
    if parts["train"] and parts[test]:
        roles = {"train": "train", test: "test"}
        said = []
        if test == "val":
            said = ["there is no part to test on, so the part to validate on serves"]
        elif parts["val"]:
            said = [f"{parts['val']} clips to validate on are in neither part"]
        of_clips = [roles.get(clip.part, "") for clip in clips]
        return {1: of_clips}, said + _one_sided(clips, of_clips)
    meant = {c.part: c.name for c in reversed(found.clips) if c.label and c.is_video}
    part = "train" if not parts["train"] else "test" if "test" in meant else "val"
    if "train" in meant and len({*meant} - {""}) > 1:
        raise DatasetError(
            f"{found.root}: no clip to {PURPOSE[part]} can be read, {meant[part]} for example; "
            "mend those clips, or move their folder away to let the kit choose the parts"
        )
    return _by_group(clips)


def splits_in_words(found: Discovery, clips: list[Found], splits: dict[int, list[str]]) -> str:
    """The splits in words."""
    if found.lists:
        present = {found.match.listed[c.name] for c in clips if c.name in found.match.listed}
        return "; ".join(found.lists.report(present))
    return "; ".join(
        f"split {n}: {roles.count('train')} train, {roles.count('test')} test clips"
        for n, roles in splits.items()
    )


def _by_group(clips: list[Found]) -> tuple[dict[int, list[str]], list[str]]:
    """Use the last groups of every class for testing, so that no group is in both parts."""
    groups: dict[str, dict[str, list[int]]] = {}
    for i, clip in enumerate(clips):
        groups.setdefault(clip.label, {}).setdefault(clip.group, []).append(i)
    roles = [""] * len(clips)
    for of_class in groups.values():
        cut = max(1, round(len(of_class) * (1 - TEST_SHARE)))
        for k, key in enumerate(sorted(of_class)):
            for i in of_class[key]:
                roles[i] = "train" if k < cut else "test"
    train, test = roles.count("train"), roles.count("test")
    said = [f"no split lists: {train} train and {test} test clips by group"]
    return {1: roles}, said + _one_sided(clips, roles)


def _one_sided(clips: list[Found], roles: list[str]) -> list[str]:
    """Sentences about classes without training clips, without test clips, or without both."""
    of: dict[str, set[str]] = {"train": set(), "test": set(), "": set()}
    for clip, role in zip(clips, roles, strict=True):
        of[role].add(clip.label)
    titles = {
        "classes with test clips alone": of["test"] - of["train"],
        "classes with training clips alone": of["train"] - of["test"],
        "classes in neither part": of[""] - of["train"] - of["test"],
    }
    return [f"{title}: {', '.join(sorted(names))}" for title, names in titles.items() if names]


def as_split(roles: Iterable[str | None]) -> Split:
    """Clip numbers by role: "train", "test", or neither."""
    roles = list(roles)
    return Split(
        *(
            np.array([i for i, given in enumerate(roles) if given == role], np.int64)
            for role in ("train", "test")
        )
    )
