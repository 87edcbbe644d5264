"""The one way to sliders: pure ``draw(**values) -> Figure`` below, named controls above.

The picture lives in a display handle that is updated in place: no flicker, nothing stacked, and
the executed notebook keeps the last picture. Nothing here trains or decodes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import traceback
from collections.abc import Callable
from html import escape
from threading import RLock

import cv2
import ipywidgets
import numpy as np
from IPython import get_ipython
from IPython.display import HTML, Image, display
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from statkit.runtime.progress import HEADLESS

from .controls import Control

ERROR_CLASS = "statkit-widget-error"
PAUSE = 0.005  # seconds in which values that are already on their way overtake a drawing
# Filter and level at which a figure of frames takes half the time that it takes otherwise.
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]


class Explorer:
    """Controls with a picture under them.

    ``controls`` holds the widgets by name, ``values`` what they say, ``figure`` the drawing of
    these values, ``error`` what went wrong with it, if it did.

    In a notebook values come faster than pictures while a slider is dragged. So a change only
    marks the picture as old, and the event loop draws what the controls say once it gets to it.
    """

    _shown: dict[str, tuple[str, list[Explorer]]] = {}  # cell -> its run and what that showed
    _drawing = RLock()  # Matplotlib is not made for two threads at a time

    def __init__(self, draw: Callable[..., Figure], controls: dict[str, Control]):
        self.draw = draw
        self.controls = {name: control.widget() for name, control in controls.items()}
        self._handle = None  # outside Jupyter there is none
        self._error: Exception | None = None
        self._old, self._waiting = False, False
        self._figure = draw(**self.values)
        for name, widget in self.controls.items():
            widget.add_class("statkit-control")
            widget.add_class(f"statkit-{name}")
            widget.observe(self._changed, "value")

    @property
    def values(self) -> dict:
        return {name: widget.value for name, widget in self.controls.items()}

    @property
    def figure(self) -> Figure:
        self._catch_up()
        return self._figure

    @property
    def error(self) -> Exception | None:
        self._catch_up()
        return self._error

    def show(self) -> Explorer:
        """Display controls and picture in the current cell, in place of those of its last run."""
        box = ipywidgets.VBox(list(self.controls.values()))
        display(with_words(box, _said(self.controls)), raw=True)
        self._handle = display(render(self._figure), display_id=True)
        self._replace_the_last_run()
        return self

    def close(self, successor: Explorer | None = None) -> None:
        """Let go of the controls, but for those that the successor shows too; the picture stays."""
        kept = successor.controls.values() if successor else ()
        for widget in self.controls.values():
            widget.unobserve(self._changed, "value")
            if widget not in kept:
                widget.close()

    def check(self, controls: dict[str, Control]) -> None:
        """Move every control to its ends and back; raise the first error a drawing met."""
        for name, control in controls.items():
            for value in (*control.ends(), control.value):
                self.controls[name].value = value
                if self.error:
                    raise RuntimeError(f"drawing with {name}={value} failed") from self.error

    def _changed(self, _change) -> None:
        self._old = True
        loop = None if os.environ.get(HEADLESS) else _running_loop()
        if loop is None:
            self._catch_up()
        elif not self._waiting:
            self._waiting = True
            loop.call_later(PAUSE, self._in_its_turn)

    def _in_its_turn(self) -> None:
        self._waiting = False
        self._catch_up()
        gc.collect()  # the last figure, now that the reader has the new one

    def _catch_up(self) -> None:
        with self._drawing:
            if not self._old:
                return
            self._old = False
            try:
                self._figure, self._error = self.draw(**self.values), None
                picture = render(self._figure)
            except Exception as error:  # the kernel lives on and the reader is told
                self._error = error
                picture = _message(error)
            if self._handle:
                self._handle.update(picture)

    def _replace_the_last_run(self) -> None:
        cell, run = _cell_and_run()
        if not cell:
            return
        last_run, shown = self._shown.get(cell, ("", []))
        if last_run != run:
            for explorer in shown:
                explorer.close(self)
            shown = []
        self._shown[cell] = (run, [*shown, self])


def explore(draw: Callable[..., Figure], **controls: Control) -> Explorer:
    """Show sliders and the figure that they choose.

    Args:
        draw: pure; takes a keyword for every control and returns a Figure.
        controls: name of the keyword -> :class:`Slider`, :class:`Choice`, :class:`Toggle` or
            :class:`Shares`.

    Headless runs of ``statkit figures`` also move every control to its ends, so that a drawing
    that fails fails the run.
    """
    explorer = Explorer(draw, controls).show()
    if os.environ.get(HEADLESS):
        explorer.check(controls)
    return explorer


def render(figure: Figure) -> Image:
    """A figure as the PNG that a notebook shows; it says its size, so that the page stands still
    while it is replaced."""
    canvas = FigureCanvasAgg(figure)
    with rc_context({"text.hinting": "none"}):  # a third of the time of texts, hardly to be seen
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    height, width = pixels.shape[:2]
    _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGR), PNG)
    alt = getattr(figure, "alt", "")
    return Image(png.tobytes(), format="png", width=width, height=height, alt=alt)


def with_words(widget: ipywidgets.Widget, words: str) -> dict:
    """A widget's MIME bundle with a line of text for viewers in which no kernel moves widgets."""
    return {**widget._repr_mimebundle_(), "text/html": f"<p><small>{escape(words)}</small></p>"}


def _said(controls: dict[str, ipywidgets.Widget]) -> str:
    """What the controls say, in words."""
    parts = []
    for widget in controls.values():
        for single in getattr(widget, "sliders", [widget]):
            value = getattr(single, "label", single.value)
            shown = f"{value:.4g}" if isinstance(value, float) else value
            parts.append(f"{single.description}: {shown}")
    return f"Controls, live in Jupyter: {'; '.join(parts)}."


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _cell_and_run() -> tuple[str, str]:
    """Which cell runs, and a name of this run of it; empty where the notebook does not say."""
    kernel = getattr(get_ipython(), "kernel", None)
    request = kernel.get_parent() if kernel else {}
    return (
        request.get("metadata", {}).get("cellId", ""),
        request.get("header", {}).get("msg_id", ""),
    )


def _message(error: Exception) -> HTML:
    words = escape("".join(traceback.format_exception_only(error)).strip(), quote=False)
    return HTML(f'<pre class="{ERROR_CLASS}" style="color:#b00">Cannot draw this: {words}</pre>')
