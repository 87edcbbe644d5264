"""Opens a folder or an archive of clips as a data set; frames are decoded when needed."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from statkit.data.clips import DatasetError, Truth, VideoDataset
from statkit.data.frames import FrameSettings, too_small
from statkit.runtime.cache import cache_folder, fingerprint, locked, write_atomically
from statkit.runtime.contents import Contents, file_state
from statkit.runtime.progress import progress_bar
from statkit.video import READING

from .discover import Discovery, discover
from .readers import PASSING, read_all
from .report import (
    DAMAGED,
    LEFT_OUT,
    OK,
    Section,
    Told,
    compared,
    in_full,
    outcome,
    plain,
    three_lines,
)
from .scan import Found
from .splits import as_split, roles_of, splits_in_words
from .store import final_rows

BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
# Published results and their networks are stored under earlier fingerprints of their data sets:
# fingerprint of content -> earlier fingerprint of names and sizes.
EARLIER = {"5940fed9ab1d23b1": "83416b670f22702a"}  # the eight classes of ucf101_8.csv


def index_folder(
    source: str | Path, *, lists: str | Path | None = None, progress: bool = True
) -> VideoDataset:
    """Make a data set from a folder or an archive.

    :mod:`data_prep.discover` describes the supported layouts. Three printed lines say what was
    taken, guessed and left out; a report in the cache has the full text.

    Args:
        source: folder or archive.
        lists: folder or archive of official split lists; None searches in and beside
            ``source``.

    Raises:
        DatasetError: no class folder contains clips, or the lists match no clip.
    """
    source = Path(source).expanduser()
    source = source if source.name else source.resolve()  # "." has no name
    key = fingerprint(str(source.absolute()))
    lock = cache_folder("locks") / f"folder-{key}"
    with locked(lock, f"another process reads {source}; waiting for it"):
        found = discover(
            source, lambda: cache_folder("unpacked", key), lists=lists, progress=progress
        )
        contents = Contents(found.root)
        facts, digests = _probe(found, contents, progress)
    rows = [i for i, clip in enumerate(found.clips) if isinstance(facts[clip.name], list)]
    order = final_rows(rows)  # as in a prepared set
    kept = [found.clips[row] for row in sorted(rows, key=order.__getitem__)]
    if not kept:
        name, why = next(iter(facts.items()))
        raise DatasetError(
            f"{source}: none of {len(facts)} files can be read ({plain(f'{name}: {why}')})"
        )
    roles, guesses = roles_of(found, kept)
    splits = {number: as_split(of) for number, of in roles.items()}
    told = Told(splits_in_words(found, kept, roles), [*found.guesses, *guesses], found.litter)
    lines = _lines(found, facts, digests, kept, roles)
    sections = outcome(lines, told) + compared(None, found.lists, found.match)
    _say(source, key, sections, brief=found.generated is not None)
    classes = tuple(sorted({clip.label for clip in kept}))
    names = [clip.name for clip in kept]
    counts, digests = [facts[name][0] for name in names], [digests[name] for name in names]
    truth = truth_of(found.root.parent / "truth.npz", names) if found.generated else None
    as_made = truth is None or truth.digests in ((), tuple(digests))
    return VideoDataset(
        name=source.name,
        root=found.root,
        classes=classes,
        names=tuple(names),
        labels=np.array([classes.index(clip.label) for clip in kept]),
        num_frames=np.array(counts),
        splits=splits,
        generated=found.generated is not None,
        fingerprint=_fingerprint(found, kept, counts, splits, digests, as_made),
        truth=truth,
        digests=tuple(digests),
    )


def _probe(
    found: Discovery, contents: Contents, progress: bool
) -> tuple[dict[str, list | str], dict[str, str]]:
    """``[frames, height, width, note, remark]`` or the reason for exclusion, per file; and the
    checksums of the opened files.

    Counting needs decoding, so the results are cached under the checksum of the file.
    """
    facts: dict[str, list | str] = {clip.name: clip.reason for clip in found.clips}
    names = [clip.name for clip in found.clips if clip.reason is None]
    digests = contents.digests(names, progress=progress)
    keys = {name: f"{digest}/{READING}/noted" for name, digest in digests.items()}
    todo = [name for name in names if keys[name] not in contents.facts]
    jobs = ((i, ("probe", str(found.root / name))) for i, name in enumerate(todo))
    fresh: dict[str, list | str] = {}
    for i, info, reason in progress_bar(
        read_all(jobs), label=f"clips of {found.root.name}", total=len(todo), show=progress
    ):
        parts = ("num_frames", "height", "width", "note", "remark")
        fact = [info[key] for key in parts] if info else reason
        fresh[todo[i]] = fact
        if digests[todo[i]] and not str(fact).startswith(PASSING):
            contents.facts[keys[todo[i]]] = fact
    if fresh:
        contents.save()
    for name in names:
        fact = fresh[name] if name in fresh else contents.facts[keys[name]]
        small = isinstance(fact, list) and too_small(*fact[1:3], FrameSettings())
        facts[name] = small or fact
    return facts, digests


def _lines(
    found: Discovery,
    facts: dict,
    digests: dict[str, str],
    kept: list[Found],
    roles: dict[int, list[str]],
) -> list[dict]:
    """Lines as in a manifest, see :mod:`data_prep.prepared`."""
    parts = {clip.name: {} for clip in kept}
    for number, of in roles.items():
        for clip, role in zip(kept, of, strict=True):
            parts[clip.name][f"split{number}"] = role
    lines = []
    for clip in found.clips:
        fact = facts[clip.name]
        note = fact[3] or fact[4] if isinstance(fact, list) else fact
        status = LEFT_OUT if isinstance(fact, str) else DAMAGED if fact[3] else OK
        line = {"clip": clip.name, "label": clip.label, "status": status, "note": note}
        lines.append(line | {"sha256": digests.get(clip.name)} | parts.get(clip.name, {}))
    refused = ({"clip": c.name, "status": LEFT_OUT, "note": c.reason} for c in found.refused)
    return [*lines, *refused]


def _say(source: Path, key: str, sections: list[Section], *, brief: bool) -> None:
    file = cache_folder("reports") / f"{source.name}-{key}.txt"
    text = in_full(sections).encode(errors="surrogateescape")
    write_atomically(file, lambda path: path.write_bytes(text))
    said = three_lines(sections, file)
    print(said.splitlines()[0] if brief else said, flush=True)


def _fingerprint(
    found: Discovery, kept: list[Found], counts, splits, digests: list[str], as_made: bool
) -> str:
    """Fingerprint of names, classes, splits and content, independent of the folder's path.

    For generated clips ``as_made``, the card and the file sizes replace the content.
    """
    roles = {number: [part.tolist() for part in split] for number, split in splits.items()}
    names = [clip.name for clip in kept]
    if found.generated:
        sizes = [file_state(found.root / name)[0] for name in names]
        card = found.generated.read_text(encoding="utf-8")
        changed = [] if as_made else [digests]
        return fingerprint([names, counts, roles, sizes, card, *changed])
    made_of = fingerprint([names, [clip.label for clip in kept], counts, roles, digests])
    return EARLIER.get(made_of, made_of)


def truth_of(file: Path, names: list[str]) -> Truth | None:
    """The ground truth of generated clips, in the order of ``names``; None if the file or one of
    the names is missing."""
    if not file.is_file():
        return None
    try:
        with np.load(file) as data:
            order = {name: i for i, name in enumerate(data["names"].tolist())}
            if not order.keys() >= set(names):
                return None
            rows = [order[name] for name in names]
            size = tuple(int(n) for n in data["size"])
            digests = tuple(data["sha256"][rows].tolist()) if "sha256" in data else ()
            parts = (data[name][rows] for name in ("boxes", "intervals", "masks"))
            return Truth(*parts, size, digests)
    except BROKEN as error:
        raise DatasetError(
            f"{file} is broken ({error}); delete {file.parent} and run the same command, which "
            "makes the generated clips anew"
        ) from error
