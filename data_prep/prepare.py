"""From a download to a prepared set, in one go or many.

    source -> unpack -> find clips -> match lists -> decode each once -> store -> manifest

One process writes (others wait), any number read. A kill at any moment loses at most the clips that
were being read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings
from statkit.runtime.cache import fingerprint, locked
from statkit.runtime.progress import progress_bar

from .archives import is_archive
from .folder import (
    VIDEO_SUFFIXES,
    by_group,
    file_state,
    find_lists,
    given_places,
    group_of,
    usual_places,
)
from .lists import SplitLists, match
from .official import OFFICIAL
from .prepared import (
    DAMAGED,
    FOUND,
    LEFT_OUT,
    OK,
    is_prepared,
    open_prepared,
    read_card,
    trust,
    write_prepared,
)
from .readers import LIMIT, read_all
from .report import compared, in_full, on_screen, outcome, plain
from .sources import Found, class_root, find_clips, unpack_all
from .store import Draft, room_on_disk

KINDS = (*OFFICIAL, "folder", "unlabelled")
FRAMES = FrameSettings(frames_per_clip=32, hr_size=(112, 149))


@dataclass(frozen=True)
class How:
    """How to go about it, which changes nothing of the result.

    Attributes:
        workers: processes that read; all processors when None.
        dask: a Dask scheduler's address, or "local".
        limit: seconds without a decoded frame after which a file is given up.
        strict: whether the first file that does not read, or a missing clip, ends it.
        progress: whether to show bars.
    """

    workers: int | None = None
    dask: str | None = None
    limit: float = LIMIT
    strict: bool = False
    progress: bool = True


def prepare_set(
    kind: str,
    source: str | Path,
    out: str | Path,
    *,
    lists: str | Path | None = None,
    settings: FrameSettings = FRAMES,
    all_frames: bool = False,
    how: How | None = None,
) -> Path:
    """Prepare a data set, or go on with one, or find it prepared.

    Args:
        kind: "ucf101", "hmdb51", "folder" (class folders) or "unlabelled" (any pile of video).
        source: an archive, a folder of archives, or a folder of clips; never written to.
        out: folder of the prepared set.
        lists: folder or archive of split lists, if they do not lie with the clips.
        settings: how frames are stored; fewer a clip where the longest clip has fewer.
        all_frames: store every frame of the longest clip, and as many of all others.

    Returns:
        ``out``, for :func:`data_prep.open_dataset`.

    Raises:
        DatasetError: nothing to prepare, another set in ``out``, a full disk, or (if strict) a
            file that cannot be read.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not one of {KINDS}")
    how = how or How()
    source, out = Path(source).expanduser(), Path(out).expanduser().absolute()
    if not source.exists():
        raise DatasetError(f"{source}: no such file or folder")
    if source.absolute() == out:
        raise DatasetError(f"{out}: the prepared set needs a folder of its own, beside its source")
    waiting = f"another preparation is at work in {out}; waiting for it"
    with room_on_disk(out), locked(out / ".lock", waiting):
        return _Preparation(kind, source, out, lists, settings, all_frames, how).run()


