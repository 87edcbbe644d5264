"""One experiment: the rows of the paper's tables on one data set, with one configuration and one
seed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from statkit.data.own_clip import OwnClip
from statkit.evaluation import Evaluation, Prediction, predict_frames, predict_stored
from statkit.runtime.cache import read_cached, save_text
from statkit.runtime.distributed import barrier, broadcast_from_main
from statkit.runtime.processes import is_main

from .measure import evaluate_row, measure, parameters_of, probe
from .networks import RowNetworks
from .results import Result
from .runs import result_name


class Experiment(RowNetworks):
    """One configuration on one data set with one seed; it trains and measures rows on demand.

    Args:
        dataset, config, seed: the experiment's data set, configuration and seed.
        rows: the user's own rows, by name, in addition to :data:`statkit.experiments.rows.ROWS`.
        unlabelled: clips for the unlabelled stage (Section 3.3.1); the training clips when None.
        live_teacher: compute the teacher's exact outputs for every batch, instead of caching the
            outputs in half precision.
        fresh: ignore shipped networks (use the cache, or train); otherwise a network from the
            kit (:mod:`statkit.shipped`) is used if it has the name of the run.
        micro_batch: see :func:`statkit.training.train_transfer`.
        device: see :func:`statkit.runtime.device.pick_device`.
        progress: whether to show progress bars.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._predictions: dict[tuple[str, int], Prediction] = {}

    def evaluate(self, row: str) -> Evaluation:
        """Evaluate the row's network on the test clips; fused rows average class probabilities."""
        return evaluate_row(self, row)

    def probe(self, side: str) -> Result:
        """A linear classifier on the frozen pretrained backbone, see
        :func:`statkit.experiments.measure.probe`."""
        return probe(self, side)

    def result(self, row: str) -> Result:
        """The row's line of the table, measured now or read from the cache."""
        file, parts = (
            self.folder(row) / result_name(self.config),
            self.rows[row].fused_rows or (row,),
        )
        shipped = None if file.name != "result.json" else self.shipped(row)
        kept = Result(**shipped["result"]) if shipped else None
        if kept is None:
            kept = broadcast_from_main(read_cached(file, _read_result) if is_main() else None)
        if kept is None:
            for part in parts:
                self.network(part)
            if is_main():
                runs = [self.run(part) for part in parts]
                text = json.dumps(asdict(measure(self, row, runs)), indent=1)
                save_text(file, text)
            barrier()
            kept = _read_result(file)
        return replace(kept, parameters=parameters_of(self, row))

    def with_attention(self, row: str) -> Result:
        """As :meth:`result`; what the row's attention says is measured now if an older version of
        the kit made the result."""
        found = self.result(row)
        if found.specific is None and not self.rows[row].fused_rows:
            self.network(row)
            return measure(self, row, [self.run(row)])
        return found

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
