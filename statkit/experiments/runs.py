"""A run is one row under one setting with one seed: its recipe, its loss in every epoch, and a name
that changes with all that its result depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from statkit.losses import STATLoss
from statkit.recipes import Recipe
from statkit.runtime.cache import fingerprint
from statkit.schedules import inner_weights

from .rows import SCRATCH, Row
from .settings import TRAINING, Setting

FROM_SCRATCH = {"rate": 1e-3, "backbone_rate": None, "batchnorm": "train", "start": "random"}


def recipe_of(row: Row, setting: Setting) -> Recipe:
    """The setting's recipe with the row's own number of epochs; from random weights, without what
    a pretrained backbone needs."""
    recipe = setting.recipe
    if row.start == SCRATCH and setting.pretrained:
        recipe = replace(recipe, **FROM_SCRATCH)
    epochs = recipe.epochs
    if row.side != "hr" and row.labelled:
        epochs = setting.student_epochs or epochs
    epochs = max(1, round(epochs * row.length))
    if row.most:
        epochs = min(epochs, row.most)
    return replace(recipe, epochs=epochs)


def power_of(row: Row, setting: Setting) -> int:
    """p of Equation 1: the row's, or as the setting reads the paper."""
    return row.power or setting.reading.power


def equation_4(row: Row, setting: Setting, epoch: int) -> STATLoss:
    """The row's loss in one epoch."""
    reading, epochs = setting.reading, recipe_of(row, setting).epochs
    cycle = reading.rolling == "cycle"
    inner = inner_weights(row.inner, epoch, epochs, phase=reading.phase, cycle=cycle)
    return STATLoss(
        *row.weights,
        sat_blocks=inner.sat,
        tat_layers=inner.tat,
        tat_on=reading.tat,
        reduction=row.distance or reading.distance,
        time=reading.time,
        sizes=reading.sizes,
        kd=row.kd,
        confident=row.confident,
    )


def run_name(
    name: str,
    rows: Mapping[str, Row],
    setting: Setting,
    seed: int,
    *,
    clips: str,
    unlabelled: str | None = None,
    live_teacher: bool = False,
) -> str:
    """The row's name and a fingerprint of all that its weights depend on, its teacher included.

    Args:
        rows: the row and those that it starts from, by name.
        clips, unlabelled: fingerprints of the data sets.
    """
    made, how = asdict(setting), []
    first = row = rows[name]
    if first.side == "hr" or not first.labelled:  # labels kept back change nothing for them
        made.pop("labelled")
        made.pop("student_epochs")
    if first.side == "hr":
        made.pop("student_size")
        made["frames"] = setting.frames.hr_side()
    while row:
        how.append({field: value for field, value in asdict(row).items() if field != "title"})
        row = row.before(rows)
    transfer = any(sum(step["weights"][1:]) + step["kd"] for step in how)
    made["reading"] = setting.reading.unusual(TRAINING if transfer else ("tam",))
    made_of = [clips, made, how, seed]
    if unlabelled is not None and not all(step["weights"][0] for step in how):
        made_of.append(unlabelled)
    if live_teacher and transfer:
        made_of.append("live teacher")
    return f"{name}-{fingerprint(made_of)}"
