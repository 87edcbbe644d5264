"""Training that one can watch and stop: curves that grow under a stop button.

Stopping keeps what was learnt: training writes a checkpoint after every epoch and goes on from it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from threading import Event

import ipywidgets
from IPython.display import display
from matplotlib.figure import Figure

from statkit.experiments.experiment import Experiment
from statkit.experiments.rows import ROWS, TITLES
from statkit.plots.curves import draw_curves
from statkit.runtime.progress import HEADLESS

from .explorer import with_words
from .picture import Picture


class Stopped(Exception):
    """The reader stopped the training. A notebook shows this message and runs no more cells."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def train_and_watch(experiment: Experiment, rows: Sequence[str]) -> Figure:
    """Train those rows that are not trained yet, and show the loss curves of all as they grow.

    The button stops the training after the epoch; so does interrupting the kernel, at once, which
    is the only way in front ends that deliver no clicks while a cell runs. Running the cell again
    goes on from the last whole epoch.

    Returns:
        The curves of all rows.

    Raises:
        Stopped: by button or interrupt.
    """
    panel = TrainingPanel(experiment, rows)
    panel.show()
    try:
        for row in rows:
            if not experiment.trained(row):
                experiment.network(row, on_epoch=partial(panel.on_epoch, row))
            panel.update(row, experiment.history(row))
    except KeyboardInterrupt:
        raise Stopped(f"Interrupted. {panel.KEPT}") from None
    finally:
        panel.close()
    return panel.figure()


class TrainingPanel:
    """A stop button over the loss curves of some rows."""

    KEPT = "Whole epochs are kept: run this cell again to go on from there."

    def __init__(self, experiment: Experiment, rows: Sequence[str]):
        longest = max(ROWS[row].epoch_factor for row in rows)
        config = experiment.config
        epochs = max(config.recipe.epochs, config.student_epochs or 0)
        self.epochs = max(1, round(longest * epochs))
        self.generated = experiment.dataset.generated
        self.histories: dict[str, list[Mapping[str, float]]] = {}
        self.stop = Event()
        self.button = ipywidgets.Button(
            description="Stop after this epoch",
            icon="stop",
            tooltip="Stop the training and keep what was learnt",
            layout={"width": "16em"},
        )
        self.button.add_class("statkit-stop")
        self.button.on_click(lambda _button: self._asked())
        self.picture = Picture()
        self._still = None  # outside Jupyter there is none

    def figure(self) -> Figure:
        return draw_curves(self.histories, TITLES, epochs=self.epochs, generated=self.generated)

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
        self.picture.show(self.figure())

    def on_epoch(self, row: str, epoch: int, means: Mapping[str, float]) -> None:
        """One more epoch of a row; raises Stopped if the button was pressed."""
        self.update(row, [*self.histories.get(row, []), means])
        if self.stop.is_set():
            raise Stopped(f"Stopped {TITLES[row]} after epoch {epoch + 1}. {self.KEPT}")

    def close(self) -> None:
        """Take the button away; viewers without a kernel get the last curves."""
        self.button.close()
        if self._still:
            self._still.update(self.picture.show(self.figure()))

    def _asked(self) -> None:
        self.stop.set()
        self.button.description, self.button.disabled = "Stopping ...", True
