import json
from functools import partial

import ipywidgets
import matplotlib.image
import nbformat
import numpy as np
import papermill
import pytest
from matplotlib.figure import Figure

from statkit.cli.commands import main
from statkit.evaluation import Prediction
from statkit.experiments.results import Result
from statkit.gallery import save_figure
from statkit.gallery.runner import NotebookError, callback_errors, run_notebooks
from statkit.lowres import to_low_res
from statkit.plots.attention import draw_attention, over_frames
from statkit.plots.comparison import draw_comparison
from statkit.plots.downsampling import draw_downsampling
from statkit.plots.style import attach, in_lines
from statkit.video import read_frames
from statkit.widgets import Choice, Explorer, Slider


@pytest.fixture(scope="module")
def frames(dataset):
    return [read_frames(dataset.path(i)) for i in (0, 1, 2)]


def look(rng, segments=4):
    maps = tuple(rng.random((segments, h, 2 * h)).astype(np.float32) for h in (8, 4, 2, 1))
    weights = rng.dirichlet(np.ones(segments)).astype(np.float32)
    inside = np.arange(segments) > 1
    return Prediction(
        rng.random((segments, 24, 32, 3)).astype(np.float32), maps, weights, "Walk", 0.7, inside
    )


def test_figure_1_shows_what_the_camera_makes(frames):
    figure = draw_downsampling(frames, ["a", "b", "c"], frame=4, height=6, noise=9, seed=2)
    assert figure.shown["low"].shape == (3, 6, 8, 3)
    expected = to_low_res(frames[1][4:5], (6, 8), noise=9, seed=2)[0]
    assert np.array_equal(figure.shown["low"][1], expected)
    assert "6x8" in figure.alt


def test_figure_5_at_every_block(rng):
    looks = {"teacher": look(rng), "stat": look(rng)}
    for block in range(1, 5):
        figure = draw_attention(looks, {"teacher": "T", "stat": "S"}, block=block)
        assert np.array_equal(figure.shown["stat_map"], looks["stat"].maps[block - 1])
    assert np.array_equal(figure.shown["teacher_weights"], looks["teacher"].weights)


def test_long_class_names_go_on_in_a_new_line():
    assert in_lines("Student\nsays BabyCrawling\n(51 %)") == "Student\nsays\nBabyCrawling\n(51 %)"
    assert in_lines("says BodyWeightSquats") == "says\nBodyWeight\nSquats"
    assert in_lines("weights\n(grey: action)") == "weights\n(grey: action)"
    assert in_lines("supercalifragilistic") == "supercalifragilistic" and in_lines("") == ""


def test_overlay_goes_from_frame_to_map(rng):
    frames, maps = (
        rng.random((2, 6, 8, 3)).astype(np.float32),
        rng.random((2, 3, 4)).astype(np.float32),
    )
    alone = over_frames(frames, maps, 0)
    assert np.allclose(alone, frames.mean(-1, keepdims=True))
    only = over_frames(frames, maps, 1)
    brightest = np.unravel_index(only[0].sum(-1).argmax(), (6, 8))
    top = np.unravel_index(maps[0].argmax(), (3, 4))
    assert abs(brightest[0] / 6 - (top[0] + 0.5) / 3) < 0.3
    assert np.isfinite(over_frames(frames, np.ones((2, 3, 4), np.float32), 0.5)).all()


def test_a_saved_figure_can_be_drawn_again(frames, dataset, tmp_path):
    values = {"frame": 3, "height": 12, "blur": 0.25, "noise": 2.0}
    draw = partial(draw_downsampling, frames, ["a", "b", "c"], generated=dataset.generated)
    png = save_figure(draw(**values), "fig1", parameters=values, dataset=dataset, folder=tmp_path)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".npz", ".pdf", ".png"]
    made = json.loads((tmp_path / "fig1.json").read_text())
    assert made["clips"] == "generated clips" and made["data_fingerprint"] == dataset.fingerprint
    assert made["versions"]["torch"]
    with np.load(tmp_path / "fig1.npz") as arrays:
        again = draw(**made["parameters"]).shown
        assert set(arrays) == set(again)
        assert all(np.array_equal(arrays[name], again[name]) for name in again)
    assert matplotlib.image.imread(png).shape[1] == 1350


def test_a_saved_explorer_is_the_state_of_its_controls(dataset, tmp_path):
    def draw(number, kind):
        if number == 7:
            raise ValueError("no seven")
        return attach(Figure(figsize=(3, 2)), f"{number} {kind}", number=number)

    save = partial(save_figure, dataset=dataset, folder=tmp_path)
    controls = {"number": Slider("N", 0, 9, 3), "kind": Choice("Kind", [("one", 1), ("two", 2)], 1)}
    explorer = Explorer(draw, controls, save)
    explorer.controls["number"].value, explorer.controls["kind"].value = 5, 2
    assert explorer.save("state", parameters={"epochs": 4}) == tmp_path / "state.png"
    made = json.loads((tmp_path / "state.json").read_text())
    assert made["parameters"] == {"epochs": 4, "number": 5, "kind": 2} and made["alt"] == "5 2"
    assert np.load(tmp_path / "state.npz")["number"] == 5
    explorer.controls["number"].value = 7
    with pytest.raises(ValueError, match="state: this picture could not be drawn"):
        explorer.save("state")
    assert json.loads((tmp_path / "state.json").read_text()) == made
    with pytest.raises(ValueError, match="save="):
        Explorer(draw, controls).save("state")


