"""A prediction before a measurement: a choice that is kept, and shown beside what was measured."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

import ipywidgets
from IPython.display import display

from statkit.runtime.cache import cache_folder, write_atomically
from statkit.runtime.progress import HEADLESS

from .explorer import with_words


class Guess(ipywidgets.ToggleButtons):
    """What a reader expects. ``value`` is the option chosen, None before; it is kept under
    ``name`` for this user, because a class may share one cache."""

    def __init__(self, name: str, options: Sequence[str]):
        self._file, kept = cache_folder("predictions", Path.home().name) / f"{name}.txt", None
        if self._file.is_file() and not os.environ.get(HEADLESS):
            kept = self._file.read_text(encoding="utf-8")
        kept = kept if kept in options else None
        super().__init__(options=options, value=kept, style={"button_width": "auto"})
        self.observe(self._keep, "value")

    def measured(self, answer: str, words: str = "") -> ipywidgets.HTML:
        """Show the prediction beside the measured answer, now and whenever it changes.

        Args:
            answer: one of the options.
            words: the measured numbers.

        Raises:
            ValueError: the answer is none of the options.
        """
        if answer not in self.options:
            raise ValueError(f"the measured answer {answer!r} is none of {self.options}")
        box = ipywidgets.HTML()

        def tell(_change=None) -> None:
            said = "nothing yet" if self.value is None else self.value
            sign = " ✓" if said == answer else ""
            parts = (f"You predicted: <b>{escape(said)}</b>{sign}", f"<b>{escape(answer)}</b>")
            box.value = f"{parts[0]}. Measured: {parts[1]}. {escape(words)}"

        self.observe(tell, "value")
        tell()
        display(with_words(box, f"Measured: {answer}. {words}"), raw=True)
        return box

    def _keep(self, change) -> None:
        if change.new is not None and not os.environ.get(HEADLESS):
            write_atomically(self._file, lambda f: f.write_text(change.new, encoding="utf-8"))


def predict(name: str, question: str, options: Sequence[str]) -> Guess:
    """Ask before the measurement is shown.

    Args:
        name: of the prediction, unique among all lessons.
        options: the answers to choose from; one of them is what :meth:`Guess.measured` gets.
    """
    guess = Guess(name, options)
    box = ipywidgets.VBox([ipywidgets.HTML(f"<b>Predict:</b> {escape(question)}"), guess])
    display(with_words(box, f"Predict: {question} {' / '.join(options)}"), raw=True)
    return guess
