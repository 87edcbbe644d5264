"""Exercises: a stub in a notebook, its check here, its solution in ``notebooks/solutions/``.

``checks.toml`` lists all exercises. A check is a list of steps in this file or, where it computes,
the function of the exercise's name in ``checks.py``.
"""

import tomllib
import traceback
from collections.abc import Callable, Sequence
from html import escape
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from . import checks

LESSONS = tomllib.loads(Path(__file__).with_name("checks.toml").read_text("utf-8"))
ARRAYS = {"numpy": np.array, "uint8": np.uint8, "torch": torch.tensor, None: list}


class NoAnswer(AssertionError):
    """Why there is nothing to check; the message is shown as it is."""


class Verdict(NamedTuple):
    """Whether an answer is right, and what to say about it; Jupyter shows it in colour."""

    right: bool
    words: str

    def _repr_html_(self) -> str:
        sign, colour = ("✓", "#0a8a5f") if self.right else ("…", "#c05a00")  # on light and dark
        return f'<p><b style="color:{colour}">{sign}</b> {escape(self.words)}</p>'


def check(answer: Callable) -> Verdict:
    """Try a reader's function, named as the exercise names it; never raises, so that an unsolved
    notebook still runs to its end."""
    name = getattr(answer, "__name__", "")

    def answered(*inputs):
        try:
            found = answer(*inputs)
        except NoAnswer:
            raise
        except Exception as error:
            raise AssertionError(f"your function raised {_words(error)}") from error
        assert found is not None, "the function returns nothing yet"
        return found

    try:
        lesson = lesson_of(name)
        assert lesson, f"there is no exercise {name!r}; keep the name of the stub"
        exercise = LESSONS[lesson][name]
        if "steps" in exercise:
            _take_steps(answered, exercise["steps"], ARRAYS[exercise.get("arrays")])
        else:
            getattr(checks, name)(answered)
    except AssertionError as wrong:
        return Verdict(False, f"Not yet: {wrong}")
    except Exception as error:  # the answer cannot be compared with the right one
        told = f"an answer of another shape or kind is asked for ({_words(error)})"
        return Verdict(False, f"Not yet: {told}")
    return Verdict(True, exercise["right"])


def _words(error: Exception) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def yours_or(answer: Callable, library: Callable) -> Callable:
    """The reader's function where its check passes, otherwise the library's; a line says which,
    for the next cells work with it."""
    name = answer.__name__
    if check(answer).right:
        print(f"The next cells use your {name}.")
        return answer
    print(f"The next cells use the library's {name}, until yours passes its check.")
    return library


def lesson_of(name: str) -> str | None:
    """The lesson ("lesson04") that has an exercise of this name."""
    return next((lesson for lesson, exercises in LESSONS.items() if name in exercises), None)


def _take_steps(answer: Callable, steps: Sequence[dict], array: Callable) -> None:
    """The steps of a check, as ``checks.toml`` explains them; AssertionError for a wrong answer."""
    result, wrong = None, ""
    for step in steps:
        if "give" in step:
            result = answer(*(array(v) if isinstance(v, list) else v for v in step["give"]))
        found, wrong = result, step.get("wrong", wrong)
        for place in step.get("part", []):
            found = found[place]
        shape, kind = tuple(np.shape(found)), type(found).__name__
        if hasattr(found, "tolist"):  # an array of one element may stand for a number
            found = found.item() if prod(shape) == 1 else found.tolist() if prod(shape) else []
        within = step.get("within", 1e-6)
        total = np.sum(found, -1) if "sum" in step else None
        right = (
            step.get("type", kind) == kind
            and step.get("shape", list(shape)) == list(shape)
            and ("sum" not in step or np.allclose(total, step["sum"]))
            and ("finite" not in step or np.isfinite(found).all())
            and ("mistake" not in step or not np.allclose(found, step["mistake"]))
            and ("want" not in step or np.shape(found) == np.shape(step["want"]))
            and ("want" not in step or np.allclose(found, step["want"], atol=within))
        )
        if right:
            continue
        try:
            told = wrong.format(found=found, shape=shape, sum=total)
        except (TypeError, ValueError, LookupError):  # the words are for another shape or kind
            told = f"an answer of another shape or kind is asked for, not {found!r}"
        raise AssertionError(told)
