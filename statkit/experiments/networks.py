"""Trained networks of rows: one teacher per seed, whose targets are computed once, and one student
per row. A finished network is cached and never trained twice."""

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from statkit.backbones import MODELS
from statkit.data.clips import DatasetError, Split, VideoDataset
from statkit.data.stored import FrameStore, Source, store_frames
from statkit.evaluation import start_as_probe
from statkit.models import STATNet, build_model
from statkit.recipes import Recipe
from statkit.runtime.cache import (
    cache_folder,
    locked,
    read_cached,
    save_text,
    set_aside,
    write_atomically,
)
from statkit.runtime.device import device_name, pick_device
from statkit.runtime.distributed import barrier, broadcast_from_main
from statkit.runtime.processes import is_main
from statkit.shipped import manifest, shipped_weights
from statkit.teacher import LiveTeacher, Teacher
from statkit.training import CheckpointError, train_transfer

from .rows import ROWS, Row, staged
from .runs import equation_4, power_of, pretrained_of, recipe_of, run_name, student_size
from .settings import DEMO, ExperimentConfig
from .targets import CachedTeacher


class RowNetworks:
    """The trained network of each row of an experiment, on demand: cached, shipped or trained now.
    Arguments as in :class:`statkit.experiments.Experiment`."""

    def __init__(
        self,
        dataset: VideoDataset,
        config: ExperimentConfig = DEMO,
        seed: int = 0,
        *,
        rows: Mapping[str, Row] | None = None,
        unlabelled: VideoDataset | None = None,
        live_teacher: bool = False,
        fresh: bool = False,
        micro_batch: int | None = None,
        device: str = "auto",
        progress: bool = True,
    ):
        self.dataset, self.config, self.seed = dataset, config, seed
        self.rows = ROWS | dict(rows or {})
        if config.staged:
            self.rows = staged(self.rows)
        self.unlabelled, self.live_teacher, self.fresh = unlabelled, live_teacher, fresh
        self.micro_batch, self.device, self.progress = micro_batch, pick_device(device), progress
        self.split = dataset.split(config.split)
        _check_clips(dataset, self.split)
        self._networks: dict[str, STATNet] = {}
        self._teachers: dict[tuple, Teacher] = {}

    @cached_property
    def store(self) -> FrameStore:
        return self._stored(self.dataset)

    @cached_property
    def pool(self) -> tuple[FrameStore, np.ndarray]:
        """Frames and clip numbers of the unlabelled stage."""
        if self.unlabelled is None:
            return self.store, self.split.train
        return self._stored(self.unlabelled), np.arange(len(self.unlabelled))

    def _stored(self, dataset: VideoDataset) -> FrameStore:
        store = store_frames(dataset, self.config.frames, progress=self.progress)
        network = MODELS[self.config.backbone]
        segments = self.config.segments or network.segments
        store.require_consecutive(segments, network.frames_per_segment)
        return store

    def training_clips(self, row: str) -> np.ndarray:
        """int64 numbers of the clips that a row trains on, in the row's own store."""
        if not self.rows[row].labelled:
            return self.pool[1]
        clips, wanted = self.split.train, self.config.labelled
        if wanted is None or self.rows[row].input == "hr":
            return clips
        shuffled = np.random.default_rng(self.seed).permutation(clips)
        labels = self.dataset.labels[shuffled]
        chosen = [shuffled[labels == label][:wanted] for label in np.unique(labels)]
        return np.sort(np.concatenate(chosen))

    def source(self, row: str, store: FrameStore | None = None) -> Source:
        """The input pixels of a row's network, by default from the data set's store."""
        kind, frames, store = self.rows[row], self.config.frames, store or self.store
        if kind.input == "hr":
            return Source(store.hr, frames.hr_size)
        height, width = frames.hr_size
        enlarged = {"hr": (height, width), "half": (height // 2, width // 2), "lr": frames.lr_size}
        size = enlarged.get(kind.size, student_size(self.config))
        return Source(store.flow if kind.input == "flow" else store.lr, size)

    def network(self, row: str, *, on_epoch: Callable | None = None) -> STATNet:
        """The row's trained network in evaluation mode: cached, shipped, or trained now."""
        if row not in self._networks:
            network = self._kept(row) or self._as_shipped(row)
            if network is None:
                title = self.rows[row].title
                waiting = f"{title} is being trained by another process; waiting for it"
                lock = locked(self.folder(row) / ".lock", waiting)
                with lock if is_main() else nullcontext():  # one for a distributed training
                    network = self._kept(row) or self._train(row, on_epoch)
            self._networks[row] = network.to(self.device).eval()
        return self._networks[row]

    def _kept(self, row: str) -> STATNet | None:
        """The row's network from an earlier run; None if its files are absent or incomplete."""
        network, weights = None, self._weights(row)
        if is_main() and read_cached(self._run_file(row), _read_run):
            network = read_cached(weights, partial(self._read, row))
        kept = broadcast_from_main(network is not None)
        return self._read(row, weights) if kept and network is None else network

    def _as_shipped(self, row: str) -> STATNet | None:
        shipped = self.shipped(row)
        if shipped is None:
            return None
        about = f"prec@1 {shipped['result']['prec1']:.1f} %; fresh=True trains one here"
        print(f"{self.rows[row].title}: a network that ships with the kit ({about})")
        state = shipped_weights(self.folder(row).name)
        network = self.new_network(row)
        network.load_state_dict({name: torch.from_numpy(v) for name, v in state.items()})
        return network

    def _read(self, row: str, weights: Path) -> STATNet:
        network = self.new_network(row)
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return network

    def trained(self, row: str) -> bool:
        """Whether the cache or the kit holds the row's trained network."""
        parts = self.rows[row].fused_rows or (row,)
        return all(self._weights(one).is_file() or self.shipped(one) is not None for one in parts)

    def teacher(self, row: str = "stat") -> Teacher:
        """The fixed teacher of a row, cached or live (:meth:`keeps_targets`)."""
        kind, sizes, recipe = self.rows[row], self.map_sizes(row), self.recipe(row)
        which = kind.teacher, power_of(kind, self.config), tuple(sizes), kind.labelled
        if which not in self._teachers:
            store, clips = (self.store, self.split.train) if kind.labelled else self.pool
            network, source = self.network(kind.teacher), self.source(kind.teacher, store)
            live = LiveTeacher(network, source, precision=recipe.precision)
            live.network.power = power_of(kind, self.config)  # of a copy
            how = {"views": recipe.views, "fixed": recipe.fixed, "map_sizes": sizes}
            how["progress"] = self.progress
            keep = self.keeps_targets(row)
            self._teachers[which] = CachedTeacher(live, store, clips, **how) if keep else live
        return self._teachers[which]

    def keeps_targets(self, row: str) -> bool:
        """Whether a row's targets are cached: the teacher is 2-D, and computing the targets
        once is less work than computing them for each step of three transfer rows."""
        recipe, network = self.recipe(row), self.network("teacher")
        length = network.segments if recipe.fixed else self.store.settings.frames_per_clip
        too_many = recipe.views * length > 3 * self.config.recipe.epochs * network.segments
        return not (self.live_teacher or network.temporal or too_many)

    def map_sizes(self, row: str) -> list[tuple[int, int]]:
        """Height and width of the student's four maps, or of the teacher's maps if the student's
        maps are upsampled (without the time axis of a 3-D network)."""
        upsampled = self.config.choices.sizes == "upsample"
        size = self.source("teacher" if upsampled else row).size
        with torch.no_grad(), FakeTensorMode():  # computes shapes only
            network = self.new_network(row).eval()
            time = (network.frames_per_segment,) if network.temporal else ()
            output = network(torch.zeros(1, network.segments, 3, *time, *size))
        return [tuple(values.shape[-2:]) for values in output.attention_maps]

    def _train(self, row: str, on_epoch: Callable | None) -> STATNet:
        kind, recipe, clips = self.rows[row], self.recipe(row), self.training_clips(row)
        store = self.store if kind.labelled else self.pool[0]
        source = self.source(row, store)
        teacher = self.teacher(row) if kind.transfers else None
        torch.manual_seed(self.seed)
        network = self.new_network(row, pretrained=pretrained_of(kind, self.config))
        before = kind.before(self.rows)
        if before:
            network.load_state_dict(self.network(kind.start).state_dict())
        if kind.copies_tam and not (before and before.transfers):
            network.tam.load_state_dict(self.network(kind.teacher).tam.state_dict())
        knows_labels = any(row.labelled for row in kind.chain(self.rows)[1:])
        if recipe.start == "probe" and kind.labelled and not knows_labels:
            how = {"seed": self.seed, "keep_tam": kind.copies_tam}
            start_as_probe(network.to(self.device), source, store, clips, **how)
        checkpoint = self.folder(row) / "checkpoint.pt"
        train_now = partial(
            train_transfer,
            network,
            source,
            store,
            clips,
            recipe,
            teacher,
            partial(equation_4, kind, self.config),
            seed=self.seed,
            device=str(self.device),
            micro_batch=self.micro_batch,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
            progress=self.progress,
            label=f"{kind.title}, seed {self.seed}",
        )
        try:
            history = train_now()
        except CheckpointError as error:
            if is_main():
                set_aside(checkpoint, error)
            barrier()
            history = train_now()
        if is_main():
            run = {"seconds": history.seconds, "device": device_name(self.device)}
            save_text(self._run_file(row), json.dumps(run | {"history": history.epochs}))
            write_atomically(self._weights(row), partial(torch.save, network.state_dict()))
            checkpoint.unlink(missing_ok=True)
        barrier()
        return self._read(row, self._weights(row))

    def history(self, row: str) -> list[dict[str, float]]:
        """Mean loss parts of every epoch of a row's training."""
        self.network(row)
        return self.run(row)["history"]

    def new_network(self, row: str, *, pretrained: bool | str = False) -> STATNet:
        """The row's network before any training."""
        network = build_model(
            self.config.backbone,
            len(self.dataset.classes),
            self.config.segments,
            pretrained=pretrained,
            small_stem=self.rows[row].small_stem,
            shared_tam=self.config.choices.tam == "shared",
        )
        network.power = power_of(self.rows[row], self.config)
        network.channels = self.config.choices.channels
        return network

    def recipe(self, row: str) -> Recipe:
        """The training recipe of the row."""
        return recipe_of(self.rows[row], self.config)

    def run_name(self, row: str) -> str:
        """The name of the row's network in the cache."""
        return run_name(
            row,
            self.rows,
            self.config,
            self.seed,
            clips=self.dataset.fingerprint,
            unlabelled=None if self.unlabelled is None else self.unlabelled.fingerprint,
            live_teacher=self.live_teacher,
        )

    def folder(self, row: str) -> Path:
        return cache_folder("runs", self.run_name(row))

    def shipped(self, row: str) -> dict | None:
        """The manifest's entry of a shipped network; None if the kit does not use one here."""
        if self.fresh or self._weights(row).is_file():
            return None
        return manifest().get(self.folder(row).name)

    def run(self, row: str) -> dict:
        """Seconds, device and history of the row's training."""
        file = self._run_file(row)
        return _read_run(file) if file.is_file() else manifest()[file.parent.name]

    def _run_file(self, row: str) -> Path:
        return self.folder(row) / "run.json"

    def _weights(self, row: str) -> Path:
        return self.folder(row) / "weights.pt"


def _check_clips(dataset: VideoDataset, split: Split) -> None:
    """Raise DatasetError for clips that do not suffice for training or for a test."""
    if len(dataset.classes) < 2:
        raise DatasetError(
            f"{dataset.name} has one class, {dataset.classes[0]!r}: at least two are needed"
        )
    for part, clips, least in (("training", split.train, 2), ("test", split.test, 1)):
        if len(clips) < least:
            raise DatasetError(
                f"{dataset.name} has {len(clips)} {part} clips, at least {least} are needed: add "
                "clips, or name lists that give some to that part"
            )


def _read_run(file: Path) -> dict:
    run = json.loads(file.read_text("utf-8"))
    return {name: run[name] for name in ("seconds", "device", "history")}
