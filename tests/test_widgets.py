import asyncio
import base64
import gc
import json
import re
import sys
import weakref
from functools import partial
from pathlib import Path

import ipywidgets
import nbformat
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure

from statkit.analysis.gradients import loss_gradients
from statkit.data.frames import FrameSettings
from statkit.evaluation import Prediction
from statkit.experiments import Experiment
from statkit.experiments.settings import ExperimentConfig
from statkit.gallery import save_figure
from statkit.gallery.book import CAPTIONS, write_book
from statkit.gallery.runner import WIDGET, without_widgets
from statkit.losses import STATLoss
from statkit.models import build_model
from statkit.plots.curves import draw_curves
from statkit.plots.losses import draw_loss_parts
from statkit.plots.overview import draw_overview
from statkit.plots.style import attach
from statkit.recipes import Recipe
from statkit.widgets import Choice, Explorer, Shares, Slider, Toggle
from statkit.widgets.controls import rescale
from statkit.widgets.live import Stopped, TrainingPanel, train_and_watch
from statkit.widgets.picture import render
from statkit.widgets.record import STATES, states_to_record

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def empty_figure(**values):
    figure = Figure(figsize=(3, 2), dpi=100)
    return attach(figure, f"shows {values}", **values)


def test_shares_always_sum_to_one():
    shares = Shares(["a", "b", "c"], [1, 1, 2])
    assert shares.value == (0.25, 0.25, 0.5)
    assert rescale(shares.value, 2, 0.25) == pytest.approx((0.375, 0.375, 0.25))
    assert rescale((0, 0, 1), 2, 0.4) == pytest.approx((0.3, 0.3, 0.4))
    explorer = Explorer(empty_figure, {"weights": shares})
    box = explorer.controls["weights"]
    for slider, value in ((0, 1.0), (1, 0.3), (2, 0.0), (0, 0.55)):
        box.sliders[slider].value = value
        assert sum(box.value) == pytest.approx(1) and box.value[slider] == value
        assert [s.value for s in box.sliders] == pytest.approx(box.value)
        assert explorer.figure.shown["weights"].tolist() == list(box.value)
    explorer.check({"weights": shares})
    assert box.value == shares.value


def test_a_recording_holds_each_controls_range_and_the_combinations_that_fit():
    assert states_to_record([2, 2], [1, 0])[0] == (1, 0)
    assert sorted(states_to_record([3, 4, 5], [0, 0, 0])) == list(np.ndindex(3, 4, 5))
    states = states_to_record([13, 13, 4, 2], [6, 6, 3, 0])
    assert len(set(states)) == len(states) <= STATES and states[0] == (6, 6, 3, 0)
    assert {state[1] for state in states if state[0] == 6} == set(range(13))
    assert (6, 6, 0, 1) in states and (0, 0, 3, 0) not in states
    assert len(states_to_record([90, 13], [0, 0])) == 102


def test_a_control_is_recorded_along_its_range():
    assert Slider("N", 0, 9, 3).positions(3, 13) == list(range(10))
    some = Slider("Blur", 0.0, 2.0, 0.25, 0.05).positions(0.33, 13)
    assert len(some) <= 13 and some == sorted(some) and {0.0, 0.33, 2.0} <= set(some)
    words = [("one", 1), ("two", 2), ("three", 3)]
    assert Choice("Kind", words, 2).positions(2, 2) == [1, 2]
    assert Choice("Kind", words, 2).recorded([1, 2])["words"] == ["one", "two"]
    thirds = Shares(["a", "b", "c"], [1, 1, 1])
    assert len(thirds.positions(thirds.value, 13)) == 28
    assert thirds.positions((0.5, 0.3, 0.2), 13)[0] == (0.5, 0.3, 0.2)


def test_what_a_browser_rounds_moves_nothing():
    explorer = Explorer(empty_figure, {"weights": Shares(["a", "b", "c"], [1, 1, 1])})
    figure, box = explorer.figure, explorer.controls["weights"]
    box.sliders[0].value = 0.33
    assert box.value == (1 / 3, 1 / 3, 1 / 3) and explorer.figure is figure


