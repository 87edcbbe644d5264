"""The configuration of a run (all but its row, its seed and the clips), and our choices for the
points that the paper leaves open."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace

from statkit.attention import REDUCTIONS
from statkit.backbones import MODELS
from statkit.data.clips import VideoDataset
from statkit.data.frames import FrameSettings
from statkit.losses import DISTANCES, SIZES, TAT_TARGETS, TIMES
from statkit.recipes import RECIPES, Recipe
from statkit.runtime.parameters import SIZE, ParameterError, check_fields, declared, parameters_of


@dataclass(frozen=True)
class PaperChoices:
    """Points that the paper leaves open. The first choice of each is ours. After Equation 2's
    normalisation the mean over channels equals the sum; the paper's figures show the mean."""

    channels: str = declared(
        "sum", "Equation 1: how a map combines the channels", choices=REDUCTIONS
    )
    power: int = declared(
        1, "Equation 1: p; 2 as in classic attention transfer, 4 is sharper", choices=(1, 2, 4)
    )
    time: str = declared(
        "whole",
        "Equation 2, 3-D networks: one vector over T*H*W, one per time step, or the mean",
        choices=TIMES,
    )
    sizes: str = declared(
        "pool",
        "Equation 2, maps of two sizes: pool the larger, or upsample the student's",
        choices=SIZES,
    )
    distance: str = declared(
        "norm", "Equations 2 and 3: the norm, or the sum or mean of squares", choices=DISTANCES
    )
    tat_targets: str = declared(
        "paper",
        "Equation 3: both outputs before the softmax, or the first and the attention",
        choices=TAT_TARGETS,
    )
    specific: bool = declared(
        False, "Equations 2 and 3: only what is specific to the clip, attention less its mean"
    )
    tam: str = declared(
        "stacked",
        "Figure 3: all intervals in one vector, or one scorer shared by them",
        choices=("stacked", "shared"),
    )
    rolling: str = declared(
        "held",
        "Section 3.3.2: hold the last phase of rolling weights, or start again",
        choices=("held", "cycle"),
    )
    phase: int = declared(0, "epochs per rolling phase; 0: a fifth of all epochs", least=0)
    flow_weight: float = declared(
        1.0, "Table 4: weight of the flow stream in late fusion, RGB has 1", above=0
    )
    flips: bool = declared(False, "whether test clips are also seen mirrored")
    offsets: int = declared(
        1, "places per interval at which test clips are seen; 1: the centre", least=1
    )

    def __post_init__(self):
        check_fields(self)

    def non_default(self, names: Iterable[str] | None = None) -> dict[str, object]:
        """The fields, of these names or of all, that differ from our choices."""
        read, ours = asdict(self), asdict(PaperChoices())
        return {name: read[name] for name in names or read if read[name] != ours[name]}


# TESTING: choices that affect only the test. TRAINING: choices that the weights depend on; without
# a teacher, the weights depend only on "tam".
TESTING = ("flow_weight", "flips", "offsets")
TRAINING = tuple(one.name for one in fields(PaperChoices) if one.name not in TESTING)


@dataclass(frozen=True)
class ExperimentConfig:
    """The **configuration**: all that a run depends on except its row, its seed and the clips.

    ``student_size`` is never larger than the teacher's size. The seed decides which clips have
    labels; the teacher gets all labels, and the unlabelled stage sees all clips without labels.
    ``pretrained`` is as in :func:`statkit.models.build_model`, for all networks;
    ``student_pretrained``, for all but the teacher; None, as the teacher.
    """

    backbone: str = declared("demo", "the network", choices=tuple(MODELS))
    segments: int | None = declared(
        None, "intervals per clip (K)", kind=int, least=1, unset="the backbone's own"
    )
    frames: FrameSettings = field(default_factory=FrameSettings)
    student_size: tuple[int, int] | None = declared(
        None, "size that LR frames are enlarged to", kind=SIZE, least=1, unset="the teacher's"
    )
    pretrained: bool | str = False
    student_pretrained: bool | str | None = None
    recipe: Recipe = RECIPES["quick"]
    split: int = declared(1, "number of the official split", least=1)
    labelled: int | None = declared(
        None, "training clips per class with a label", kind=int, least=1, unset="all"
    )
    student_epochs: int | None = declared(
        None, "epochs of the students", kind=int, least=1, unset="the recipe's"
    )
    staged: bool = declared(
        False, "stage two starts from the trained plain student, as in the paper"
    )
    choices: PaperChoices = PaperChoices()

    def __post_init__(self):
        check_fields(self)


# The parts of a configuration whose fields can be changed by name.
PARTS = {"choices": PaperChoices, "recipe": Recipe, "frames": FrameSettings}

# Students see frames enlarged to the teacher's size. At half of it a training takes less than half
# the time, and costs some 15 points, with transfer and without (table "strides").
DEMO = ExperimentConfig()
# A 3-D network processes all 16 frames, which takes four times as long. Half of the teacher's size
# and fewer epochs keep that affordable.
DEMO_3D = ExperimentConfig(
    backbone="demo_r2plus1d", student_size=(36, 48), recipe=replace(RECIPES["quick"], epochs=20)
)
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
    dataset: VideoDataset, *, epochs: int | None = None, overrides: str = ""
) -> ExperimentConfig:
    """The demo network for generated clips, a fine-tuned ImageNet ResNet-18 for real ones; with
    another number of epochs, and with ``overrides``, the words of :func:`change` in one text."""
    config = DEMO if dataset.generated else REAL
    if epochs:
        config = replace(config, recipe=replace(config.recipe, epochs=epochs))
    return change(config, overrides.split())


def change(config: ExperimentConfig, changes: Iterable[str]) -> ExperimentConfig:
    """A configuration with fields of its choices, its recipe or its frames changed by name, such as
    "tat_targets=softmax", "batchnorm=partial" or "blur=0"; ParameterError for an unknown name or a
    value that does not fit."""
    known = {
        name: (part, parameter)
        for part, kind in PARTS.items()
        for name, parameter in parameters_of(kind).items()
    }
    for words in changes:
        name, equals, text = words.partition("=")
        if not equals or name not in known:
            raise ParameterError(
                f"a change is NAME=VALUE with a name of {', '.join(known)}; got {words!r}"
            )
        part, parameter = known[name]
        new = replace(getattr(config, part), **{name: parameter.read(name, text)})
        config = replace(config, **{part: new})
    return config