def test_a_comparison_of_one_run_and_of_several():
    runs = [Result("stat", "demo", "12x16", s, 1, 50 + s, 90, 1, 1.0, "cpu", "f") for s in range(3)]
    runs.append(Result("teacher", "demo", "72x96", 0, 1, 90, 99, 1, 1.0, "cpu", "f"))
    figure = draw_comparison(runs, {"teacher": "Teacher", "student": "S", "stat": "T"}, chance=8.3)
    assert figure.shown["rows"].tolist() == ["teacher", "stat"]
    assert figure.shown["prec1"].tolist() == [90, 51]


def test_controls_choose_and_the_drawing_follows(frames):
    controls = {
        "height": Slider("Rows", 6, 24, 12),
        "blur": Slider("Blur", 0.0, 2.0, 0.25, 0.05),
        "frame": Choice("Frame", [("first", 0), ("last", 15)], 0),
    }
    explorer = Explorer(partial(draw_downsampling, frames, ["a", "b", "c"]), controls).show()
    assert isinstance(explorer.controls["height"], ipywidgets.IntSlider)
    explorer.controls["height"].value = 6
    assert explorer.figure.shown["low"].shape == (3, 6, 8, 3)
    explorer.check(controls)
    assert explorer.values == {"height": 12, "blur": 0.25, "frame": 0}


def test_a_drawing_that_fails_is_told_and_does_not_stop_the_next():
    def draw(size):
        if size > 2:
            raise ValueError("too large <here>")
        return draw_downsampling([np.zeros((1, 48, 64, 3), np.uint8)], ["a"])

    controls = {"size": Slider("Size", 0, 3, 1)}
    explorer = Explorer(draw, controls).show()
    explorer.controls["size"].value = 3
    assert isinstance(explorer.error, ValueError)
    explorer.controls["size"].value = 2
    assert explorer.error is None
    with pytest.raises(RuntimeError, match="size=3"):
        explorer.check(controls)


KERNEL = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}


def notebook(folder, source, parameters="x: int = 1  # a number\nfigures: str = '.'  # where"):
    book = nbformat.v4.new_notebook(metadata=KERNEL)
    book.cells = [nbformat.v4.new_code_cell(parameters), nbformat.v4.new_code_cell(source)]
    book.cells[0].metadata["tags"] = ["parameters"]
    folder.mkdir(exist_ok=True)
    nbformat.write(book, folder / "99_test.ipynb")
    return [folder / "99_test.ipynb"]


def test_the_runner_hands_parameters_over_and_refuses_unknown_ones(tmp_path):
    books = notebook(tmp_path / "nb", "open(f'{figures}/seen', 'w').write(str(x))")
    with pytest.raises(NotebookError, match="no notebook has a parameter y; there are figures, x"):
        run_notebooks(books, tmp_path, {"y": 3})
    assert not (tmp_path / "notebooks").exists()
    run_notebooks(books, tmp_path, {"x": 41})
    assert (tmp_path / "seen").read_text() == "41"
    executed = (tmp_path / "notebooks" / "99_test.ipynb").read_text()
    assert str(tmp_path) not in executed


@pytest.mark.parametrize("spread", [["--workers", "2"], ["--dask", "local", "--workers", "2"]])
def test_a_sweep_is_a_run_and_a_folder_a_value(tmp_path, capsys, spread):
    if "--dask" in spread:
        pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    notebook(tmp_path / "nb", "assert x != 3\nopen(f'{figures}/seen', 'w').write(str(x))")
    words = ["figures", "--notebooks", str(tmp_path / "nb"), "--out", str(tmp_path / "out")]
    assert main([*words, "--sweep", "x", "5", "3", "7", *spread]) == 1
    said = capsys.readouterr()
    assert "AssertionError" in said.err
    for value in (5, 7):  # whatever becomes of the others
        folder = tmp_path / "out" / f"x-{value}"
        assert (folder / "seen").read_text() == str(value)
        assert (folder / "notebooks" / "99_test.ipynb").is_file()
    assert ("Dask: 2 workers" in said.out) == ("--dask" in spread)


def test_a_sweep_of_an_unknown_parameter_is_refused(tmp_path, capsys):
    notebook(tmp_path / "nb", "1")
    words = ["figures", "--notebooks", str(tmp_path / "nb"), "--out", str(tmp_path / "out")]
    assert main([*words, "--sweep", "y", "3"]) == 1
    assert "no notebook has a parameter y" in capsys.readouterr().err


FAILING_CALLBACK = """
from statkit.plots.downsampling import draw_downsampling
from statkit.widgets import Slider, explore
import numpy as np
frames = [np.zeros((1, 48, 64, 3), np.uint8)]
def draw(height):
    return draw_downsampling(frames, ["a"], height=height)
explore(draw, height=Slider("Rows", 12, 99, 12))
"""


@pytest.mark.parametrize(
    "source, words",
    [("1 / 0", "ZeroDivisionError"), (FAILING_CALLBACK, "drawing with height=99 failed")],
)
def test_a_failing_cell_or_callback_fails_the_run(tmp_path, source, words):
    with pytest.raises(NotebookError, match=words):
        run_notebooks(notebook(tmp_path / "nb", source), tmp_path)


def test_an_error_that_only_a_picture_shows_is_found(tmp_path):
    source = FAILING_CALLBACK.replace("explore(draw", "explorer = explore(draw")
    source += "explorer.controls['height'].value = 99\nexplorer.error"
    executed = papermill.execute_notebook(
        str(notebook(tmp_path / "nb", source)[0]), str(tmp_path / "out.ipynb"), progress_bar=False
    )
    [told] = callback_errors(executed)
    assert "Cannot draw this" in told