@pytest.mark.parametrize("value", [[0, 0], [1, -1], [1, 1, 1]])
def test_impossible_shares_are_refused(value):
    with pytest.raises(ValueError, match="none negative, not all 0"):
        Shares(["a", "b"], value)


def test_in_an_event_loop_only_the_last_value_is_drawn():
    drawn = []

    def draw(number, on):
        drawn.append((number, on))
        return empty_figure(number=number)

    async def drag():
        explorer = Explorer(draw, {"number": Slider("N", 0, 99, 5), "on": Toggle("On", True)})
        for number in range(6, 40):
            explorer.controls["number"].value = number
        explorer.controls["on"].value = False
        assert drawn == [(5, True)]
        await asyncio.sleep(0.1)
        assert drawn == [(5, True), (39, False)]
        explorer.controls["number"].value = 50
        assert explorer.figure.shown["number"] == 50  # who asks need not wait
        await asyncio.sleep(0.1)
        assert len(drawn) == 3

    asyncio.run(drag())


def test_replaced_figures_are_freed_and_what_cells_made_is_not_looked_at_again():
    freed = []

    async def drag():
        explorer = Explorer(empty_figure, {"number": Slider("N", 0, 99, 5)})
        for number in range(6, 10):
            figure = explorer.figure
            figure.itself = figure  # as its axes do, which refer to it
            weakref.finalize(figure, freed.append, number - 1)
            del figure
            explorer.controls["number"].value = number
            await asyncio.sleep(0.1)
            assert gc.get_freeze_count() > 10_000

    gc.disable()
    try:
        asyncio.run(drag())
        # The figure of 6 stood there at the first collection: it stays until a cell runs.
        assert {5, 7, 8} <= set(freed)
    finally:
        gc.enable()
        gc.unfreeze()


def test_controls_are_labelled_and_closed_ones_draw_no_more():
    controls = {
        "number": Slider("Number, pixels", 0.0, 1.0, 0.5, 0.1),
        "kind": Choice("Kind", ["a", "b"], "a"),
        "on": Toggle("On", True),
    }
    explorer = Explorer(empty_figure, controls)
    assert [w.description for w in explorer.controls.values()] == ["Number, pixels", "Kind", "On"]
    assert isinstance(explorer.controls["number"], ipywidgets.FloatSlider)
    explorer.check(controls)
    figure = explorer.figure
    explorer.close()
    explorer.controls["number"].value = 0.1
    assert explorer.figure is figure


def test_a_picture_says_its_size_and_what_it_shows():
    picture = render(empty_figure(a=1))
    data, metadata = picture._repr_png_()
    assert data.startswith("iVBOR")
    assert metadata == {"width": 300, "height": 200, "alt": "shows {'a': 1}"}


@pytest.fixture(scope="module")
def sides():
    """A student, its pixels, labels, and another network's output as the teacher."""
    torch.manual_seed(0)
    student, teacher = build_model("demo", 4, 4), build_model("demo", 4, 4).eval()
    pixels, labels = torch.rand(6, 4, 3, 24, 32), torch.arange(6) % 4
    with torch.no_grad():
        return student, pixels, labels, teacher(pixels)


def test_inner_products_give_the_gradient_of_any_weights(sides):
    student, pixels, labels, teacher = sides
    before = {name: value.clone() for name, value in student.state_dict().items()}
    pull = loss_gradients(student, pixels, labels, teacher)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    for weights in ((1 / 3, 1 / 3, 1 / 3), (0.2, 0.7, 0.1), (0, 1, 0)):
        parts = STATLoss(*weights)(student.train()(pixels), labels, teacher)
        gradients = torch.autograd.grad(
            parts.total, list(student.parameters()), allow_unused=True, materialize_grads=True
        )
        norm = torch.cat([g.flatten() for g in gradients]).norm().item()
        weights = np.array(weights)
        assert pull.total_norm(weights) == pytest.approx(norm, rel=1e-3)
        assert pull.shares(weights).sum() == pytest.approx(1)
    found = [parts.ce.item(), parts.sat.item(), parts.tat.item()]
    assert pull.values == pytest.approx(found, rel=1e-4)
    assert np.allclose(np.diag(pull.cosines), 1) and (abs(pull.cosines) < 1 + 1e-9).all()


