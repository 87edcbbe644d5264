"""The parameters of the lessons: checked before anything runs, and what a path means."""

import re
from pathlib import Path

import nbformat
import pytest

from statkit.cli.commands import main
from statkit.gallery.parameters import PARAMETERS, check_parameters, checked, declaration
from statkit.gallery.runner import _jobs
from statkit.runtime.parameters import ParameterError

REPOSITORY = Path(__file__).parents[1]


def test_a_parameter_is_checked_before_any_notebook_runs(tmp_path, capsys):
    wrong = [
        ("seeds", "a", "whole numbers"),
        ("block", "5", "from 1 to 4"),
        ("perplexity", "500", "5 or 15 or 30 or 50"),
        ("weights", "[1, -1, 2]", "each from 0"),
        ("overrides", "power=9", "power is 1 or 2"),
        ("device", "gpu", "device is auto, cpu"),
        ("dataset", "", "got an empty text"),
        ("dataset", "no/clips", f"{Path('no/clips').absolute()} is not there"),
    ]
    for name, value, words in wrong:
        assert main(["figures", "--out", str(tmp_path / "out"), "-p", name, value]) == 1
        said = capsys.readouterr().err.strip()
        assert words in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name, kind, given, taken",
    [
        ("seeds", "str", 0, "0"),
        ("seeds", "str", "3", "3"),
        ("dataset", "str", 2024, "2024"),
        ("weights", "list", "[1, 1, 2]", [1.0, 1.0, 2.0]),
        ("clip", "int", "3", 3),
        ("clip", "str", "my.mp4", "my.mp4"),
        ("fresh", "bool", "yes", True),
    ],
)
def test_a_parameter_as_papermill_or_a_shell_gives_it_is_taken(name, kind, given, taken):
    assert checked(name, kind, given) == taken


def test_the_check_in_a_notebook_puts_right_or_refuses():
    notebook = {"__annotations__": {"seeds": str, "block": int}, "seeds": 0, "block": 4}
    check_parameters(notebook)
    assert notebook["seeds"] == "0"
    with pytest.raises(ParameterError, match="block is a whole number from 1 to 4, got '5'"):
        check_parameters({**notebook, "block": 5})
    with pytest.raises(ParameterError, match="action is all or walk"):
        check_parameters({**notebook, "action": "fly"}, action=("all", "walk"))


def test_every_parameter_of_a_lesson_is_declared_and_its_default_is_in_range():
    for file in sorted((REPOSITORY / "notebooks").glob("[0-9]*.ipynb")):
        cells = nbformat.read(file, as_version=4).cells
        tagged = [i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", [])][0]
        values = {}
        exec(cells[tagged].source, values)
        check_parameters(values)
        assert set(values["__annotations__"]) <= set(PARAMETERS), file.name
        assert "check_parameters(globals())" in cells[tagged + 1].source


def test_sliders_end_where_their_parameters_do():
    """What a lesson says of a slider with fixed ends, and what its parameter may be."""
    found = 0
    for file in sorted((REPOSITORY / "notebooks").glob("[0-9]*.ipynb")):
        for cell in nbformat.read(file, as_version=4).cells:
            for name, least, most in re.findall(
                r"(\w+)=Slider\(\"[^\"]+\", ([\d.]+), ([\d.]+), \1\b", cell.source
            ):
                parameter = declaration(name, "int")
                assert (float(least), float(most)) == (parameter.least, parameter.most)
                found += 1
    assert found > 8


def test_paths_mean_the_folder_where_they_were_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("lessons", "data/mine"):
        (tmp_path / folder).mkdir(parents=True)
    notebook = tmp_path / "lessons" / "01_a.ipynb"
    given = {"dataset": "data/mine"}
    job = _jobs({notebook: {"dataset": "str", "figures": "str"}}, Path("out"), given, {})[0]
    assert job.parameters == {"dataset": "../data/mine", "figures": "../out"}
    job = _jobs({notebook: {"dataset": "str"}}, Path("out"), {"dataset": "demo"}, {})[0]
    assert job.parameters == {"dataset": "demo"}


def test_a_clips_number_is_not_for_the_lesson_that_takes_a_file(tmp_path):
    known = {tmp_path / "04_a.ipynb": {"clip": "int"}, tmp_path / "09_b.ipynb": {"clip": "str"}}
    assert [job.parameters for job in _jobs(known, Path("out"), {"clip": "3"}, {})] == [
        {"clip": 3},
        {},
    ]
