"""All that a run depends on besides its row, its seed and the clips; and how the points that the
paper leaves open are read."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from statkit.data.clips import VideoDataset
from statkit.data.frames import FrameSettings
from statkit.recipes import RECIPES, Recipe


@dataclass(frozen=True)
class PaperChoices:
    """What the paper leaves open. The first choice of each is ours; the others are there for who
    asks what if it were the other way.

    Attributes:
        channels: how Equation 1 takes C channels together: "sum", "mean" (the same after Equation
            2's normalisation, shown in the paper's figures) or "max".
        power: p of Equation 1: 1, or 2 as in classic attention transfer.
        time: the maps of a 3-D network in Equation 2: "whole", one vector over T*H*W; "step", one
            a time step; "mean" over time.
        sizes: where maps differ in size, "pool" the larger or "upsample" the student's.
        distance: in Equations 2 and 3, "norm", "sum" (of squares) or "mean" (of squares).
        tat_targets: Equation 3 on both outputs before the softmax, "paper", or on the first and the
            attention itself, "softmax".
        tam: the intervals "stacked" into one vector (Figure 3), or one scorer "shared" by all.
        rolling: after its fourth phase (Section 3.3.2) "held", or "cycle".
        phase: epochs that a rolling phase lasts; a fifth of all epochs when 0.
        flow_weight: of the flow stream in late fusion, against 1 for RGB (Table 4).
        flips: whether test clips are also seen mirrored.
        offsets: places in each interval at which test clips are seen; 1 is the centre.
    """

    channels: str = "sum"
    power: int = 1
    time: str = "whole"
    sizes: str = "pool"
    distance: str = "norm"
    tat_targets: str = "paper"
    tam: str = "stacked"
    rolling: str = "held"
    phase: int = 0
    flow_weight: float = 1.0
    flips: bool = False
    offsets: int = 1

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                words = " or ".join(map(str, choices))
                raise ValueError(f"{name} is {words}, got {getattr(self, name)!r}")
        if self.phase < 0 or self.offsets < 1 or self.flow_weight <= 0:
            raise ValueError(
                "phase from 0, offsets from 1, flow_weight above 0: "
                f"{self.phase=} {self.offsets=} {self.flow_weight=}"
            )

    def non_default(self, names: Iterable[str] | None = None) -> dict[str, object]:
        """The fields that are not ours, of these names or of all."""
        read, ours = asdict(self), asdict(PaperChoices())
        return {name: read[name] for name in names or read if read[name] != ours[name]}


CHOICES = {
    "channels": ("sum", "mean", "max"),
    "power": (1, 2),
    "time": ("whole", "step", "mean"),
    "sizes": ("pool", "upsample"),
    "distance": ("norm", "sum", "mean"),
    "tat_targets": ("paper", "softmax"),
    "tam": ("stacked", "shared"),
    "rolling": ("held", "cycle"),
    "flips": (False, True),
}
# What the weights depend on; the rest changes only how they are tested. Without a teacher, "tam".
TRAINING = (
    "channels",
    "power",
    "time",
    "sizes",
    "distance",
    "tat_targets",
    "tam",
    "rolling",
    "phase",
)


@dataclass(frozen=True)
class ExperimentConfig:
    """All that a run depends on besides its row, its seed and the clips.

    Attributes:
        backbone: a name of ``statkit.backbones.MODELS``; changing the network is changing this.
        segments: K; the backbone's own when None.
        frames: how stored frames are made, see :class:`statkit.data.frames.FrameSettings`.
        student_size: the size that LR frames are enlarged to; the teacher's when None, or where the
            teacher's is smaller.
        pretrained: as in :func:`statkit.models.build_model`.
        recipe: for teacher and students alike.
        split: number of the official split.
        labelled: training clips a class whose labels the students get, drawn by the seed; all when
            None. The teacher gets all, and the unlabelled stage sees all without labels.
        student_epochs: of the students, where not the recipe's.
        choices: of what the paper leaves open.
    """

    backbone: str = "demo"
    segments: int | None = None
    frames: FrameSettings = field(default_factory=FrameSettings)
    student_size: tuple[int, int] | None = None
    pretrained: bool | str = False
    recipe: Recipe = RECIPES["quick"]
    split: int = 1
    labelled: int | None = None
    student_epochs: int | None = None
    choices: PaperChoices = PaperChoices()


# Half the teacher's size takes less than half the time, on a laptop, and costs students some 15
# points (table "strides"), the plain one and the others alike.
DEMO = ExperimentConfig(student_size=(36, 48))
# At 9/16 of the teacher's pixels the plain student is as good on the eight classes (table
# "strides": 50.7 over three lists, 47.5 at the teacher's size), in little more than half the time.
REAL = ExperimentConfig(
    backbone="resnet18",
    segments=4,
    frames=FrameSettings(hr_size=(112, 149)),
    student_size=(84, 112),
    pretrained=True,
    recipe=RECIPES["finetune"],
)


def default_config(
    dataset: VideoDataset, *, epochs: int | None = None, overrides: str | Iterable[str] = ()
) -> ExperimentConfig:
    """The demo network for generated clips, a fine-tuned ImageNet ResNet-18 for real ones.

    Args:
        epochs: passes over the training clips; the setting's own when None or 0.
        overrides: changes by name, see :func:`change`.
    """
    config = DEMO if dataset.generated else REAL
    if epochs:
        config = replace(config, recipe=replace(config.recipe, epochs=epochs))
    return change(config, overrides.split() if isinstance(overrides, str) else overrides)


def change(config: ExperimentConfig, changes: Iterable[str]) -> ExperimentConfig:
    """A setting with fields of its reading, its recipe or its camera changed by name.

    Args:
        changes: such as "tat_targets=softmax", "batchnorm=partial" or "blur=0".

    Raises:
        ValueError: no such name, or a value that does not fit.
    """
    for words in changes:
        name, equals, text = words.partition("=")
        part = next((part for part, names in changeable().items() if name in names), None)
        if not equals or part is None:
            known = ", ".join(name for names in changeable().values() for name in names)
            raise ValueError(f"a change is NAME=VALUE with a name of {known}; got {words!r}")
        old = getattr(config, part)
        value = _read(name, text, getattr(old, name))
        config = replace(config, **{part: replace(old, **{name: value})})
    return config


def changeable() -> dict[str, dict[str, object]]:
    """What :func:`change` can change, and its values now: part of the setting -> name -> value."""
    return {
        "choices": asdict(PaperChoices()),
        "recipe": {n: v for n, v in asdict(Recipe()).items() if n not in ("epochs", "batch_size")},
        "frames": {name: getattr(FrameSettings(), name) for name in ("blur", "noise")},
    }


def _read(name: str, text: str, old: object) -> object:
    """The value that a text stands for, of the old value's kind."""
    if isinstance(old, str):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(old, bool) and value in (0, 1):
        return bool(value)
    numbers = (int,) if isinstance(old, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, numbers):
        raise ValueError(f"{name} is a {'whole ' if numbers == (int,) else ''}number, got {text!r}")
    return value if isinstance(old, int) else float(value)
