"""The parameters of the lessons: kind, range and meaning of each, declared once. The check of
``statkit figures -p``, the check at the start of each notebook, and the messages use them."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from statkit.errors import one_line_in_notebooks
from statkit.experiments.grid import SIZES
from statkit.experiments.knobs import VALUES
from statkit.experiments.settings import DEMO, change
from statkit.runtime.device import pick_device
from statkit.runtime.parameters import PATH, SEEDS, SHARES, Parameter, ParameterError
from statkit.schedules import SCHEDULES

MOST_SEED = 2**32 - 1
PARAMETERS: Mapping[str, Parameter] = {
    "dataset": Parameter(PATH, "demo, demo-small, or a folder of clips"),
    "unlabelled": Parameter(PATH, "a folder of clips for the unlabelled stage; empty: none"),
    "pretrained": Parameter(PATH, "a file of backbone weights; empty: none or torchvision's"),
    "figures": Parameter(PATH, "where figures and tables go"),
    "device": Parameter(str, "auto, cpu, cuda, cuda:N or mps"),
    "overrides": Parameter(str, "other choices, such as tat_targets=softmax"),
    "action": Parameter(str, "one action to show before the others, or all"),
    "epochs": Parameter(int, "passes over the training clips; 0: as many as usual", least=0),
    "seed": Parameter(int, "of the first weights and of the batches", least=0, most=MOST_SEED),
    "fresh": Parameter(bool, "whether to train networks that ship with the kit"),
    "sensor_rows": Parameter(int, "rows of a sensor of one's own", least=3, most=36),
    "train_yours": Parameter(bool, "whether to train students as the sliders say"),
    "train_mine": Parameter(bool, "whether to train with the reader's own code"),
    "seeds": Parameter(SEEDS, "runs to make afresh; empty: the runs that ship", most=MOST_SEED),
    "weights": Parameter(SHARES, "W_CE, W_SAT, W_TAT of Equation 4", least=0),
    "clip": Parameter(int, "which of the clips that can be shown", least=0),
    "frame": Parameter(int, "which of a clip's frames, from 0", least=0),
    "height": Parameter(int, "rows of the LR picture", least=6, most=48),
    "blur": Parameter(float, "lens blur in LR pixels", least=0, most=2),
    "noise": Parameter(float, "sensor noise in grey levels", least=0, most=40),
    "share": Parameter(float, "rows of a crop, as a share of the frame's", least=0.5, most=1),
    "block": Parameter(int, "which residual block", least=1, most=4),
    "p": Parameter(int, "power in Equation 1", least=1, most=4),
    "overlay": Parameter(float, "0: the frame alone, 1: the map alone", least=0, most=1),
    "segments": Parameter(int, "K, intervals per clip", least=1),
    "shift": Parameter(int, "seed of the random frames", least=0, most=20),
    "shuffle": Parameter(int, "seed of the shuffled order", least=0, most=20),
    "network": Parameter(str, "whose weights to show", ("teacher", "student", "stat")),
    "order": Parameter(
        str,
        "order of the frames",
        ("as filmed", "backwards", "shuffled", "action cut out", "one frame everywhere"),
    ),
    "learner": Parameter(str, "whose gradients to show", ("untrained", "plain")),
    "schedule": Parameter(str, "schedule of the rolling weights", tuple(SCHEDULES)),
    "epoch": Parameter(int, "which epoch of the schedule, from 0", least=0),
    "split": Parameter(str, "which clips to show", ("test", "paper")),
    "most": Parameter(int, "at most so many clips", least=4),
    "perplexity": Parameter(int, "perplexity of the picture", (5, 15, 30, 50)),
    "resolution": Parameter(str, "LR size to train at", tuple(f"{h}x{w}" for h, w in SIZES)),
    "consecutive": Parameter(int, "consecutive frames per interval", least=1, most=4),
    "interval": Parameter(int, "which of the clip's intervals, from 0", least=0),
    "flow_weight": Parameter(float, "weight of the flow stream", least=0, most=3),
    "group": Parameter(
        str,
        "which clips to show",
        ("both right", "only RGB right", "only flow right", "both wrong"),
    ),
    "labelled": Parameter(int, "clips per class with a label", least=1),
    "scene": Parameter(float, "how far the background tells the class", least=0, most=1),
    "actor": Parameter(float, "height of the actor, as a factor", least=0.3, most=1.3),
    "idle": Parameter(float, "share of the clip without the action", least=0, most=0.85),
    "clutter": Parameter(float, "bars and moving shapes, as a factor", least=0, most=4),
    "knob": Parameter(str, "property of the generated clips to show", tuple(VALUES)),
    "place": Parameter(int, "which of the knob's five values to mark, from 0", least=0, most=4),
    "across": Parameter(str, "property on the axis", ("gap", "specific", "spread", "pixels")),
}


def declaration(name: str, kind: str) -> Parameter:
    """The permitted values of a notebook's parameter.

    Args:
        kind: as annotated in the notebook, "int" or "str"; a lesson's ``clip`` is a number in most
            lessons and a file in one.
    """
    known = PARAMETERS.get(name)
    if known and not (kind == "str" and known.kind is int):
        return known
    kinds = {"int": int, "float": float, "bool": bool, "list": SHARES}
    return Parameter(PATH if name == "clip" else kinds.get(kind, str), "")


def checked(name: str, kind: str, value: Any) -> Any:
    """Convert a parameter to its notebook's kind: a text is parsed, and a number becomes text if
    the kind is text.

    Raises:
        ParameterError: wrong kind, or out of range; the message names kind and range.
        StatkitError: a device that is not here.
    """
    parameter = declaration(name, kind)
    as_text = parameter.kind in (str, PATH, SEEDS) and type(value) is int
    if as_text or isinstance(value, str):
        value = parameter.read(name, str(value))
    parameter.check(name, value)
    if name == "overrides":
        change(DEMO, value.split())
    if name == "device":
        pick_device(value)
    if name == "dataset" and not value:
        raise ParameterError("dataset is demo, demo-small or a folder of clips, got an empty text")
    return value


def check_parameters(namespace: MutableMapping[str, Any], **choices: Sequence) -> None:
    """Check a notebook's parameters before any training; from then on the notebook shows errors of
    the user as one line.

    Args:
        namespace: the notebook's ``globals()``; its annotations mark the parameters.
        choices: permitted values of parameters that depend on the clips.

    Raises:
        ParameterError: the first parameter that is not of its kind, or out of its range.
    """
    one_line_in_notebooks()
    kinds = namespace.get("__annotations__", {})
    for name, kind in kinds.items():
        if name in namespace:
            kind = getattr(kind, "__name__", str(kind))
            namespace[name] = checked(name, kind, namespace[name])
    for name, values in choices.items():
        Parameter(str, "", tuple(values)).check(name, namespace[name])