def test_the_loss_parts_are_drawn_as_weighted(sides):
    pull = loss_gradients(*sides)
    shown = draw_loss_parts(pull, weights=(0.5, 0.5, 0)).shown
    assert shown["terms"] == pytest.approx(pull.values * [0.5, 0.5, 0])
    assert shown["shares"][2] == 0 and shown["shares"].sum() == pytest.approx(1)


def test_curves_leave_out_what_a_row_does_not_have():
    history = [{"ce": 2.0, "sat": 0.0, "tat": 0.0}, {"ce": 1.0, "sat": 0.0, "tat": 0.0}]
    figure = draw_curves({"student": history}, {"student": "Student"}, epochs=5)
    assert set(figure.shown) == {"student_ce"}
    assert len(figure.axes) == 1 and 2 < figure.axes[0].get_xlim()[1] < 3  # epochs done so far
    assert "1.00 after epoch 2" in figure.alt
    assert "none yet" in draw_curves({}, {}, epochs=5).alt
    without = [{"ce": 0.0, "sat": 0.4, "tat": 0.3}]  # the unlabelled stage has no cross-entropy
    figure = draw_curves({"ut": without}, {"ut": "ut alone"}, epochs=5)
    assert [axes.get_title()[:3] for axes in figure.axes] == ["SAT", "TAT"]
    assert "SAT (Equation 2): ut alone 0.40 after epoch 1" in figure.alt


def test_the_overview_shows_the_maps_it_is_given(rng):
    maps = tuple(rng.random((4, h, 2 * h)).astype(np.float32) for h in (8, 4, 2, 2))
    frames = rng.random((4, 24, 32, 3)).astype(np.float32)
    look = Prediction(frames, maps, rng.dirichlet(np.ones(4)), "Walk", 0.7)
    figure = draw_overview(look, look, "Jump", frame=2)
    assert np.array_equal(figure.shown["student_block3"], maps[2][2])
    assert "Jump" in figure.alt


def test_stopped_training_keeps_its_epochs_and_goes_on(dataset, capsys):
    config = ExperimentConfig(
        frames=FrameSettings(hr_size=(24, 32)), recipe=Recipe(epochs=3, batch_size=16, views=1)
    )
    experiment = Experiment(dataset, config, device="cpu", progress=False)
    panel = TrainingPanel(experiment, ["student"])
    panel.button.click()
    with pytest.raises(Stopped, match="Stopped Student after epoch 1"):
        experiment.network("student", on_epoch=partial(panel.on_epoch, "student"))
    assert not experiment.trained("student")
    told = []
    again = Experiment(dataset, config, device="cpu", progress=False)
    again.network("student", on_epoch=lambda epoch, means: told.append((epoch, means["ce"])))
    assert [epoch for epoch, _ in told] == [0, 1, 2]
    assert told[0][1] == panel.histories["student"][0]["ce"]
    figure = train_and_watch(again, ["student"])
    assert figure.shown["student_ce"].tolist() == [ce for _, ce in told]


def executed_notebook():
    widget = nbformat.v4.new_output(
        "display_data", {WIDGET: {"model_id": "x"}, "text/html": "<p>Rows: 12</p>"}
    )
    png = render(empty_figure(a=1)).data
    picture = nbformat.v4.new_output(
        "display_data",
        {"image/png": base64.b64encode(png).decode()},
        metadata={"image/png": {"alt": "a <picture>", "width": 300, "height": 200}},
    )
    cell = nbformat.v4.new_code_cell("explore()", outputs=[widget, picture])
    cells = [nbformat.v4.new_markdown_cell("# 7 · A lesson"), cell]
    return nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {"state": "x" * 1000}})


