"""Exercises: a stub in a notebook, its check here, its solution in ``notebooks/solutions/``.

The check of an exercise is the function of the same name in this package's module of the lesson.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from html import escape
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple


class Verdict(NamedTuple):
    """Whether an answer is right, and what to say about it; Jupyter shows it in colour."""

    right: bool
    words: str

    def _repr_html_(self) -> str:
        sign, colour = ("✓", "#00704f") if self.right else ("…", "#a04000")
        return f'<p style="color:{colour}"><b>{sign}</b> {escape(self.words)}</p>'


def check(answer: Callable) -> Verdict:
    """Try a reader's function; never raises, so that an unsolved notebook still runs to its end.

    Args:
        answer: named as the exercise names it.
    """
    try:
        said = _check_of(answer.__name__)(answer)
    except AssertionError as wrong:
        return Verdict(False, f"Not yet: {wrong}")
    except Exception as error:
        words = "".join(traceback.format_exception_only(error)).strip()
        return Verdict(False, f"Not yet: your function raised {words}")
    return Verdict(True, said or "Right.")


def _check_of(name: str) -> Callable:
    for module in iter_modules(__path__):
        found = getattr(import_module(f"{__name__}.{module.name}"), name, None)
        if found:
            return found
    raise AssertionError(f"there is no exercise {name!r}; keep the name of the stub")
