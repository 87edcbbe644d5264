"""Measurements of a trained row: test accuracy, attention scores, and a linear probe for
comparison. Each function takes the networks that it measures."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import torch

from statkit.analysis.embedding import knn_accuracy, neighbours
from statkit.evaluation import (
    Evaluation,
    evaluate,
    linear_probe,
    precision_at_k,
    weight_distances,
)
from statkit.runtime.device import device_name

from .networks import RowNetworks
from .results import Result


def evaluate_row(experiment: RowNetworks, row: str) -> Evaluation:
    """Evaluate the row's network on the test clips; fused rows average class probabilities."""
    config = experiment.config
    if experiment.rows[row].fused_rows:
        parts = [evaluate_row(experiment, part) for part in experiment.rows[row].fused_rows]
        logits = _fused(experiment, row, [part.logits.softmax(1) for part in parts]).log()
        labels = torch.from_numpy(experiment.dataset.labels[experiment.split.test])
        prec1, prec5 = precision_at_k(logits, labels)
        unknown = dict.fromkeys(("on_actor", "in_action", "in_action_blind"))
        unknown |= {"from_blind": (), "specific": ()}
        return replace(parts[0], prec1=prec1, prec5=prec5, logits=logits, **unknown)
    return evaluate(
        experiment.network(row),
        experiment.source(row),
        experiment.store,
        experiment.split.test,
        precision=config.recipe.precision,
        flips=config.choices.flips,
        offsets=config.choices.offsets,
    )


def measure(experiment: RowNetworks, row: str, runs: Sequence[dict]) -> Result:
    """The row's line of a table.

    Args:
        runs: training records of the row, or of each of its fused rows.
    """
    evaluation = evaluate_row(experiment, row)
    near = neighbours(evaluation.embedding.numpy())
    labels = experiment.dataset.labels[experiment.split.test]
    attention = {}
    if evaluation.specific:  # fused rows have no attention of their own
        found = (*evaluation.from_blind, *evaluation.specific)
        from_equal, spread = weight_distances(evaluation.weights)
        attention = {"from_blind": sum(found[:4]) / 4, "specific": sum(found[4:]) / 4}
        attention |= {"from_equal": from_equal, "spread": spread}
    return replace(
        _result(experiment, row, evaluation.prec1, evaluation.prec5),
        epochs=experiment.recipe(row).epochs,
        seconds=round(sum(run["seconds"] for run in runs), 1),
        device=runs[0]["device"],
        on_actor=evaluation.on_actor and evaluation.on_actor[-1],
        in_action=evaluation.in_action,
        in_action_blind=evaluation.in_action_blind,
        neighbours=round(knn_accuracy(near, labels), 3),
        **{name: round(value, 4) for name, value in attention.items()},
    )


def probe(experiment: RowNetworks, side: str) -> Result:
    """A linear classifier on the frozen pretrained backbone; training should exceed its result.

    Args:
        side: "hr" or "lr", the input frames; "pixels", a linear classifier on the raw pixels of
            one LR frame per clip, the middle one. It uses no network: it tells how much of the
            class the scene alone gives away.
    """
    start = time.perf_counter()
    if side == "pixels":
        return _pixel_probe(experiment, start)
    torch.manual_seed(experiment.seed)
    row = "teacher" if side == "hr" else "student"
    network = experiment.new_network(row, pretrained=experiment.config.pretrained)
    network.to(experiment.device)
    source, labels, split = experiment.source(row), experiment.dataset.labels, experiment.split
    train, test = (
        evaluate(network, source, experiment.store, clips).features.mean(1) for clips in split
    )
    prec1, prec5 = linear_probe(
        train, labels[split.train], test, labels[split.test], seed=experiment.seed
    )
    name = "linear_probe_hr" if side == "hr" else "linear_probe"
    seconds = round(time.perf_counter() - start, 1)
    seen = replace(_result(experiment, row, prec1, prec5), row=name, seconds=seconds)
    return replace(seen, parameters=parameters_of(experiment))


def _pixel_probe(experiment: RowNetworks, start: float) -> Result:
    store, labels = experiment.store, experiment.dataset.labels
    train, test = (
        torch.from_numpy(np.stack([store.lr[clip, store.lengths[clip] // 2] for clip in clips]))
        for clips in experiment.split
    )
    found = linear_probe(
        train.flatten(1).float(),
        labels[experiment.split.train],
        test.flatten(1).float(),
        labels[experiment.split.test],
    )
    seconds = round(time.perf_counter() - start, 1)
    result = replace(_result(experiment, "student", *found), row="pixel_probe", seconds=seconds)
    return replace(result, parameters=parameters_of(experiment))


def _fused(
    experiment: RowNetworks, row: str, probabilities: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Late fusion (Table 4): the weighted mean of two streams' class probabilities."""
    streams = [experiment.rows[part].input for part in experiment.rows[row].fused_rows]
    flow_weight = experiment.config.choices.flow_weight
    weights = [flow_weight if stream == "flow" else 1.0 for stream in streams]
    parts = [weight * part for weight, part in zip(weights, probabilities, strict=True)]
    return sum(parts) / sum(weights)


def _result(experiment: RowNetworks, row: str, prec1: float, prec5: float) -> Result:
    config, frames = experiment.config, experiment.config.frames
    size = frames.hr_size if experiment.rows[row].input == "hr" else frames.lr_size
    return Result(
        row=row,
        backbone=config.backbone,
        resolution=f"{size[0]}x{size[1]}",
        seed=experiment.seed,
        split=config.split,
        prec1=round(prec1, 3),
        prec5=round(prec5, 3),
        epochs=0,
        seconds=0.0,
        device=device_name(experiment.device),
        fingerprint=experiment.store.fingerprint,
        labelled=config.labelled,
        parameters=parameters_of(experiment, row),
    )


def parameters_of(experiment: RowNetworks, row: str | None = None) -> str:
    """Everything that a run depends on except its seed and the clips, as one line of JSON; without
    a row, everything that a linear probe depends on."""
    made = {"dataset": experiment.dataset.name, "config": asdict(experiment.config)}
    if row:
        made["row"] = asdict(experiment.rows[row])
    return json.dumps(made, sort_keys=True, default=str)
