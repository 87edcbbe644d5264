"""Training that one can watch and stop: curves that grow under a stop button.

Stopping keeps what was learnt: training writes a checkpoint after every epoch and goes on from it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape, unescape
from threading import Event, Thread
from typing import Self

import ipywidgets
from IPython.display import Image, display
from matplotlib.figure import Figure
from nbconvert.filters import markdown2html

from statkit.experiments.experiment import Experiment
from statkit.plots.curves import draw_curves
from statkit.runtime.progress import HEADLESS

from .controls import Control
from .explorer import Explorer, with_words
from .picture import Picture


class Stopped(Exception):
    """The reader stopped the training. A notebook shows this message and runs no more cells."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def train_and_watch(experiment: Experiment, rows: Sequence[str]) -> Figure:
    """Train those rows that are not trained yet, and show the loss curves of all as they grow.

    The button stops the training after the epoch; so does interrupting the kernel, at once, which
    is the only way in front ends that deliver no clicks while a cell runs; both raise
    :class:`Stopped`. Running the cell again goes on from the last whole epoch.
    """
    panel = TrainingPanel(experiment, rows)
    panel.show()
    try:
        panel.train()
    except KeyboardInterrupt:
        raise Stopped(f"Interrupted. {panel.KEPT}") from None
    finally:
        panel.close()
    return panel.figure()


class TrainingPanel:
    """A stop button over the loss curves of some rows."""

    KEPT = "Whole epochs are kept: run this cell again to continue."

    def __init__(self, experiment: Experiment, rows: Sequence[str]):
        self.experiment, self.rows = experiment, tuple(rows)
        self.titles = {name: row.title for name, row in experiment.rows.items()}
        longest = max(experiment.rows[row].epoch_factor for row in rows)
        epochs = max(experiment.config.recipe.epochs, experiment.config.student_epochs or 0)
        self.epochs = max(1, round(longest * epochs))
        self.histories: dict[str, list[Mapping[str, float]]] = {}
        self.stop = Event()
        self.button = ipywidgets.Button(
            description="Stop after this epoch",
            icon="stop",
            tooltip="Stop the training and keep what was learnt",
            layout={"width": "16em"},
        )
        self.button.add_class("statkit-stop")
        self.button.on_click(self._asked)
        self.picture = Picture()
        self._still = None  # outside Jupyter there is none

    def figure(self) -> Figure:
        about = {"epochs": self.epochs, "generated": self.experiment.dataset.generated}
        return draw_curves(self.histories, self.titles, **about)

    def train(self) -> None:
        """Train those rows that are not trained yet; Stopped if the button was pressed."""
        for row in self.rows:
            if not self.experiment.trained(row):
                self.experiment.network(row, on_epoch=partial(self.on_epoch, row))
            self.update(row, self.experiment.history(row))

    def show(self) -> None:
        """Display button and curves in the current cell."""
        still = self.picture.show(self.figure())
        if not os.environ.get(HEADLESS):
            display(with_words(ipywidgets.VBox([self.button, self.picture]), ""), raw=True)
            # ipykernel 7.4 hands a click to the shell that last wrote to the button, which is the
            # one that trains. Where that is forgotten, it goes to the one that the browser names.
            vars(self.button.comm).pop("_reply_subshell_id", None)
        self._still = display(still, display_id=True)

    def update(self, row: str, history: Sequence[Mapping[str, float]]) -> None:
        """Show these epochs of a row."""
        self.histories[row] = list(history)
        with Explorer._drawing:
            self.picture.show(self.figure())

    def on_epoch(self, row: str, epoch: int, means: Mapping[str, float]) -> None:
        """One more epoch of a row; raises Stopped if the button was pressed."""
        self.update(row, [*self.histories.get(row, []), means])
        if self.stop.is_set():
            raise Stopped(f"Stopped {self.titles[row]} after epoch {epoch + 1}. {self.KEPT}")

    def close(self) -> None:
        """Take the button away; viewers without a kernel get the last curves."""
        self.button.layout.display = "none"  # a closed child would break the page's next loading
        if self._still:
            self._still.update(self.picture.show(self.figure()))

    def _asked(self, button: ipywidgets.Button) -> None:
        self.stop.set()
        button.description, button.disabled = "Stopping ...", True


class OwnRow:
    """A button that trains rows with the values that the reader has chosen, and curves under it.

    The training runs beside the kernel's work, so that its stop button is heard; whole epochs and
    finished networks are kept, under the values that they were trained with.

    Args:
        prepare: called with the values of the controls; the experiment that has the rows.
        then: called with the experiment when the rows are trained.
        controls: by name; none where ``prepare`` reads an explorer's.
    """

    def __init__(
        self,
        prepare: Callable[..., Experiment],
        rows: Sequence[str],
        then: Callable[[Experiment], object] | None = None,
        **controls: Control,
    ):
        self.prepare, self.rows, self.then = prepare, tuple(rows), then
        self.experiment: Experiment | None = None
        self.controls = {name: control.widget() for name, control in controls.items()}
        self.button = ipywidgets.Button(description="Train with these values", icon="play")
        self.button.layout.width = "16em"
        self.button.add_class("statkit-train")
        self.button.on_click(self._pressed)
        self.words, self.curves = ipywidgets.HTML(), ipywidgets.VBox()
        line = ipywidgets.HBox([self.button, self.words])
        self.box = ipywidgets.VBox([*self.controls.values(), line, self.curves])

    def show(self, *, train: bool = False) -> Self:
        """Display the button in the current cell; with ``train``, press it and wait for the end."""
        display(with_words(self.box, "A button that trains, live in Jupyter."), raw=True)
        if train:
            self.run()
            if os.environ.get(HEADLESS):  # viewers without a kernel get the last state
                picture = self.curves.children[-1]
                display(with_words(self.words, unescape(self.words.value)), raw=True)
                display(Image(picture.png, format="png", alt=picture.alt))
        return self

    def _pressed(self, button: ipywidgets.Button) -> None:
        if not button.disabled:  # a double click arrives as two
            button.disabled = True
            Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        """Train the rows, or find them trained."""
        self.button.disabled, panel = True, None
        try:
            experiment = self.prepare(**{n: control.value for n, control in self.controls.items()})
            panel = TrainingPanel(experiment, self.rows)
            self.curves.children = [panel.button, panel.picture]
            self.words.value = "The training has begun."
            panel.train()
            found = [(panel.titles[row], experiment.result(row).prec1) for row in self.rows]
            self.experiment = experiment
            if self.then:
                self.then(experiment)
            self.words.value = "; ".join(f"{escape(t)}: prec@1 {prec1:.1f} %" for t, prec1 in found)
        except Stopped as stopped:
            self.words.value = escape(str(stopped).replace("run this cell", "press the button"))
        except Exception as error:  # of a thread, nobody would hear
            self.words.value = f"The training failed: {escape(str(error))}"
            if os.environ.get(HEADLESS):
                raise
        finally:
            self.button.disabled = False
            if panel:
                panel.close()


class LiveTable(ipywidgets.HTML):
    """A Markdown table that can be brought up to date; ``text_of`` returns it as it is now."""

    def __init__(self, text_of: Callable[[], str]):
        super().__init__()
        self.text_of = text_of
        self.refresh()

    def refresh(self) -> None:
        self.value = f'<div class="jp-RenderedHTMLCommon">{markdown2html(self.text_of())}</div>'

    def _repr_mimebundle_(self, **options) -> dict:
        return {**super()._repr_mimebundle_(**options), "text/html": self.value}
