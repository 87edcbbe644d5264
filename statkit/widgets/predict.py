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
        """Show the prediction beside the measured answer, one of the options, and the measured
        numbers in words, now and whenever it changes. ValueError for another answer."""
        if answer not in self.options:
            raise ValueError(f"the measured answer {answer!r} is none of {self.options}")

        def told(guess: str | None) -> str:
            said = f"<b>{escape(guess or 'nothing yet')}</b>{' ✓' if guess == answer else ''}"
            return f"You predicted: {said}. Measured: <b>{escape(answer)}</b>. {escape(words)}"

        box = ipywidgets.HTML()
        ipywidgets.dlink((self, "value"), (box, "value"), told)
        display(with_words(box, f"Measured: {answer}. {words}"), raw=True)
        return box

    def _keep(self, change) -> None:
        if change.new is not None and not os.environ.get(HEADLESS):
            write_atomically(self._file, lambda f: f.write_text(change.new, encoding="utf-8"))


def predict(name: str, question: str, options: Sequence[str]) -> Guess:
    """Ask before the measurement is shown. The name is unique among all lessons; one of the options
    is what :meth:`Guess.measured` gets."""
    guess = Guess(name, options)
    box = ipywidgets.VBox([ipywidgets.HTML(f"<b>Predict:</b> {escape(question)}"), guess])
    display(with_words(box, f"Predict: {question} {' / '.join(options)}"), raw=True)
    return guess
