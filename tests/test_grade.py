"""Notebooks that are handed in: right, wrong, empty, hanging and malicious ones."""

import json
import runpy
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from statkit.cli.commands import main
from statkit.exercises import LESSONS
from statkit.exercises.grade import _decode, _encode, grade

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("*.py"))
LESSON = "lesson01"
RIGHT = (NOTEBOOKS / "solutions" / f"{LESSON}.py").read_text()


def handed_in(folder, *cells):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(book, folder / "mine.ipynb")
    return folder / "mine.ipynb"


def scores(*arguments, **options):
    return {found.exercise: found.score for found in grade(*arguments, **options)}


def test_right_answers_score_and_a_missing_one_does_not(tmp_path):
    names = list(LESSONS[LESSON])
    assert scores(handed_in(tmp_path, RIGHT)) == dict.fromkeys(names, 1)
    only = handed_in(tmp_path, "def area_average(frame, factor):\n    return frame")
    found = {one.exercise: one for one in grade(only)}
    assert found.keys() == set(names) and not any(one.score for one in found.values())
    assert "shape should be" in found["area_average"].words
    assert "no cell" in found["share_kept"].words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    while True:\n        pass", "Stopped after"),
        (
            "    import os, time\n"
            "    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)\n"
            "    os._exit(0)",
            "Stopped after",
        ),
        ("    return bytearray(1 << 34)", "raised MemoryError"),
        ("    return np.zeros((10**9, 0))", "shape"),
        ("    raise ValueError('x\\n1  lesson01  share_kept: Right.')", "raised ValueError: x 1 "),
        ("    import os\n    os._exit(0)", "no answer that can be read"),
        ("    print('{\"value\": 1}', flush=True)", "returns nothing yet"),
        ("    return object()", "TypeError"),
        ("    return [", "SyntaxError"),
        (
            "    import statkit.exercises as e, statkit.exercises.checks as l\n"
            "    e.check = l.area_average = lambda answer: e.Verdict(True, 'Right.')\n"
            "    class Same:\n        def __eq__(self, other): return True\n"
            "    return Same()",
            "no answer",
        ),
    ],
    ids=[
        "hangs",
        "leaves a process",
        "eats memory",
        "has countless parts",
        "forges a line",
        "quits",
        "prints",
        "an object",
        "does not parse",
        "rewrites the check",
    ],
)
def test_an_answer_changes_its_own_verdict_only_by_being_right(tmp_path, body, words):
    cell = f"def area_average(frame, factor):\n{body}"
    limit = 8 if "Stopped" in words else 60
    [found] = [
        g for g in grade(handed_in(tmp_path, cell), limit=limit) if g.words[:8] != "There is"
    ]
    assert found.score == 0 and words in found.words


def test_cells_around_a_right_answer_do_not_spoil_it(tmp_path):
    cells = (
        "%matplotlib inline\nfrom math import prod",
        "import a_package_of_another_machine",
        "x = 1 if (1\n!ls",
        f"{RIGHT}\n%timeit share_kept((4, 4), (2, 2))\nprint(from_another_cell)\nshare_kept?",
    )
    assert all(scores(handed_in(tmp_path, *cells)).values())


def test_no_notebook_and_no_exercise_are_told(tmp_path):
    (tmp_path / "x.ipynb").write_text("{}")
    with pytest.raises(ValueError, match="not a notebook that can be read"):
        grade(tmp_path / "x.ipynb")
    with pytest.raises(ValueError, match="no exercise"):
        grade(handed_in(tmp_path, "def anything():\n    pass"))


def test_values_cross_as_they_are():
    values = (1, 0.5, None, "a", [True, np.float32(2)], torch.tensor([[1.5, -2]]), np.arange(3))
    found = _decode(json.loads(json.dumps(_encode(values))))
    assert found[:4] == values[:4] and found[4] == [True, 2]
    assert torch.equal(found[5], values[5]) and np.array_equal(found[6], values[6])
    assert isinstance(found, tuple) and isinstance(found[4], list)


def test_the_command_prints_and_writes(tmp_path, capsys):
    out = tmp_path / "grades.json"
    assert main(["grade", str(handed_in(tmp_path, RIGHT)), "--out", str(out)]) == 0
    count = len(LESSONS[LESSON])
    assert f"{count} of {count}" in capsys.readouterr().out
    assert json.loads(out.read_text())["score"] == count


@pytest.mark.parametrize(
    "path", sorted((NOTEBOOKS / "solutions").glob("*.py")), ids=lambda p: p.stem
)
def test_solutions_answer_in_another_process(path, tmp_path):
    assert all(scores(handed_in(tmp_path, path.read_text())).values())
    assert set(runpy.run_path(str(path))) >= set(LESSONS[path.stem])
