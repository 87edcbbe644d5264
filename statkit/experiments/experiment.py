"""One experiment: the rows of the paper's tables on one data set, with one configuration and one
seed; and the measurements of trained rows: test accuracy, attention scores, a linear probe."""

import copy
import json
import time
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from statkit.analysis.agreement import Agreement, agreement
from statkit.analysis.embedding import knn_accuracy, neighbours
from statkit.data.own_clip import OwnClip
from statkit.evaluation import (
    Evaluation,
    Prediction,
    evaluate,
    forward_eval,
    linear_probe,
    precision_at_k,
    predict_frames,
    predict_stored,
    weight_distances,
)
from statkit.models import STATNet
from statkit.runtime.cache import read_cached, save_text
from statkit.runtime.device import device_name
from statkit.runtime.distributed import barrier, broadcast_from_main
from statkit.runtime.processes import is_main
from statkit.sampling import eval_batches

from .networks import RowNetworks
from .results import Result
from .runs import result_name

PROBED = {"hr": ("teacher", "linear_probe_hr"), "lr": ("student", "linear_probe")}


class Experiment(RowNetworks):
    """One configuration on one data set with one seed; it trains and measures rows on demand.

    Args:
        rows: the user's own rows, by name, in addition to :data:`statkit.experiments.rows.ROWS`.
        unlabelled: clips for the unlabelled stage (Section 3.3.1); the training clips when None.
        live_teacher: compute the teacher's exact outputs for every batch, instead of caching the
            outputs in half precision.
        fresh: ignore shipped networks (use the cache, or train); otherwise a network from the
            kit (:mod:`statkit.shipped`) is used if it has the name of the run.
        micro_batch: see :func:`statkit.training.train_transfer`.
        device: see :func:`statkit.runtime.device.pick_device`.
    """

    @cached_property
    def _predictions(self) -> dict[tuple[str, int], Prediction]:
        return {}

    def evaluate(self, row: str) -> Evaluation:
        """Evaluate the row's network on the test clips. Fused rows (Table 4) average the class
        probabilities of their streams, flow with the weight ``flow_weight``."""
        choices, fused, test = self.config.choices, self.rows[row].fused_rows, self.split.test
        if fused:
            parts = [self.evaluate(part) for part in fused]
            flow = [self.rows[part].input == "flow" for part in fused]
            weights = [choices.flow_weight if stream else 1.0 for stream in flow]
            shares = [w * p.logits.softmax(1) for w, p in zip(weights, parts, strict=True)]
            logits = (sum(shares) / sum(weights)).log()
            prec1, prec5 = precision_at_k(logits, torch.from_numpy(self.dataset.labels[test]))
            unknown = dict.fromkeys(("on_actor", "in_action", "in_action_blind"))
            unknown |= {"from_blind": (), "specific": ()}
            return replace(parts[0], prec1=prec1, prec5=prec5, logits=logits, **unknown)
        how = {"flips": choices.flips, "offsets": choices.offsets}
        how["precision"] = self.config.recipe.precision
        return evaluate(self._with_power_1(row), self.source(row), self.store, test, **how)

    def _with_power_1(self, row: str) -> STATNet:
        network = copy.copy(self.network(row))
        network.power = 1  # one scale of maps for all rows
        return network

    def agreement(self, row: str) -> Agreement:
        """How far the row's attention agrees with that of its teacher on the test clips."""
        pair = row, self.rows[row].teacher
        both = [(self._with_power_1(one), self.source(one)) for one in pair]
        (network, _), precision = both[0], self.config.recipe.precision
        where = self.split.test, self.store.lengths, network.segments, network.frames_per_segment
        self.store.fill(self.split.test)
        return agreement(
            tuple(forward_eval(*one, draw, precision=precision) for one in both)
            for draw in eval_batches(*where, batch_size=32)
        )

    def _has_teacher(self, row: str) -> bool:
        """Whether the agreement with the row's teacher can be measured: without training it here,
        and without frames that the set does not have."""
        kind = self.rows[row]
        student = kind.input != "hr" and not kind.fused_rows
        frames = self.rows[kind.teacher].input != "hr" or self.store.has("hr")
        return student and frames and self.trained(kind.teacher)

    def measure(self, row: str) -> Result:
        """The row's line of a table, measured now."""
        evaluation = self.evaluate(row)
        runs = [self.run(part) for part in self.rows[row].fused_rows or (row,)]
        near = neighbours(evaluation.embedding.numpy())
        attention = {}
        if evaluation.specific:  # fused rows have no attention of their own
            from_equal, spread = weight_distances(evaluation.weights)
            attention = {"from_equal": from_equal, "spread": spread}
            attention |= {n: sum(getattr(evaluation, n)) / 4 for n in ("from_blind", "specific")}
        if self._has_teacher(row):
            maps, weights = self.agreement(row)
            attention |= {"map_agreement": sum(maps) / 4, "weight_agreement": weights}
        return self._line(
            row,
            (evaluation.prec1, evaluation.prec5),
            epochs=self.recipe(row).epochs,
            seconds=sum(run["seconds"] for run in runs),
            device=runs[0]["device"],
            on_actor=evaluation.on_actor and evaluation.on_actor[-1],
            in_action=evaluation.in_action,
            in_action_blind=evaluation.in_action_blind,
            neighbours=round(knn_accuracy(near, self.dataset.labels[self.split.test]), 3),
            parameters=self._parameters(row),
            **{name: round(value, 4) for name, value in attention.items() if np.isfinite(value)},
        )

    def probe(self, side: str) -> Result:
        """A linear classifier on the frozen pretrained backbone and "hr" or "lr" frames; training
        should exceed its result. The side "pixels" uses no network, but the raw pixels of one LR
        frame per clip, the middle one: it tells how much of the class the scene alone gives away.
        """
        start, store, labels = time.perf_counter(), self.store, self.dataset.labels
        if side == "pixels":
            row, name, seed = "student", "pixel_probe", 0
            features = [
                torch.from_numpy(np.stack([store.lr[c, store.lengths[c] // 2] for c in clips]))
                .flatten(1)
                .float()
                for clips in self.split
            ]
        else:
            (row, name), seed = PROBED[side], self.seed
            torch.manual_seed(seed)
            network = self.new_network(row, pretrained=self.config.pretrained).to(self.device)
            features = [
                evaluate(network, self.source(row), store, clips).features.mean(1)
                for clips in self.split
            ]
        (train, test), (known, asked) = features, (labels[clips] for clips in self.split)
        found = linear_probe(train, known, test, asked, seed=seed)
        about = {"seconds": time.perf_counter() - start, "parameters": self._parameters()}
        return replace(self._line(row, found, **about), row=name)

    def _line(self, row: str, precision: tuple[float, float], *, seconds: float, **more) -> Result:
        frames, prec = self.config.frames, [round(value, 3) for value in precision]
        size = frames.hr_size if self.rows[row].input == "hr" else frames.lr_size
        about = {"epochs": 0, "device": device_name(self.device), "labelled": self.config.labelled}
        return Result(
            row,
            self.config.backbone,
            f"{size[0]}x{size[1]}",
            self.seed,
            self.config.split,
            *prec,
            seconds=round(seconds, 1),
            fingerprint=self.store.fingerprint,
            **about | more,
        )

    def _parameters(self, row: str | None = None) -> str:
        """Everything that a run depends on except its seed and the clips, as one line of JSON;
        without a row, everything that a linear probe depends on."""
        made = {"dataset": self.dataset.name, "config": asdict(self.config)}
        if row:
            made["row"] = asdict(self.rows[row])
        return json.dumps(made, sort_keys=True, default=str)

    def result(self, row: str) -> Result:
        """The row's line of the table, measured now or read from the cache."""
        file = self.folder(row) / result_name(self.config)
        shipped = self.shipped(row) if file.name == "result.json" else None
        kept = Result(**shipped["result"]) if shipped else None
        if kept is None:
            kept = broadcast_from_main(read_cached(file, _read_result) if is_main() else None)
        if kept is None:
            for part in self.rows[row].fused_rows or (row,):
                self.network(part)
            if self._has_teacher(row):
                self.network(self.rows[row].teacher)
            if is_main():
                save_text(file, json.dumps(asdict(self.measure(row)), indent=1))
            barrier()
            kept = _read_result(file)
        return replace(kept, parameters=self._parameters(row))

    def with_attention(self, row: str) -> Result:
        """As :meth:`result`; what the row's attention says is measured now if an older version of
        the kit made the result."""
        found = self.result(row)
        old = found.specific is None and not self.rows[row].fused_rows
        return self.measure(row) if old else found

    def predict(self, row: str, clip: int) -> Prediction:
        """The row's prediction for one clip, held in memory so that a slider can reuse it."""
        if (row, clip) not in self._predictions:
            self._predictions[row, clip] = predict_stored(
                self.network(row), self.source(row), self.store, clip
            )
        return self._predictions[row, clip]

    def predict_clip(self, row: str, clip: OwnClip) -> Prediction:
        """The row's prediction for a clip that belongs to no data set."""
        frames = clip.hr if self.rows[row].input == "hr" else clip.lr
        size, classes = self.source(row).size, self.dataset.classes
        return predict_frames(self.network(row), frames, size, classes)


def _read_result(file: Path) -> Result:
    return Result(**json.loads(file.read_text("utf-8")))
