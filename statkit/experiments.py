"""Rows as runs: one teacher a seed, what it said of the training clips kept once, and a student a
row. A finished run is kept and never done twice."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from .cache import cache_folder, fingerprint, write_atomically
from .clips import VideoDataset
from .datasets import FrameStore, Source, store_frames
from .device import device_name, pick_device
from .distributed import main_says, wait
from .embedding import nearest_names, neighbours
from .evaluation import Evaluation, Look, evaluate, linear_probe, look_at, precision_at_k
from .flow import flow_frames
from .models import MODELS, STATNet, build_model
from .progress import progress_bar
from .ranks import is_main
from .results import Result
from .rows import ROWS, SCRATCH, Row
from .runs import equation_4, power_of, recipe_of, run_name
from .settings import DEMO, Setting
from .targets import KeptTargets, LiveTeacher, Teacher
from .training import Recipe, start_as_probe, train_transfer


class Experiment:
    """One setting on one data set with one seed; its rows on demand.

    Args:
        dataset, setting, seed: what it is.
        rows: rows of one's own, by name, besides those of :data:`statkit.rows.ROWS`.
        unlabelled: clips for the unlabelled stage (Section 3.3.1); the training clips when None.
        live_teacher: look at the HR frames of every batch anew, exactly, instead of keeping in
            half precision what the teacher says.
        device: see :func:`statkit.device.pick_device`.
        progress: whether to show bars.
    """

    def __init__(
        self,
        dataset: VideoDataset,
        setting: Setting = DEMO,
        seed: int = 0,
        *,
        rows: Mapping[str, Row] | None = None,
        unlabelled: VideoDataset | None = None,
        live_teacher: bool = False,
        device: str = "auto",
        progress: bool = True,
    ):
        self.dataset, self.setting, self.seed = dataset, setting, seed
        self.rows = ROWS | dict(rows or {})
        self.unlabelled, self.live_teacher = unlabelled, live_teacher
        self.device, self.progress = pick_device(device), progress
        self.split = dataset.split(setting.split)
        self._networks: dict[str, STATNet] = {}
        self._teachers: dict[tuple, Teacher] = {}
        self._looks: dict[tuple[str, int], Look] = {}

    @cached_property
    def store(self) -> FrameStore:
        return store_frames(self.dataset, self.setting.frames, progress=self.progress)

    @cached_property
    def pool(self) -> tuple[FrameStore, np.ndarray]:
        """Frames and clip numbers of the unlabelled stage."""
        if self.unlabelled is None:
            return self.store, self.split.train
        store = store_frames(self.unlabelled, self.setting.frames, progress=self.progress)
        return store, np.arange(len(self.unlabelled))

    def training_clips(self, row: str) -> np.ndarray:
        """int64 clip numbers that a row learns from, in its own store."""
        if not self.rows[row].labelled:
            return self.pool[1]
        clips, wanted = self.split.train, self.setting.labelled
        if wanted is None or self.rows[row].side == "hr":
            return clips
        shuffled = np.random.default_rng(self.seed).permutation(clips)
        labels = self.dataset.labels[shuffled]
        chosen = [shuffled[labels == label][:wanted] for label in np.unique(labels)]
        return np.sort(np.concatenate(chosen))

    def source(self, row: str, store: FrameStore | None = None) -> Source:
        """The pixels that a row's network sees, of the data set's clips or another store's."""
        kind, frames, store = self.rows[row], self.setting.frames, store or self.store
        if kind.side == "hr":
            return Source(store.hr, frames.hr_size)
        enlarged = {"hr": frames.hr_size, "lr": frames.lr_size}
        own = min(self.setting.student_size or frames.hr_size, frames.hr_size)
        size = enlarged.get(kind.size, own)
        if kind.side == "flow":
            return Source(self._flow, size)
        return Source(store.lr, size)

    @cached_property
    def _flow(self) -> np.ndarray:
        low = self.store.lr
        clips = progress_bar(low, label="optical flow", total=len(low), show=self.progress)
        return np.stack([flow_frames(clip) for clip in clips])

    def network(self, row: str, *, on_epoch: Callable | None = None) -> STATNet:
        """The row's trained network in evaluation mode: trained now, or as kept."""
        if row not in self._networks:
            if not main_says(self._weights(row).is_file()):
                with self._alone(row):
                    if not main_says(self._weights(row).is_file()):
                        self._train(row, on_epoch)
            network = self._new(row, pretrained=False).to(self.device)
            state = torch.load(self._weights(row), map_location="cpu", weights_only=True)
            network.load_state_dict(state)
            self._networks[row] = network.eval()
        return self._networks[row]

    @contextmanager
    def _alone(self, row: str) -> Iterator[None]:
        """No other process trains the row meanwhile, but those that train together."""
        if not is_main():
            yield
            return
        lock = FileLock(self._folder(row) / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{self.rows[row].title} is being trained by another process; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def evaluate(self, row: str) -> Evaluation:
        """The row's network on the test clips. Of fused rows, the mean class probabilities."""
        if self.rows[row].fuses:
            parts = [self.evaluate(part) for part in self.rows[row].fuses]
            logits = self._fused(row, [part.logits.softmax(1) for part in parts]).log()
            labels = torch.from_numpy(self.dataset.labels[self.split.test])
            prec1, prec5 = precision_at_k(logits, labels)
            return replace(
                parts[0],
                prec1=prec1,
                prec5=prec5,
                logits=logits,
                on_actor=None,
                in_action=None,
                in_action_blind=None,
            )
        return evaluate(
            self.network(row),
            self.source(row),
            self.store,
            self.split.test,
            precision=self.setting.recipe.precision,
            flips=self.setting.reading.flips,
            offsets=self.setting.reading.offsets,
        )

    def _fused(self, row: str, probabilities: Sequence[torch.Tensor]) -> torch.Tensor:
        """Late fusion (Table 4): the weighted mean of two streams' class probabilities."""
        streams = [self.rows[part].side for part in self.rows[row].fuses]
        weights = [self.setting.reading.flow_weight if s == "flow" else 1.0 for s in streams]
        parts = [weight * part for weight, part in zip(weights, probabilities, strict=True)]
        return sum(parts) / sum(weights)

    def result(self, row: str) -> Result:
        """The row's line of the table: measured now, or as kept."""
        unusual, parts = self.setting.reading.unusual(), self.rows[row].fuses or (row,)
        file = self._folder(row) / f"result{'-' + fingerprint(unusual) if unusual else ''}.json"
        if not main_says(file.is_file()):
            for part in parts:
                self.network(part)
            if is_main():
                self._measure(row, parts, file)
            wait()
        return Result(**json.loads(file.read_text()))

    def _measure(self, row: str, parts: Sequence[str], file: Path) -> None:
        evaluation = self.evaluate(row)
        runs = [json.loads((self._folder(part) / "run.json").read_text()) for part in parts]
        result = replace(
            self._result(row, evaluation.prec1, evaluation.prec5),
            epochs=self._recipe(row).epochs,
            seconds=round(sum(run["seconds"] for run in runs), 1),
            device=runs[0]["device"],
            on_actor=evaluation.on_actor and evaluation.on_actor[-1],
            in_action=evaluation.in_action,
            in_action_blind=evaluation.in_action_blind,
            neighbours=round(self._neighbours(evaluation), 3),
        )
        text = json.dumps(asdict(result), indent=1)
        write_atomically(file, lambda path: path.write_text(text))

    def _parameters(self, row: Row | None = None) -> str:
        """All that a run depends on besides its seed and the clips, as one line of JSON."""
        made = {"dataset": self.dataset.name, "setting": asdict(self.setting)}
        if row:
            made["row"] = asdict(row)
        return json.dumps(made, sort_keys=True, default=str)

    def _neighbours(self, evaluation: Evaluation) -> float:
        near = neighbours(evaluation.embedding.numpy())
        return nearest_names(near, self.dataset.labels[self.split.test])

    def look(self, row: str, clip: int) -> Look:
        """The row's network looking at one clip; kept, so that a slider finds it again."""
        if (row, clip) not in self._looks:
            self._looks[row, clip] = look_at(self.network(row), self.source(row), self.store, clip)
        return self._looks[row, clip]

    def trained(self, row: str) -> bool:
        """Whether the row's network is kept from an earlier run."""
        return self._weights(row).is_file()

    def probe(self, side: str) -> Result:
        """A linear classifier on the frozen pretrained backbone: what a trained network must beat.

        Args:
            side: "hr" or "lr", whose pixels it sees.
        """
        start = time.perf_counter()
        torch.manual_seed(self.seed)
        row = "teacher" if side == "hr" else "student"
        network = self._new(row, pretrained=self.setting.pretrained).to(self.device)
        source, labels = self.source(row), self.dataset.labels
        train, test = (
            evaluate(network, source, self.store, clips).features.mean(1) for clips in self.split
        )
        prec1, prec5 = linear_probe(
            train, labels[self.split.train], test, labels[self.split.test], seed=self.seed
        )
        name = "linear_probe_hr" if side == "hr" else "linear_probe"
        seconds = round(time.perf_counter() - start, 1)
        seen = replace(self._result(row, prec1, prec5), row=name, seconds=seconds)
        return replace(seen, parameters=self._parameters())

    def _result(self, row: str, prec1: float, prec5: float) -> Result:
        frames = self.setting.frames
        size = frames.hr_size if self.rows[row].side == "hr" else frames.lr_size
        return Result(
            row=row,
            backbone=self.setting.backbone,
            resolution=f"{size[0]}x{size[1]}",
            seed=self.seed,
            split=self.setting.split,
            prec1=round(prec1, 3),
            prec5=round(prec5, 3),
            epochs=0,
            seconds=0.0,
            device=device_name(self.device),
            fingerprint=self.store.fingerprint,
            labelled=self.setting.labelled,
            parameters=self._parameters(self.rows[row]),
        )

    def teacher(self, row: str = "stat") -> Teacher:
        """The fixed teacher as a source of targets for a row.

        Kept where that is less work than looking again for each of a table's three transfer rows;
        a 3-D network always looks again.
        """
        kind, sizes = self.rows[row], tuple(self._map_sizes(row))
        which = power_of(kind, self.setting), sizes, kind.labelled
        if which not in self._teachers:
            self._teachers[which] = self._new_teacher(row)
        return self._teachers[which]

    def _new_teacher(self, row: str) -> Teacher:
        recipe = self._recipe(row)
        store, clips = (self.store, self.split.train) if self.rows[row].labelled else self.pool
        network = copy.copy(self.network("teacher"))
        network.power = power_of(self.rows[row], self.setting)
        live = LiveTeacher(network, self.source("teacher", store), precision=recipe.precision)
        fixed = recipe.looks == "fixed"
        frames_kept = recipe.views * (network.segments if fixed else store.settings.frames_per_clip)
        epochs = self.setting.recipe.epochs
        too_many = frames_kept > 3 * epochs * network.segments
        if self.live_teacher or network.temporal or too_many:
            return live
        return KeptTargets(
            live,
            store,
            clips,
            views=recipe.views,
            map_sizes=self._map_sizes(row),
            fixed=fixed,
            progress=self.progress,
        )

    def _map_sizes(self, row: str) -> list[tuple[int, int]]:
        """Height and width of the student's four maps, or of the teacher's where the student's are
        brought to them (without the time axis of a 3-D network)."""
        network = self._new(row, pretrained=False).eval()
        frames = (MODELS[network.name].frames_per_segment,) if network.temporal else ()
        upsampled = self.setting.reading.sizes == "upsample"
        size = self.source("teacher" if upsampled else row).size
        with torch.no_grad():
            output = network(torch.zeros(1, network.segments, 3, *frames, *size))
        return [tuple(values.shape[-2:]) for values in output.attention_maps]

    def _train(self, row: str, on_epoch: Callable | None) -> None:
        kind, folder = self.rows[row], self._folder(row)
        recipe, clips = self._recipe(row), self.training_clips(row)
        store = self.store if kind.labelled else self.pool[0]
        source = self.source(row, store)
        teacher = self.teacher(row) if kind.transfers else None
        torch.manual_seed(self.seed)
        pretrained = self.setting.pretrained if kind.start != SCRATCH else False
        network = self._new(row, pretrained=pretrained)
        before = kind.before(self.rows)
        if before:
            network.load_state_dict(self.network(kind.start).state_dict())
        if kind.transfers and not (before and before.transfers):
            network.tam.load_state_dict(self.network("teacher").tam.state_dict())
        knows_labels = before is not None and before.labelled
        if recipe.start == "probe" and kind.labelled and not knows_labels:
            how = {"seed": self.seed, "keep_tam": kind.transfers}
            start_as_probe(network.to(self.device), source, store, clips, **how)
        checkpoint = folder / "checkpoint.pt"
        start = time.perf_counter()
        history = train_transfer(
            network,
            source,
            store,
            clips,
            recipe,
            teacher,
            partial(equation_4, kind, self.setting),
            seed=self.seed,
            device=str(self.device),
            checkpoint=checkpoint,
            on_epoch=on_epoch,
            progress=self.progress,
            label=f"{kind.title}, seed {self.seed}",
        )
        if is_main():
            run = {
                "seconds": time.perf_counter() - start,
                "device": device_name(self.device),
                "history": history.epochs,
            }
            write_atomically(folder / "run.json", lambda path: path.write_text(json.dumps(run)))
            state = network.state_dict()
            write_atomically(self._weights(row), lambda path: torch.save(state, path))
            checkpoint.unlink(missing_ok=True)
        wait()

    def history(self, row: str) -> list[dict[str, float]]:
        """Mean loss parts of every epoch of a row's training."""
        self.network(row)
        return json.loads((self._folder(row) / "run.json").read_text())["history"]

    def _new(self, row: str, *, pretrained) -> STATNet:
        network = build_model(
            self.setting.backbone,
            len(self.dataset.classes),
            self.setting.segments,
            pretrained=pretrained,
            small_stem=self.rows[row].small_stem,
            shared_tam=self.setting.reading.tam == "shared",
        )
        network.power = power_of(self.rows[row], self.setting)
        network.channels = self.setting.reading.channels
        return network

    def _recipe(self, row: str) -> Recipe:
        return recipe_of(self.rows[row], self.setting)

    def _folder(self, row: str) -> Path:
        name = run_name(
            row,
            self.rows,
            self.setting,
            self.seed,
            clips=self.dataset.fingerprint,
            unlabelled=None if self.unlabelled is None else self.unlabelled.fingerprint,
            live_teacher=self.live_teacher,
        )
        return cache_folder("runs", name)

    def _weights(self, row: str) -> Path:
        return self._folder(row) / "weights.pt"
