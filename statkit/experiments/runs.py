"""A **run** is one row with one configuration and one seed. It has a recipe, a loss per epoch, and
a name that changes with everything that its result depends on."""

from collections.abc import Mapping
from dataclasses import asdict, replace

from statkit.backbones import weights_key
from statkit.losses import STATLoss
from statkit.recipes import Recipe
from statkit.runtime.cache import fingerprint
from statkit.schedules import inner_weights

from .rows import SCRATCH, Row
from .settings import TRAINING, ExperimentConfig

FROM_SCRATCH = {"rate": 1e-3, "backbone_rate": None, "batchnorm": "train", "start": "random"}

# Fields that were renamed. The name of a run uses the first names, so that networks trained before
# the change are still found.
FIRST_NAMES = {
    "block_weights": "inner",
    "epoch_factor": "length",
    "frame_sampling": "looks",
    "fused_rows": "fuses",
    "input": "side",
    "max_epochs": "most",
    "tat_targets": "tat",
}
# Fields that did not exist when the first networks were trained, with their first values.
NEW_FIELDS = {
    "specific": False,
    "tam_rate": None,
    "teacher": "teacher",
    "other_clip": False,
}.items()


def pretrained_of(row: Row, config: ExperimentConfig) -> bool | str:
    """The pretrained weights that the row's network starts from; False for random weights."""
    if row.start == SCRATCH:
        return False
    if row.input == "hr" or config.student_pretrained is None:
        return config.pretrained
    return config.student_pretrained


def recipe_of(row: Row, config: ExperimentConfig) -> Recipe:
    """The configuration's recipe with the row's number of epochs. Rows from random weights do not
    use the values meant for a pretrained backbone."""
    recipe = config.recipe
    for_pretrained = config.pretrained or config.student_pretrained is not None
    if for_pretrained and not pretrained_of(row, config):
        recipe = replace(recipe, **FROM_SCRATCH)
    epochs = recipe.epochs
    if row.input != "hr" and row.labelled:
        epochs = config.student_epochs or epochs
    epochs = max(1, round(epochs * row.epoch_factor))
    if row.max_epochs:
        epochs = min(epochs, row.max_epochs)
    return replace(recipe, epochs=epochs, tam_rate=row.tam_rate or recipe.tam_rate)


def student_size(config: ExperimentConfig) -> tuple[int, int]:
    """The size to which LR frames are enlarged, at most the teacher's size."""
    return min(config.student_size or config.frames.hr_size, config.frames.hr_size)


def power_of(row: Row, config: ExperimentConfig) -> int:
    """p of Equation 1, from the row or from the configuration."""
    return row.power or config.choices.power


def equation_4(row: Row, config: ExperimentConfig, epoch: int) -> STATLoss:
    """The row's loss in one epoch."""
    reading, epochs = config.choices, recipe_of(row, config).epochs
    cycle = reading.rolling == "cycle"
    inner = inner_weights(row.block_weights, epoch, epochs, phase=reading.phase, cycle=cycle)
    return STATLoss(
        *row.weights,
        sat_blocks=inner.sat,
        tat_layers=inner.tat,
        tat_targets=reading.tat_targets,
        distance=row.distance or reading.distance,
        time=reading.time,
        sizes=reading.sizes,
        kd=row.kd,
        confident=row.confident,
        specific=row.specific or reading.specific,
        other_clip=row.other_clip,
    )


def run_name(
    name: str,
    rows: Mapping[str, Row],
    config: ExperimentConfig,
    seed: int,
    *,
    clips: str,
    unlabelled: str | None = None,
    live_teacher: bool = False,
) -> str:
    """The row's name and a fingerprint of everything that its weights depend on (teacher too).
    ``clips`` and ``unlabelled`` are the fingerprints of the data sets."""
    made, first, chain = asdict(config), rows[name], rows[name].chain(rows)
    made.pop("staged")  # the rows' ``start`` holds it
    # The teacher's start counts for its own runs and for transfer.
    teacher = made["pretrained"] = weights_key(config.backbone, config.pretrained)
    if made.pop("student_pretrained") is not None and first.input != "hr":
        made["pretrained"] = weights_key(config.backbone, config.student_pretrained)
    made["frames"] = config.frames.hr_side() if first.input == "hr" else config.frames.as_dict()
    # The number of labelled clips changes nothing for these rows.
    if all(row.input == "hr" or not row.labelled for row in chain):
        made.pop("labelled")
        made.pop("student_epochs")
    # None, the teacher's size and any larger size give the same training.
    made["student_size"] = student_size(config)
    if first.input == "hr":
        made.pop("student_size")
    how = [_keyed(asdict(row)) for row in chain]
    transfer = any(row.copies_tam for row in chain)
    made["recipe"] = _keyed(made["recipe"])
    made.pop("choices")
    made["reading"] = _keyed(config.choices.non_default(TRAINING if transfer else ("tam",)))
    made_of = [clips, made, how, seed]
    if unlabelled is not None and not all(step["weights"][0] for step in how):
        made_of.append(unlabelled)
    if transfer and made["pretrained"] != teacher:
        made_of.append({"teacher pretrained": teacher})
    if config.student_pretrained is not None and not pretrained_of(first, config):
        made_of.append("from scratch")
    if live_teacher and transfer:
        made_of.append("live teacher")
    return f"{name}-{fingerprint(made_of)}"


def result_name(config: ExperimentConfig) -> str:
    """The file name of a run's result; it also changes with choices that affect only the test."""
    changed = _keyed(config.choices.non_default())
    return f"result{'-' + fingerprint(changed) if changed else ''}.json"


def _keyed(fields: dict) -> dict:
    """The fields by their first names, without the title and without new fields as they were."""
    kept = (one for one in fields.items() if one[0] != "title" and one not in NEW_FIELDS)
    return {FIRST_NAMES.get(name, name): value for name, value in kept}
