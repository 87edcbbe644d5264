"""Every exercise: its stub fails its check, its solution passes."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from statkit.exercises import check, yours_or

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def stubs():
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            if "exercise" in cell["metadata"].get("tags", []):
                code = "".join(cell["source"])
                yield pytest.param(path.name[:2], code, id=re.search(r"def (\w+)", code)[1])


@pytest.mark.parametrize(("lesson", "code"), list(stubs()))
def test_the_stub_fails_and_the_solution_passes(lesson, code):
    name = re.search(r"def (\w+)", code)[1]
    space = {"np": np, "torch": torch}
    exec(code, space)
    assert not check(space[name]).right
    verdict = check(runpy.run_path(str(NOTEBOOKS / "solutions" / f"lesson{lesson}.py"))[name])
    assert verdict.right, verdict.words


def test_every_solution_has_its_exercise():
    asked = {case.id for case in stubs()}
    for path in (NOTEBOOKS / "solutions").glob("*.py"):
        found = runpy.run_path(str(path))
        solved = {
            name
            for name, value in found.items()
            if getattr(value, "__module__", "") == "<run_path>"
        }
        assert solved and solved <= asked


def test_a_wrong_answer_gets_a_hint_and_an_unknown_name_is_told():
    def area_average(frame, factor):
        return frame[::factor, ::factor]

    assert "mean of the first" in check(area_average).words

    def no_such_exercise():
        pass

    assert "keep the name" in check(no_such_exercise).words
    assert "Not yet" in check(area_average)._repr_html_()


def test_the_next_cells_work_with_a_right_answer_and_with_the_library_otherwise(capsys):
    solved = runpy.run_path(str(NOTEBOOKS / "solutions" / "lesson01.py"))["area_average"]
    assert yours_or(solved, len) is solved
    assert "use your area_average" in capsys.readouterr().out

    def area_average(frame, factor):
        return None

    assert yours_or(area_average, len) is len
    assert "the library's area_average, until yours passes" in capsys.readouterr().out


@pytest.mark.parametrize(
    "path", sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))[1:], ids=lambda p: p.stem
)
def test_every_lesson_has_three_levels_a_prediction_and_a_quiz(path):
    cells = json.loads(path.read_text())["cells"]
    texts = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    levels = re.findall(r"\*\*Exercise, ([\w-]+), \d+ minutes\.\*\*", "\n".join(texts))
    assert sorted(levels) == ["core", "stretch", "warm-up"]
    hinted = [text for text in texts if "**Exercise, " in text]
    assert all("<details><summary>Hint 1</summary>" in text for text in hinted)
    [quiz] = [text for text in texts if text.startswith("## Quiz")]
    assert quiz.count("<summary>Answer</summary>") == 5
    core = next(text for text in texts if "**Exercise, core" in text)
    assert core and any("yours_or(" in cell for cell in code)
    guesses = re.findall(r"(\w+) = predict\(", "\n".join(code))
    assert guesses and all(f"{guess}.measured(" in "\n".join(code) for guess in guesses)
    shown = [cell for cell in code if "check(" not in cell]
    solutions = (NOTEBOOKS / "solutions" / f"lesson{path.name[:2]}.py").read_text()
    for line in re.findall(r"^    return (.{30,})$", solutions, re.MULTILINE):
        assert not any(line in cell for cell in shown), line


def test_an_answer_of_another_kind_is_not_called_an_error_of_the_function():
    def area_average(frame, block):
        return "a word"

    verdict = check(area_average)
    assert not verdict.right and "raised" not in verdict.words

    def share_kept(frame, block):
        raise KeyError("mine")

    assert "your function raised KeyError" in check(share_kept).words
