"""Named controls. Each makes its widget and knows the two ends of its range. Controls stand in a
grid of two columns, so that a screen has room for them and for their picture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import ipywidgets
import numpy as np
import traitlets

from statkit.errors import StatkitError

GRID = {
    "grid_template_columns": "repeat(auto-fit, minmax(29em, 1fr))",
    "grid_auto_flow": "row dense",
    "grid_gap": "0 1em",
    "max_width": "64em",
}
WHOLE_ROW = {"grid_area": "auto / 1 / auto / -1"}  # a null grid_area undoes a grid_column
LOOK = {"style": {"description_width": "12.5em"}, "layout": {"width": "auto"}}


@dataclass(frozen=True)
class Slider:
    """A number: least, greatest and first value, step, and the words beside it with the unit."""

    label: str
    least: float
    greatest: float
    value: float
    step: float = 1

    def widget(self) -> ipywidgets.Widget:
        whole = all(isinstance(n, int) for n in (self.least, self.greatest, self.value, self.step))
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        about = {"min": self.least, "max": self.greatest, "step": self.step}
        return kind(value=self.value, description=self.label, **about, **LOOK)

    def ends(self) -> tuple:
        return (self.least, self.greatest)

    def positions(self, now: float, most: int) -> list[float]:
        """At most so many values along the range, ``now`` among them."""
        steps = range(round((self.greatest - self.least) / self.step) + 1)
        values = (round(self.least + i * self.step, 9) for i in spread(steps, most))
        return sorted([*(v for v in values if abs(v - now) > self.step / 2), now])

    def recorded(self, positions: Sequence) -> dict:
        """What the book needs for this control: label, kind, the words of each position."""
        return {"label": self.label, "kind": "slider", "words": [f"{v:.4g}" for v in positions]}


@dataclass(frozen=True)
class Choice:
    """One of a few named values: buttons, because JupyterLab takes the arrow keys of a list away
    to walk through cells."""

    label: str
    options: Sequence
    value: object
    kind = "choice"

    @cached_property
    def _words(self) -> dict:
        """Value -> its words."""
        pairs = (o if isinstance(o, tuple) else (o, o) for o in self.options)
        return {value: str(words) for words, value in pairs}

    def widget(self) -> ipywidgets.Widget:
        words = self._words.values()
        return ipywidgets.ToggleButtons(
            options=list(self.options),
            value=self.value,
            description=self.label,
            style={**LOOK["style"], "button_width": "auto"},
            layout=WHOLE_ROW if sum(len(word) + 4 for word in words) > 30 else {},
            _dom_classes=["jupyter-widgets", "widget-inline-hbox"],  # the label at its side
        )

    def ends(self) -> tuple:
        values = list(self._words)
        return (values[0], values[-1])

    def positions(self, now: object, most: int) -> list:
        some = spread(list(self._words), most)
        return [value for value in self._words if value in some or value == now]

    def recorded(self, positions: Sequence) -> dict:
        words = [self._words[value] for value in positions]
        return {"label": self.label, "kind": self.kind, "words": words}


@dataclass(frozen=True)
class Toggle(Choice):
    """Yes or no."""

    options: Sequence = field(default=(("no", False), ("yes", True)), init=False)
    kind = "toggle"

    def widget(self) -> ipywidgets.Widget:
        return ipywidgets.Checkbox(value=self.value, description=self.label, **LOOK)


@dataclass(frozen=True)
class Shares:
    """Numbers that always sum to 1, a label each; moving one scales the others. The drawing gets a
    tuple. The first numbers, not negative and not all 0, are scaled to sum to 1."""

    labels: Sequence[str]
    value: Sequence[float]

    def __post_init__(self):
        fit = len(self.value) == len(self.labels) > 1 and min(self.value) >= 0
        if not (fit and 0 < sum(self.value) < float("inf")):
            raise StatkitError(
                f"shares are {len(self.labels)} numbers, none negative, not all 0; "
                f"got {list(self.value)}"
            )
        object.__setattr__(self, "value", tuple(v / sum(self.value) for v in self.value))

    def widget(self) -> ipywidgets.Widget:
        return _SharesBox(self.labels, self.value)

    def ends(self) -> tuple:
        whole = np.eye(len(self.labels))
        return (tuple(whole[0].tolist()), tuple(whole[-1].tolist()))

    def positions(self, now: tuple, most: int) -> list[tuple]:
        """All shares that are whole sixths, and ``now``."""
        sixths = product(range(7), repeat=len(self.labels))
        grid = [tuple(n / 6 for n in numbers) for numbers in sixths if sum(numbers) == 6]
        return [now, *(shares for shares in grid if not np.allclose(shares, now))]

    def recorded(self, positions: Sequence) -> dict:
        return {"kind": "shares", "label": self.labels, "words": positions}


class _SharesBox(ipywidgets.GridBox):
    """Sliders under one value, a tuple that sums to 1."""

    STEP = 0.01
    value = traitlets.Tuple()

    def __init__(self, labels: Sequence[str], value: tuple[float, ...]):
        self.sliders = [
            ipywidgets.FloatSlider(value=share, max=1, step=self.STEP, description=label, **LOOK)
            for label, share in zip(labels, value, strict=True)
        ]
        super().__init__(self.sliders, value=value, layout=GRID | WHOLE_ROW)
        for slider in self.sliders:
            slider.observe(self._moved, "value")
        self.observe(self._settle, "value")

    def _moved(self, change) -> None:
        moved = self.sliders.index(change["owner"])
        # A browser rounds what it is given to whole steps and says so: nobody moved anything.
        if abs(change["new"] - self.value[moved]) >= self.STEP / 2:
            self.value = rescale(self.value, moved, change["new"])

    def _settle(self, _change) -> None:
        for slider, share in zip(self.sliders, self.value, strict=True):
            slider.value = share


def spread(values: Sequence, most: int) -> list:
    """At most ``most - 1`` of many values, evenly spread, with both ends; all where they are
    ``most`` or fewer."""
    if len(values) <= most:
        return list(values)
    return [values[i] for i in np.linspace(0, len(values) - 1, most - 1).round().astype(int)]


def rescale(shares: Sequence[float], moved: int, to: float) -> tuple[float, ...]:
    """One share set, the others scaled so that all sum to 1; equal where all others were 0."""
    others = [0.0 if i == moved else share for i, share in enumerate(shares)]
    if sum(others) <= 0:
        others = [float(i != moved) for i in range(len(shares))]
    left = (1 - to) / sum(others)
    return tuple(to if i == moved else left * share for i, share in enumerate(others))


Control = Slider | Choice | Shares
