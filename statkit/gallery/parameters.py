"""The parameters of the lessons: kind, range and meaning of each, declared once. The check of
``statkit figures -p``, the check at the start of each notebook, and the messages use them."""

import tomllib
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from statkit.errors import one_line_in_notebooks
from statkit.experiments.grid import SIZES
from statkit.experiments.knobs import VALUES
from statkit.experiments.settings import DEMO, change
from statkit.runtime.device import pick_device
from statkit.runtime.parameters import PATH, SEEDS, SHARES, Parameter, ParameterError
from statkit.schedules import SCHEDULES

KINDS = {"int": int, "float": float, "bool": bool, "str": str, "list": SHARES}
CHOICES = {"schedule": SCHEDULES, "resolution": [f"{h}x{w}" for h, w in SIZES], "knob": VALUES}


def _declared(name: str, kind: str, choices: Sequence = (), **about) -> Parameter:
    return Parameter(KINDS.get(kind, kind), choices=tuple(CHOICES.get(name, choices)), **about)


DECLARED = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
PARAMETERS: Mapping[str, Parameter] = {n: _declared(n, **about) for n, about in DECLARED.items()}


def declaration(name: str, kind: str) -> Parameter:
    """The permitted values of a notebook's parameter of this kind, as annotated, "int" or "str":
    ``clip`` is a number in most lessons and a file in one."""
    known = PARAMETERS.get(name)
    if known and not (kind == "str" and known.kind is int):
        return known
    return Parameter(PATH if name == "clip" else KINDS.get(kind, str), "")


def checked(name: str, kind: str, value: Any) -> Any:
    """Convert a parameter to its notebook's kind: a text is parsed, and a number becomes text if
    the kind is text. ParameterError, for a wrong kind or a value out of range, names both;
    StatkitError for a device that is not here."""
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
    the user as one line. ParameterError for the first that is not of its kind, or out of its range.

    Args:
        namespace: the notebook's ``globals()``; its annotations mark the parameters.
        choices: permitted values of parameters that depend on the clips.
    """
    one_line_in_notebooks()
    kinds = namespace.get("__annotations__", {})
    for name, kind in kinds.items():
        if name in namespace:
            kind = getattr(kind, "__name__", str(kind))
            namespace[name] = checked(name, kind, namespace[name])
    for name, values in choices.items():
        Parameter(str, "", tuple(values)).check(name, namespace[name])
