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
        sign, colour = ("✓", "#0a8a5f") if self.right else ("…", "#c05a00")  # on light and dark
        return f'<p><b style="color:{colour}">{sign}</b> {escape(self.words)}</p>'


def check(answer: Callable) -> Verdict:
    """Try a reader's function; never raises, so that an unsolved notebook still runs to its end.

    Args:
        answer: named as the exercise names it.
    """

    def answered(*inputs):
        found = answer(*inputs)
        assert found is not None, "the function returns nothing yet"
        return found

    try:
        said = _check_of(answer.__name__)(answered)
    except AssertionError as wrong:
        return Verdict(False, f"Not yet: {wrong}")
    except Exception as error:
        words = "".join(traceback.format_exception_only(error)).strip()
        return Verdict(False, f"Not yet: your function raised {words}")
    return Verdict(True, said or "Right.")


def yours_or(answer: Callable, library: Callable) -> Callable:
    """The reader's function where its check passes, otherwise the library's; a line says which,
    for the next cells work with it."""
    right = check(answer).right
    whose = "your" if right else "the library's"
    until = "" if right else ", until yours passes its check"
    print(f"The next cells use {whose} {answer.__name__}{until}.")
    return answer if right else library


def _check_of(name: str) -> Callable:
    lesson = lesson_of(name)
    assert lesson, f"there is no exercise {name!r}; keep the name of the stub"
    return getattr(import_module(f"{__name__}.{lesson}"), name)


def lesson_of(name: str) -> str | None:
    """The module of the lesson that has an exercise of this name."""
    lessons = [m.name for m in iter_modules(__path__) if m.name.startswith("lesson")]
    return next((lesson for lesson in lessons if name in exercises_of(lesson)), None)


def exercises_of(lesson: str) -> list[str]:
    """The names of a lesson's exercises: the public functions that its module defines."""
    module = import_module(f"{__name__}.{lesson}")
    found = vars(module).items()
    return [n for n, f in found if n[0] != "_" and getattr(f, "__module__", "") == module.__name__]
