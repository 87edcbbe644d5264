"""The one way to sliders: pure ``draw(**values) -> Figure`` below, named controls above.

The picture lives in a display handle that is updated in place: no flicker, nothing stacked, and
the executed notebook keeps the last picture. Nothing here trains or decodes.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

import ipywidgets
from IPython.display import HTML, Image, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .progress import HEADLESS

ERROR_CLASS = "statkit-widget-error"


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
        return kind(
            value=self.value,
            min=self.least,
            max=self.greatest,
            step=self.step,
            description=self.label,
            style={"description_width": "14em"},
            layout={"width": "34em"},
        )

    def ends(self) -> tuple:
        return (self.least, self.greatest)


@dataclass(frozen=True)
class Choice:
    """One of a few named values."""

    label: str
    options: Sequence
    value: object

    def widget(self) -> ipywidgets.Widget:
        return ipywidgets.Dropdown(
            options=list(self.options),
            value=self.value,
            description=self.label,
            style={"description_width": "14em"},
            layout={"width": "34em"},
        )

    def ends(self) -> tuple:
        values = [o[1] if isinstance(o, tuple) else o for o in self.options]
        return (values[0], values[-1])


class Explorer:
    """Controls with a picture under them. ``controls`` holds the widgets by name, ``values`` what
    they say, ``figure`` what is shown, ``error`` what went wrong with the last drawing, if it did.
    """

    def __init__(self, draw: Callable[..., Figure], controls: dict[str, Slider | Choice]):
        self.draw = draw
        self.controls = {name: control.widget() for name, control in controls.items()}
        self.error: Exception | None = None
        self._handle = None  # outside Jupyter there is none
        self.figure = draw(**self.values)
        for name, widget in self.controls.items():
            widget.add_class("statkit-control")
            widget.add_class(f"statkit-{name}")
            widget.observe(self._changed, "value")

    @property
    def values(self) -> dict:
        return {name: widget.value for name, widget in self.controls.items()}

    def show(self) -> Explorer:
        """Display controls and picture in the current cell."""
        display(ipywidgets.VBox(list(self.controls.values())))
        self._handle = display(render(self.figure), display_id=True)
        return self

    def _changed(self, _change) -> None:
        try:
            self.figure, self.error = self.draw(**self.values), None
            picture = render(self.figure)
        except Exception as error:  # the kernel lives on and the reader is told
            self.error = error
            picture = _message(error)
        if self._handle:
            self._handle.update(picture)

    def check(self, controls: dict[str, Slider | Choice]) -> None:
        """Move every control to its ends and back; raise the first error a drawing met."""
        for name, control in controls.items():
            for value in (*control.ends(), control.value):
                self.controls[name].value = value
                if self.error:
                    raise RuntimeError(f"drawing with {name}={value} failed") from self.error


def explore(draw: Callable[..., Figure], **controls: Slider | Choice) -> Explorer:
    """Show sliders and the figure that they choose.

    Args:
        draw: pure; takes a keyword for every control and returns a Figure.
        controls: name of the keyword -> :class:`Slider` or :class:`Choice`.

    Headless runs of ``statkit figures`` also move every control to its ends, so that a drawing
    that fails fails the run.
    """
    explorer = Explorer(draw, controls).show()
    if os.environ.get(HEADLESS):
        explorer.check(controls)
    return explorer


def render(figure: Figure) -> Image:
    """A figure as the PNG that a notebook shows."""
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_figure(
        buffer, format="png", dpi=100, pil_kwargs={"compress_level": 1}
    )
    return Image(buffer.getvalue(), format="png", alt=getattr(figure, "alt", ""))


def _message(error: Exception) -> HTML:
    words = "".join(traceback.format_exception_only(error)).strip()
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return HTML(f'<pre class="{ERROR_CLASS}" style="color:#b00">Cannot draw this: {words}</pre>')