class _Preparation:
    def __init__(self, kind, source, out, lists, settings, all_frames, how: How):
        self.kind, self.source, self.out, self.how = kind, source, out, how
        self.official = OFFICIAL.get(kind)
        self.settings, self.all_frames = settings, all_frames
        self.unpacked = out / "clips"
        self.refused: list[Found] = []
        self.root = self._find_root()
        classes = kind != "unlabelled"
        self.found = find_clips(self.root, classes=classes, leave=out)
        if not self.found:
            raise DatasetError(f"{source}: no file in it that could be a clip")
        self.names = [clip.name for clip in self.found]
        self.lists = self._find_lists(lists) if classes else None
        self.match = match([n for n in self.names if "/" in n], self.lists) if self.lists else None

    def run(self) -> Path:
        """Decode what is not decoded yet, and finish."""
        self.settings = replace(self.settings, frames_per_clip=self._frames_per_clip())
        plan = fingerprint(self._plan())
        if is_prepared(self.out):
            return self._as_it_was(plan)
        against_lists = compared(self.official, self.lists, self.match)
        print(on_screen(against_lists), end="", flush=True)
        if self.how.strict and self.official and (self.match.missing or self.match.extra):
            raise DatasetError(
                f"{self.source}: {len(self.match.missing)} clips of the lists are missing and "
                f"{len(self.match.extra)} are extra"
            )
        draft = Draft(self.out / ".work", plan, self.settings, len(self.found))
        with draft:
            self._read_clips(draft)
            final = draft.finish()
            if not final:
                name, why = self.names[0], draft.done[0]["result"]["note"]
                raise DatasetError(
                    f"{self.source}: none of {len(self.names)} files can be read ({name}: {why})"
                )
            lines = self._manifest(draft, final)
        self._finish(draft, plan, lines, against_lists)
        return self.out

    # --- what there is ----------------------------------------------------------------------

    def _find_root(self) -> Path:
        """The folder of the clips; unpacks archives if that is what the source is."""
        if self.source.is_file():
            if not is_archive(self.source):
                raise DatasetError(f"{self.source}: neither a folder nor an archive")
            self.refused = self._unpack([self.source])
            return self._root_in(self.unpacked)
        root = self._root_in(self.source, required=False)
        archives = sorted(path for path in self.source.iterdir() if is_archive(path))
        if root and self.kind == "unlabelled" and archives and not _has_video(self.source):
            root = None
        if root is None and archives:
            self.refused = self._unpack(archives)
            return self._root_in(self.unpacked)
        if root is None:
            self._root_in(self.source)
        if self.official and archives:  # the clips are unpacked already, their lists may not be
            known = {download.file for download in self.official.downloads[1:]}
            self.refused = self._unpack([path for path in archives if path.name in known])
        return root

    def _unpack(self, archives: list[Path]) -> list[Found]:
        return unpack_all(archives, self.unpacked, progress=self.how.progress)

    def _root_in(self, folder: Path, *, required: bool = True) -> Path | None:
        if self.kind == "unlabelled":
            return folder
        root = class_root(folder)
        if root is None and required:
            kinds = ", ".join(sorted(VIDEO_SUFFIXES))
            raise DatasetError(
                f"{folder}: no class folder with clips ({kinds}) found; expected "
                "ClassName/clip.avi in it, or an archive of that"
            )
        return root

    def _find_lists(self, given: str | Path | None) -> SplitLists | None:
        style = self.official.style if self.official else ""
        stems = {Path(name).stem for name in self.names}
        if given and is_archive(Path(given)):
            self._unpack([Path(given)])
            given = self.unpacked
        places = given_places(Path(given)) if given else usual_places(self.root, self.source)
        if not given and self.unpacked.is_dir():
            places = [*places, *given_places(self.unpacked)]
        lists = find_lists(places, stems, style)
        if lists is None and (given or self.official):
            where = given or f"{self.root} and around it"
            raise DatasetError(
                f"{where}: no {style or 'UCF101 or HMDB51'} split lists in it that name any of "
                "these clips; say where they are with --lists"
            )
        return lists

    def _frames_per_clip(self) -> int:
        """T: as asked, or what the longest clip promises; one that promises enough ends the
        search."""
        most, asked = 1, self.settings.frames_per_clip
        what = "count" if self.all_frames else "promise"
        jobs = ((i, (what, str(self.root / c.name))) for i, c in self._readable())
        for _, frames, _ in read_all(jobs, workers=self.how.workers, limit=self.how.limit):
            most = max(most, frames or 1)
            if most >= asked and not self.all_frames:
                return asked
        return most

    def _readable(self) -> Iterator[tuple[int, Found]]:
        return ((i, clip) for i, clip in enumerate(self.found) if clip.reason is None)

    def _plan(self) -> list:
        """All that the result depends on, as far as it is known before decoding."""
        sizes = [file_state(self.root / clip.name)[0] for clip in self.found]
        clips = [(c.name, c.reason, size) for c, size in zip(self.found, sizes, strict=True)]
        refused = [(c.name, c.reason) for c in self.refused]
        splits = self.lists and sorted(self.lists.splits.items())
        return [self.kind, asdict(self.settings), clips, refused, splits]

    # --- decoding ---------------------------------------------------------------------------

    def _read_clips(self, draft: Draft) -> None:
        states = {row: list(file_state(self.root / clip.name)) for row, clip in self._readable()}
        stale = [row for row, entry in draft.done.items() if entry["state"] != states.get(row)]
        for row in stale:
            del draft.done[row]
        for row, clip in enumerate(self.found):
            if clip.reason and row not in draft.done:
                self._keep(draft, row, None, {"note": clip.reason})
        todo = [(row, clip) for row, clip in self._readable() if row not in draft.done]
        room = shutil.disk_usage(self.out).free
        if len(todo) * draft.clip_bytes > room:
            print(
                f"frames of {len(todo)} clips take {len(todo) * draft.clip_bytes / 1e9:.1f} GB, "
                f"and {self.out} has room for {room / 1e9:.1f} GB",
                flush=True,
            )
        settings = asdict(self.settings)
        jobs = ((row, ("read", str(self.root / c.name), c.name, settings)) for row, c in todo)
        results = read_all(jobs, workers=self.how.workers, limit=self.how.limit, dask=self.how.dask)
        for row, result, reason in progress_bar(
            results,
            label=f"clips of {self.out.name}",
            total=len(self.found),
            initial=len(self.found) - len(todo),
            show=self.how.progress,
        ):
            self._keep(draft, row, states[row], result or {"note": reason})

    def _keep(self, draft: Draft, row: int, state, result: dict) -> None:
        if self.how.strict and "sha256" not in result:
            raise DatasetError(plain(f"{self.root / self.names[row]}: {result['note']}"))
        draft.add(row, state, result)

    # --- the end ----------------------------------------------------------------------------

    def _manifest(self, draft: Draft, final: dict[int, int]) -> list[dict]:
        splits = self._roles([self.names[row] for row in sorted(final)])
        lines = []
        for row, name in enumerate(self.names):
            result = draft.done[row]["result"]
            line = {"clip": name, "label": self._label(name), "note": result.get("note", "")}
            line["group"] = group_of(name) if self.kind != "unlabelled" else ""
            line["status"] = LEFT_OUT
            if row in final:
                line["status"] = DAMAGED if line["note"] else OK
                line |= {"row": final[row]} | {key: result[key] for key in FOUND}
                line |= {f"split{n}": roles[name] for n, roles in splits.items()}
            lines.append(line)
        return lines + [
            {"clip": c.name, "status": LEFT_OUT, "note": c.reason} for c in self.refused
        ]

    def _roles(self, names: list[str]) -> dict[int, dict[str, str]]:
        """Split number -> clip -> "train", "test" or ""."""
        if self.kind == "unlabelled":
            return {1: dict.fromkeys(names, "train")}
        if self.lists is None:
            return {1: dict(zip(names, by_group(names), strict=True))}
        listed = self.match.listed
        return {
            number: {name: roles.get(listed.get(name), "") for name in names}
            for number, roles in sorted(self.lists.splits.items())
        }

    def _label(self, name: str) -> str:
        if self.kind == "unlabelled":
            return "unlabelled"
        return name.split("/")[0] if "/" in name else ""

    def _finish(self, draft: Draft, plan: str, lines: list[dict], against_lists: list) -> None:
        numbers = sorted(self.lists.splits) if self.lists else [1]
        inside = self.root.absolute()
        here = inside.is_relative_to(self.out)
        card = {
            "kind": self.kind,
            "plan": plan,
            "splits": numbers,
            "generated": (self.root.parent / "generated.json").is_file(),
            "clips": inside.relative_to(self.out).as_posix() if here else str(inside),
        }
        read = outcome(lines, numbers, self.official)
        ready = draft.folder / "prepared"
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        card = write_prepared(ready, card, lines, self.settings, in_full(against_lists + read))
        draft.move(ready)
        ready.rename(self.out / "prepared")  # all of it, or nothing
        trust(self.out, card)
        shutil.rmtree(draft.folder)
        print(on_screen(read), end="", flush=True)

    def _as_it_was(self, plan: str) -> Path:
        """What an earlier run prepared, if it is the same."""
        dataset = open_prepared(self.out, progress=self.how.progress)
        if read_card(self.out)["plan"] != plan:
            raise DatasetError(
                f"{self.out} holds a set prepared from other clips or in another way; choose "
                f"another --out, or delete {self.out / 'prepared'} first"
            )
        print(f"{self.out} is prepared already: {len(dataset)} clips")
        return self.out


def _has_video(folder: Path) -> bool:
    return any(path.suffix.lower() in VIDEO_SUFFIXES for path in folder.rglob("*"))
