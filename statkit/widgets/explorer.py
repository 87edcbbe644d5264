"""The one way to sliders: pure ``draw(**values) -> Figure`` below, named controls above.

The picture is a widget like the controls. A static copy of the first picture stands in the next
output, so that an executed notebook shows it. Nothing here trains or decodes.
"""

import asyncio
import gc
import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from threading import RLock
from typing import Self

import ipywidgets
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure

from statkit.runtime.progress import HEADLESS

from .controls import GRID, Control
from .picture import Picture
from .record import recording

PAUSE = 0.005  # seconds in which values that are already on their way overtake a drawing
_cells_run = None  # the kernel's count of cells when its objects were last left aside


class Explorer:
    """Controls with a picture under them.

    ``controls`` holds the widgets by name, ``values`` what they say, ``figure`` the drawing of
    these values, ``error`` what went wrong with it, if it did.

    In a notebook values come faster than pictures while a slider is dragged. So a change only
    marks the picture as old, and the event loop draws what the controls say once it gets to it.
    """

    _shown: dict[str, tuple[str, list[Self]]] = {}  # cell -> its run and what that showed
    _drawing = RLock()  # Matplotlib is not made for two threads at a time

    def __init__(
        self,
        draw: Callable[..., Figure],
        controls: dict[str, Control],
        save: Callable[..., Path] | None = None,
    ):
        self.draw, self._save = draw, save
        self.controls = {name: control.widget() for name, control in controls.items()}
        self.picture = Picture()
        grid = ipywidgets.GridBox(list(self.controls.values()), layout=GRID)
        self.box = ipywidgets.VBox([grid, self.picture])
        self._error: Exception | None = None
        self._old = False
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

    def show(self, recorded: dict | None = None) -> Self:
        """Display controls and picture in the current cell, in place of those of its last run, with
        the states that the book shows (:func:`statkit.widgets.record.recording`)."""
        still = self.picture.show(self._figure)
        display(with_words(self.box, _said(self.controls)), raw=True)
        display(still, metadata={"statkit": recorded} if recorded else None)
        self._replace_the_last_run()
        return self

    def save(self, name: str, **options) -> Path:
        """Save the figure as the controls now stand, with their values as its parameters."""
        if self._save is None:
            raise ValueError("explore(...) has no way to save: pass save=...")
        return self._save(self, name, **options)

    def redraw(self) -> None:
        """Draw again with the same values, because what is drawn has changed."""
        self._changed(None)

    def close(self, successor: Self | None = None) -> None:
        """Close the picture and the controls, but for those that the successor or another explorer
        shows, too."""
        for widget in (self.box, *self.box.children):
            widget.close()
        others = [one for _, shown in self._shown.values() for one in shown if one is not self]
        others += [successor] if successor else []
        kept = {widget for one in others for widget in one.controls.values()}
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
        waits, self._old = self._old, True
        try:
            loop = None if os.environ.get(HEADLESS) else asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None:
            self._catch_up()
        elif not waits:
            loop.call_later(PAUSE, self._in_its_turn)

    def _in_its_turn(self) -> None:
        self._catch_up()
        free_last_figure()

    def _catch_up(self) -> None:
        with self._drawing:
            if not self._old:
                return
            self._old = False
            try:
                self._figure, self._error = self.draw(**self.values), None
                self.picture.show(self._figure)
            except Exception as error:  # the kernel lives on and the reader is told
                self._error = error
                self.picture.show_error(error)

    def _replace_the_last_run(self) -> None:
        kernel = getattr(get_ipython(), "kernel", None)
        request = kernel.get_parent() if kernel else {}
        cell = request.get("metadata", {}).get("cellId")
        if not cell:  # the notebook does not say which cell runs
            return
        run = request["header"]["msg_id"]
        last_run, shown = self._shown.get(cell, ("", []))
        if last_run != run:
            for explorer in shown:
                explorer.close(self)
            shown = []
        self._shown[cell] = (run, [*shown, self])


def free_last_figure() -> None:
    """Free the figure that a new one has replaced: its parts refer to each other, so only the
    garbage collector frees it.

    A collection looks at every object of the kernel, which takes a third of a second in a lesson,
    and the next picture would wait for it. So what the cells have made is looked at once after
    they ran, and then left aside (``gc.freeze``) until a cell runs again.
    """
    global _cells_run
    cells_run = getattr(get_ipython(), "execution_count", 0)
    if cells_run == _cells_run:
        gc.collect()
        return
    _cells_run = cells_run
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def explore(
    draw: Callable[..., Figure], *, save: Callable[..., Path] | None = None, **controls: Control
) -> Explorer:
    """Show sliders and the figure that they choose: ``draw`` is pure and takes a keyword for every
    control; ``save`` is what ``explorer.save(name)`` calls, :func:`statkit.gallery.save_figure`
    with its options given. Headless runs of ``statkit figures`` also move every control to its
    ends, so that a drawing that fails fails the run."""
    explorer = Explorer(draw, controls, save)
    explorer.show(recording(draw, controls, explorer.values))
    if os.environ.get(HEADLESS):
        explorer.check(controls)
    return explorer


def with_words(widget: ipywidgets.Widget, words: str) -> dict:
    """A widget's MIME bundle with a line of text for viewers in which no kernel moves widgets."""
    bundle = widget._repr_mimebundle_()
    bundle = bundle[0] if isinstance(bundle, tuple) else bundle  # anywidget adds metadata
    return {**bundle, "text/html": f"<p><small>{escape(words)}</small></p>"}


def _said(controls: dict[str, ipywidgets.Widget]) -> str:
    """What the controls say, in words."""
    parts = []
    for widget in controls.values():
        for single in getattr(widget, "sliders", [widget]):
            value = getattr(single, "label", single.value)
            shown = f"{value:.4g}" if isinstance(value, float) else value
            parts.append(f"{single.description}: {shown}")
    return f"Controls, live in Jupyter: {'; '.join(parts)}."