def test_the_book_shows_pictures_with_their_descriptions_and_no_widgets(dataset, tmp_path):
    (tmp_path / "notebooks").mkdir()
    nbformat.write(executed_notebook(), tmp_path / "notebooks" / "07_lesson.ipynb")
    save_figure(
        empty_figure(a=1),
        "fig7_lesson",
        parameters={"a": 1},
        dataset=dataset,
        folder=tmp_path,
        caption="Figure 7: look at it.",
    )
    first = write_book(tmp_path).read_text()
    assert "7 · A lesson" in first and "Figure 7: look at it." in first
    assert "generated clips" in first and (tmp_path / "book" / "fig7_lesson.png").is_file()
    page = (tmp_path / "book" / "07_lesson.html").read_text()
    assert 'alt="a &lt;picture&gt;"' in page and "data:image/png;base64,iVBOR" in page
    assert "Rows: 12" in page and WIDGET not in page and "x" * 1000 not in page


def test_the_book_shows_formulas_without_a_network(tmp_path):
    notebook = executed_notebook()
    notebook.cells[0].source += "\n\nA sum $W_{CE} + \\sum_k a_k$, and alone:\n\n$$\\frac{1}{N}$$\n"
    notebook.cells[1].source = "price = '$5 and $6'"
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "07_lesson.ipynb")
    first = write_book(tmp_path)
    page = (first.parent / "07_lesson.html").read_text()
    assert page.count("<math") == 2 and "<mfrac>" in page and 'display="block"' in page
    assert "$5 and $6" in page and "<script" not in page and "W_{CE}" not in page
    assert 'src="http' not in page + first.read_text()


def test_the_first_page_has_the_papers_order_and_a_caption_for_each_figure(dataset, tmp_path):
    names = ["table3", "unknown", "fig1_crop_leak", "fig6_embeddings", "fig1_downsampling"]
    for name in names:
        about = {"parameters": {}, "dataset": dataset, "folder": tmp_path}
        save_figure(empty_figure(a=1), name, **about, caption="Seen" if name == "table3" else "")
    page = write_book(tmp_path).read_text()
    found = re.findall(r'<a href="(\w+)\.png">', page)
    assert found == ["fig1_downsampling", "fig1_crop_leak", "fig6_embeddings", "table3", "unknown"]
    assert "<td>Seen<br>" in page and page.count("shows {") == len(names)  # alt texts alone
    drawn = {path.stem for path in (ROOT / "figures" / "gallery").glob("*.png")}
    assert drawn <= set(CAPTIONS)


def test_every_figure_of_the_lessons_has_a_place_on_the_first_page():
    code = [
        "".join(cell["source"])
        for path in NOTEBOOKS
        for cell in json.loads(path.read_text())["cells"]
        if cell["cell_type"] == "code" and "save" in "".join(cell["source"])
    ]
    for name, entry in CAPTIONS.items():
        cells = "".join(source for source in code if f'"{name}"' in source)
        assert cells and entry["paper"] and ("caption" in entry or "caption=" in cells)
    saved = re.findall(r'save(?:_figure)?\(\s*(?:[\w().*, ]+,\s*)?"(\w+)"', "\n".join(code))
    assert len(saved) > 15 and set(saved) <= set(CAPTIONS)


def test_widgets_go_and_their_words_stay():
    notebook = executed_notebook()
    kept = without_widgets(notebook)
    assert "widgets" not in kept.metadata and "widgets" in notebook.metadata
    assert kept.cells[1].outputs[0].data == {"text/html": "<p>Rows: 12</p>"}
    assert "image/png" in kept.cells[1].outputs[1].data


@pytest.mark.filterwarnings("ignore:To exit")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_without_its_package_says_what_to_do(path, monkeypatch, capsys):
    guard = json.loads(path.read_text())["cells"][1]
    assert guard["metadata"]["tags"] == ["guard"]
    assert not InteractiveShell().run_cell("".join(guard["source"])).error_in_exec
    monkeypatch.setitem(sys.modules, "statkit", None)
    result = InteractiveShell().run_cell("".join(guard["source"]))
    assert isinstance(result.error_in_exec, SystemExit)
    told = capsys.readouterr()
    told = told.err + told.out
    assert "Install it from the checkout: python run lab" in told and "Traceback" not in told
