"""**Parameter**: one declaration of the kind, the range and the meaning of a value. It gives the
check of a dataclass's field or a notebook's parameter, and a command-line flag with its help."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

from statkit.errors import StatkitError

SIZE, PATH, SEEDS, SHARES = "HEIGHTxWIDTH", "PATH", "SEEDS", "SHARES"
QUOTES = ('""', "''", "``", "“”", "‘’", "«»", "„“")
WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    SIZE: f"{SIZE} (12x16)",
    PATH: "a path",
    SEEDS: 'whole numbers such as "0 1 2", or empty',
    SHARES: "three numbers such as [1, 1, 2], not all 0",
}


class ParameterError(StatkitError):
    """A value of the wrong kind or out of range; the message has the value and the range."""


@dataclass(frozen=True)
class Parameter:
    """One declaration.

    Attributes:
        kind: int, float, bool, str; SIZE, a pair of whole numbers; PATH, a text; SEEDS, whole
            numbers in a text; or SHARES, a list of three numbers.
        meaning: one line.
        choices: all allowed values; when empty, any value in the range.
        least, most: ends of the range, both allowed; for a size, they apply to each side.
        above: like ``least``, but the value itself is not allowed.
        unset: the meaning of None; when empty, None is an error.
        flag: name on the command line, if it differs from the field's name.
    """

    kind: type | str
    meaning: str
    choices: tuple = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None
    unset: str = ""
    flag: str = ""

    @property
    def range(self) -> str:
        """The allowed values, in words: "a whole number from 1 to 10"."""
        if self.kind is bool:
            return "yes or no"
        if self.choices:
            return " or ".join(map(str, self.choices))
        ends = f" above {self.above}" if self.above is not None else ""
        if self.least is not None:
            ends = f" from {self.least}" + (f" to {self.most}" if self.most is not None else "")
        each = ", each" if ends and self.kind in (SIZE, SEEDS, SHARES) else ""
        return WORDS[self.kind] + each + ends

    def check(self, name: str, value: object) -> None:
        """Raise :class:`ParameterError` unless the value is of the kind and in the range."""
        if not (value is None and self.unset) and not self._fits(value):
            raise ParameterError(f"{name} is {self.range}, got {self.words(value)!r}")

    def read(self, name: str, text: str) -> Any:
        """The value that a text stands for, checked."""
        try:
            value = self._parse(text.strip())
        except ValueError:
            raise ParameterError(f"{name} is {self.range}, got {text!r}") from None
        self.check(name, value)
        return value

    def words(self, value: object) -> str:
        """A value as a user types it."""
        if value is None:
            return self.unset
        if self.kind is bool and isinstance(value, bool):
            return "yes" if value else "no"
        pair = self.kind == SIZE and isinstance(value, tuple | list)
        return "x".join(map(str, value)) if pair else str(value)

    def _parse(self, text: str) -> object:
        if self.kind is bool:
            words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
            return words.get(text.lower(), text)
        if self.kind == SIZE:
            return tuple(int(side) for side in text.lower().split("x"))
        if self.kind == SHARES:
            return [float(number) for number in text.strip("[]()").split(",")]
        return text if self.kind in (PATH, SEEDS) else self.kind(text)

    def _fits(self, value: object) -> bool:
        if self.choices or self.kind is bool:
            return value in (self.choices or (False, True))
        if self.kind in (str, PATH):
            return isinstance(value, str)
        if self.kind == SEEDS:
            whole = isinstance(value, str) and re.fullmatch(r"[\d\s]*", value)
            return bool(whole) and all(self._in_range(int(one), Integral) for one in value.split())
        if self.kind == SHARES:
            three = isinstance(value, tuple | list) and len(value) == 3
            return three and all(self._in_range(one, Real) for one in value) and sum(value) > 0
        if self.kind == SIZE:
            pair = isinstance(value, tuple | list) and len(value) == 2
            return pair and all(self._in_range(side, Integral) for side in value)
        return self._in_range(value, Integral if self.kind is int else Real)

    def _in_range(self, value: object, numbers: type) -> bool:
        if isinstance(value, bool) or not isinstance(value, numbers):
            return False
        low = self.least is None or value >= self.least
        high = value <= self.most if self.most is not None else value < float("inf")
        return low and high and (self.above is None or value > self.above)


def declared(default: object, meaning: str, *, kind: type | str | None = None, **rest) -> Any:
    """A dataclass field with its declaration; further arguments as in :class:`Parameter`."""
    parameter = Parameter(kind or type(default), meaning, **rest)
    return field(default=default, metadata={"parameter": parameter})


def parameters_of(kind: type) -> Mapping[str, Parameter]:
    """The declarations of a dataclass, by field."""
    found = {one.name: one.metadata.get("parameter") for one in fields(kind)}
    return {name: parameter for name, parameter in found.items() if parameter}


def check_fields(values: object) -> None:
    """For ``__post_init__``: :class:`ParameterError` for a field unlike its declaration."""
    for name, parameter in parameters_of(type(values)).items():
        parameter.check(name, getattr(values, name))


def pasted_path(text: str | Path) -> Path:
    """The file or folder that a typed or pasted text means: the path alone or between quotes, a
    ``file://`` address, a path with ``~`` or a variable (``$HOME``), or with spaces as a terminal
    writes them. The first that exists is taken, so a file with exactly this name has priority."""
    spellings = [str(text).strip()]
    text = spellings[0]
    while len(text) > 1 and text[0] + text[-1] in QUOTES:
        text = text[1:-1].strip()
    if text.lower().startswith("file:"):
        address = text[5:].removeprefix("//")  # the part before the first / is a machine's name
        spellings.append(url2pathname(address))
        text = url2pathname("/" + address.partition("/")[2])
    spelled = os.path.expanduser(os.path.expandvars(text))
    spellings += [text, re.sub(r"\\(.)", r"\1", spelled), spelled]
    return Path(next(filter(os.path.exists, spellings), spelled))
