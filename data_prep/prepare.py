"""Turns a download into a prepared set, in one run or several runs.

    source -> unpack -> find clips -> match lists -> decode each clip once -> store -> manifest

One process writes (other writers wait); any number of processes read. A kill at any moment loses
only the clips in progress.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from statkit.data.clips import DatasetError
from statkit.data.frames import FrameSettings
from statkit.errors import StatkitError
from statkit.runtime.cache import fingerprint, locked
from statkit.runtime.contents import Contents, file_state
from statkit.runtime.progress import progress_bar

from .discover import discover
from .official import OFFICIAL
from .prepared import (
    FOUND,
    is_prepared,
    open_prepared,
    read_card,
    read_manifest,
    trust,
    write_prepared,
)
from .readers import LIMIT, PASSING, read_all
from .report import (
    DAMAGED,
    LEFT_OUT,
    OK,
    Told,
    compared,
    first_of,
    in_full,
    on_screen,
    outcome,
    plain,
)
from .scan import Found
from .splits import roles_of, splits_in_words
from .store import Draft, room_on_disk

KINDS = (*OFFICIAL, "folder", "unlabelled")
FRAMES = FrameSettings(frames_per_clip=32, hr_size=(112, 149))


@dataclass(frozen=True)
class How:
    """How the preparation runs; this does not change the result.

    Attributes:
        workers: reading processes; None means one per processor.
        dask: a Dask scheduler's address, or "local".
        limit: seconds without a decoded frame before a file counts as unreadable.
        strict: whether the first unreadable file or a missing clip stops the run.
        progress: whether to show progress bars.
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
    """Prepare a data set, continue a preparation, or return a prepared set.

    Args:
        kind: "ucf101", "hmdb51", "folder" (class folders) or "unlabelled" (any videos).
        source: an archive, a folder of archives, or a folder of clips; never written to.
        out: folder of the prepared set.
        lists: folder or archive of split lists, if the lists are not with the clips.
        settings: how frames are stored; fewer per clip if the longest clip has fewer.
        all_frames: store every frame of the longest clip, and equally many per other clip.

    Returns:
        ``out``, for :func:`data_prep.open_dataset`.

    Raises:
        DatasetError: nothing to prepare, another set in ``out``, a full disk, or (if strict) a
            file that cannot be read.
    """
    if kind not in KINDS:
        raise StatkitError(f"kind {kind!r} is not one of {KINDS}")
    how = how or How()
    source, out = Path(source).expanduser(), Path(out).expanduser().absolute()
    if not source.exists():
        raise DatasetError(f"{source}: no such file or folder")
    if source.absolute() == out:
        raise DatasetError(f"{out}: the prepared set needs a folder of its own, beside its source")
    waiting = f"another preparation is at work in {out}; waiting for it"
    is_new = not out.exists()
    try:
        with room_on_disk(out), locked(out / ".lock", waiting):
            return _Preparation(kind, source, out, lists, settings, all_frames, how).run()
    except StatkitError:
        if is_new and [file.name for file in out.rglob("*") if file.is_file()] == [".lock"]:
            shutil.rmtree(out)  # nothing was prepared
        raise


