"""The knob experiment of ``figures/hypotheses.md``: one property of the generated clips (a
**knob**) changes at a time; and ``scene`` crossed with pretraining of teacher and student."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from statkit.errors import StatkitError
from statkit.recipes import RECIPES
from statkit.shipped import SHIPPED

from .grid import Job
from .results import Result, read_results
from .settings import ExperimentConfig

VALUES: dict[str, tuple[float, ...]] = {
    "scene": (0, 0.1, 0.25, 0.5, 1),
    "actor": (0.5, 0.7, 0.85, 1, 1.3),
    "idle": (0, 0.25, 0.535, 0.7, 0.85),
    "clutter": (0, 0.5, 1, 2, 4),
    "clips": (192, 384, 768, 1536, 3072),
}
DEFAULTS = {"scene": 0, "actor": 1, "idle": 0.535, "clutter": 1, "clips": 768}
KNOBS = ("scene", "idle", "actor", "clutter", "clips", "pretraining")
# All conditions get the rows of the first pass before any condition gets those of the second.
PASSES = (("teacher", "student", "stat"), ("sat", "tat"))
STUDENT_SIZE = (36, 48)  # half of the teacher's size


@dataclass(frozen=True)
class Condition:
    """One condition of the experiment: clips, as for ``data_prep.open_dataset``, and networks."""

    source: str
    config: ExperimentConfig


def conditions(
    knobs: Iterable[str], config: ExperimentConfig, base: str = "demo"
) -> list[Condition]:
    """The conditions of these knobs, each once: the default clips belong to every knob.

    Args:
        knobs: names of :data:`KNOBS`.
        config: for all conditions. With other numbers of clips the number of epochs changes, so
            that all conditions take about as many steps.
        base: "demo", or "demo-small", whose number of clips is fixed.

    Raises:
        ValueError: the knob "clips" with "demo-small".
    """
    if base != "demo" and "clips" in (knobs := list(knobs)):
        raise StatkitError(f"{base} has a fixed number of clips: the knob clips needs --data demo")
    config = replace(config, student_size=config.student_size or STUDENT_SIZE)
    found = []
    for knob in knobs:
        if knob == "pretraining":
            found += _pretraining(config, base)
            continue
        for value in VALUES[knob]:
            one = config
            if knob == "clips":
                epochs = max(1, round(config.recipe.epochs * DEFAULTS["clips"] / value))
                one = replace(config, recipe=replace(config.recipe, epochs=epochs))
            found.append(Condition(_source(base, knob, value), one))
    return list(dict.fromkeys(found))


def _source(base: str, knob: str, value: float) -> str:
    return base if value == DEFAULTS[knob] else f"{base}:{knob}={value:g}"


def _pretraining(config: ExperimentConfig, base: str) -> Iterator[Condition]:
    """Scene at 0 and 0.5, teacher and student from ImageNet or from random weights: a ResNet-18,
    fine-tuned for 10 epochs; from random weights, the same number of epochs at a higher rate."""
    network = {"backbone": "resnet18", "segments": 4}
    recipe = replace(RECIPES["finetune"], epochs=min(10, config.recipe.epochs))
    for scene, teacher, student in product((0, 0.5), (False, True), (False, True)):
        apart = {"pretrained": teacher, "student_pretrained": student}
        yield Condition(
            _source(base, "scene", scene), replace(config, recipe=recipe, **network, **apart)
        )


def jobs(found: Sequence[Condition], seeds: Sequence[int], rows: Sequence[str] = ()) -> list[Job]:
    """The jobs of conditions: all conditions with the first seed come first, and of one seed the
    teacher, the plain student and SAT+TAT of all conditions. The first seed adds the probe on
    pixels, which does not depend on the seed.

    Args:
        rows: names of any rows; when empty, those of the experiment.
    """
    return [
        Job("knobs", (one.config,), part, seed, one.source, part is PASSES[0] and seed == seeds[0])
        for seed in seeds
        for part in ((tuple(rows),) if rows else PASSES)
        for one in found
    ]


def knobs_of(run: Result) -> dict[str, float]:
    """The value of each knob of a run, from the name of its data set; and ``teacher`` and
    ``student``, whether each starts from pretrained weights."""
    made = json.loads(run.parameters)
    changed = re.findall(r"-([a-z]+)=([0-9.]+(?:e-?[0-9]+)?)", made.get("dataset", ""))
    values = DEFAULTS | {name: float(value) for name, value in changed}
    config = made.get("config", {})
    teacher, student = (config.get(name) for name in ("pretrained", "student_pretrained"))
    return values | {
        "teacher": bool(teacher),
        "student": bool(teacher if student is None else student),
    }


def runs_of(runs: Iterable[Result], knob: str) -> dict[float, list[Result]]:
    """The runs of the demo network in which no other knob is changed, by the knob's value."""
    found: dict[float, list[Result]] = {value: [] for value in VALUES[knob]}
    for run in runs:
        values = knobs_of(run)
        others = all(values[name] == DEFAULTS[name] for name in VALUES if name != knob)
        if others and run.backbone == "demo":
            found.setdefault(values[knob], []).append(run)
    return {value: here for value, here in sorted(found.items()) if here}


def shipped_runs() -> list[Result]:
    """The committed runs of the experiment; empty if there are none."""
    file = SHIPPED / "knobs.csv"
    return read_results(file) if file.is_file() else []


def missing(runs: Iterable[Result], knob: str, rows: Sequence[str]) -> list[str]:
    """What is not measured of a knob: a value alone if nothing is, otherwise a value and the rows
    that it lacks, such as "0.5 (sat, tat)"."""
    here, found = runs_of(runs, knob), []
    for value in VALUES[knob]:
        lacking = [row for row in rows if all(run.row != row for run in here.get(value, []))]
        some = f" ({', '.join(lacking)})" if len(lacking) < len(rows) else ""
        found += [f"{value:g}{some}"] if lacking else []
    return found
