"""Every exercise: its stub fails its check, its solution passes."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from statkit.exercises import check

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