class _Preparation:
    def __init__(self, kind, source, out, lists, settings, all_frames, how: How):
        self.kind, self.source, self.out, self.how = kind, source, out, how
        self.official = OFFICIAL.get(kind)
        self.settings, self.all_frames = settings, all_frames
        self.labelled = kind != "unlabelled"
        official = self.official
        self.found = discover(
            source,
            lambda: out / "clips",
            labelled=self.labelled,
            lists=lists,
            style=official.style if official else "",
            lists_archives=[file.file for file in official.downloads[1:]] if official else (),
            leave=out,
            progress=how.progress,
        )
        self.root, self.clips = self.found.root, self.found.clips
        self.lists, self.match = self.found.lists, self.found.match
        self.contents = Contents(self.root)

    def run(self) -> Path:
        """Decode what is not decoded yet, and finish."""
        most = self._frames_per_clip()
        if self.all_frames or most < self.settings.frames_per_clip:  # all of every clip
            self.settings = replace(self.settings, frames_per_clip=most, consecutive=1)
        plan = fingerprint(self._plan())
        if is_prepared(self.out):
            return self._as_it_was(plan)
        if (self.out / "prepared").exists():
            raise DatasetError(f"{self.out / 'prepared'} is no whole prepared set; delete it first")
        against_lists = compared(self.official, self.lists, self.match)
        if against_lists:
            print(on_screen(against_lists), end="", flush=True)
        if self.how.strict and self.official and (self.match.missing or self.match.extra):
            raise DatasetError(
                f"{self.source}: {len(self.match.missing)} clips of the lists are missing and "
                f"{len(self.match.extra)} are extra"
            )
        draft = Draft(self.out / ".work", plan, self.settings, len(self.clips))
        with draft:
            self._read_clips(draft)
            final = draft.finish()
            if not final:
                name, why = self.clips[0].name, draft.done[0]["result"]["note"]
                raise DatasetError(
                    f"{self.source}: none of {len(self.clips)} files can be read ({name}: {why})"
                )
            lines, told = self._manifest(draft, final)
        self._finish(draft, plan, lines, told, against_lists)
        return self.out

    # --- what there is ----------------------------------------------------------------------

    def _frames_per_clip(self) -> int:
        """T: the requested number, or the frames that the longest clip's header promises if fewer;
        the first clip that promises enough frames ends the search."""
        most, asked = 1, self.settings.frames_per_clip
        what = "count" if self.all_frames else "promise"
        jobs = ((i, (what, str(self.root / c.name))) for i, c in self._readable())
        how = {"workers": self.how.workers, "limit": self.how.limit}
        for _, frames, _ in read_all(jobs, **how, report=self.out / "report.txt"):
            most = max(most, frames or 1)
            if most >= asked and not self.all_frames:
                return asked
        return most

    def _readable(self) -> Iterator[tuple[int, Found]]:
        return ((i, clip) for i, clip in enumerate(self.clips) if clip.reason is None)

    def _plan(self) -> list:
        """Everything known before decoding that the result depends on."""
        sizes = [(file_state(self.root / clip.name) or [0])[0] for clip in self.clips]
        clips = [(c.name, c.reason, size) for c, size in zip(self.clips, sizes, strict=True)]
        refused = list(self.found.refused)
        splits = self.lists and sorted(self.lists.splits.items())
        return [self.kind, self.settings.as_dict(), clips, refused, splits]

    # --- decoding ---------------------------------------------------------------------------

    def _read_clips(self, draft: Draft) -> None:
        states = {row: file_state(self.root / clip.name) for row, clip in self._readable()}
        stale = [
            row
            for row, entry in draft.done.items()
            if entry["state"] != states.get(row)
            or str(entry["result"].get("note")).startswith(PASSING)
        ]
        for row in stale:
            del draft.done[row]
        for row, clip in enumerate(self.clips):
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
        how = {"workers": self.how.workers, "limit": self.how.limit, "dask": self.how.dask}
        results = read_all(jobs, **how, report=self.out / "report.txt")
        for row, result, reason in progress_bar(
            results,
            label=f"clips of {self.out.name}",
            total=len(self.clips),
            initial=len(self.clips) - len(todo),
            show=self.how.progress,
        ):
            self._keep(draft, row, states[row], result or {"note": reason})

    def _keep(self, draft: Draft, row: int, state, result: dict) -> None:
        clip = self.clips[row]
        if self.how.strict and "sha256" not in result and clip.is_missed:
            raise DatasetError(plain(f"{self.root / clip.name}: {result['note']}"))
        draft.add(row, state, result)
        if "sha256" in result:
            self.contents.remember(clip.name, state, result["sha256"])

    # --- the end ----------------------------------------------------------------------------

    def _manifest(self, draft: Draft, final: dict[int, int]) -> tuple[list[dict], Told]:
        """The lines of the manifest, and the summary of the set."""
        kept = [self.clips[row] for row in sorted(final)]
        splits, guesses = roles_of(self.found, kept)
        roles = {clip.name: [of[i] for of in splits.values()] for i, clip in enumerate(kept)}
        lost = [c.name for _, c in self._readable() if c.is_video and c.name not in roles]
        digests = self.contents.digests(lost, progress=self.how.progress)
        lines = []
        for row, clip in enumerate(self.clips):
            result = draft.done[row]["result"]
            note = result.get("note") or result.get("remark", "")
            line = {"clip": clip.name, "label": clip.label, "note": note}
            line |= {"group": clip.group, "status": LEFT_OUT, "sha256": digests.get(clip.name, "")}
            if not self.labelled:
                line["label"] = "unlabelled"
            if row in final:
                line["status"] = DAMAGED if result["note"] else OK
                line |= {"row": final[row]} | {key: result[key] for key in FOUND}
                parts = zip(splits, roles[clip.name], strict=True)
                line |= {f"split{n}": role for n, role in parts}
            lines.append(line)
        told = Told(
            splits_in_words(self.found, kept, splits),
            [*self.found.guesses, *guesses],
            self.found.litter,
        )
        refused = (
            {"clip": c.name, "status": LEFT_OUT, "note": c.reason} for c in self.found.refused
        )
        return [*lines, *refused], told

    def _finish(self, draft: Draft, plan: str, lines, told: Told, against_lists) -> None:
        numbers = sorted(self.lists.splits) if self.lists else [1]
        inside = self.root.absolute()
        here = inside.is_relative_to(self.out)
        card = {
            "kind": self.kind,
            "plan": plan,
            "splits": numbers,
            "generated": self.found.generated is not None,
            "clips": inside.relative_to(self.out).as_posix() if here else str(inside),
        }
        read = outcome(lines, told, self.official)
        ready = draft.folder / "prepared"
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        card = write_prepared(ready, card, lines, self.settings, in_full(against_lists + read))
        draft.move(ready)
        ready.rename(self.out / "prepared")  # atomic
        trust(self.out, card)
        self.contents.save()
        shutil.rmtree(draft.folder)
        (self.out / "report.txt").unlink(missing_ok=True)  # of an earlier run that failed
        print(on_screen(read), end="", flush=True)

    def _as_it_was(self, plan: str) -> Path:
        """The set of an earlier run, if its clips and settings are the same."""
        dataset = open_prepared(self.out, progress=self.how.progress)
        if read_card(self.out)["plan"] != plan:
            raise DatasetError(
                f"{self.out} holds a set prepared from other clips or in another way; choose "
                f"another --out, or delete {self.out / 'prepared'} first"
            )
        lines = {line["clip"]: line["sha256"] for line in read_manifest(self.out)}
        names = [clip.name for clip in self.clips if lines.get(clip.name)]
        digests = self.contents.digests(names, progress=self.how.progress)
        other = [name for name in names if digests[name] not in ("", lines[name])]
        if other:
            raise DatasetError(
                f"{self.source}: {len(other)} clips were replaced since they were prepared "
                f"({first_of(other)}); to prepare all of them anew, delete "
                f"{self.out / 'prepared'} and run the same command, or choose another --out"
            )
        print(f"{self.out} is prepared already: {len(dataset)} clips")
        return self.out
