"""Controls in a real JupyterLab: quick dragging, two tabs, a reload, a restart, a reader's page."""

import time

import pytest
from browser import (
    CELLS,
    FOUR_CONTROLS,
    PATIENCE,
    described,
    move,
    press_right,
    write_notebook,
)


def test_rerun_cells_neither_stack_nor_draw_twice(lab, open_lesson):
    lesson = open_lesson(write_notebook(lab[2], "rerun.ipynb"))
    lesson.run_all()
    lesson.run_cell(1)
    lesson.run_cell(1)
    controls = lesson.page.locator(".statkit-control")
    assert controls.count() == 4
    assert sorted(move(lesson, c) for c in controls.all()) == [
        "choice",
        "shares",
        "slider",
        "toggle",
    ]
    before = lesson.ask("len(drawn)")
    lesson.press(controls.first, controls.first.locator(".noUi-handle"), "ArrowRight")
    assert lesson.ask("len(drawn)") == before + 1
    values = lesson.ask("explorer.values['weights']")
    assert sum(values) == pytest.approx(1)
    assert lesson.complaints() == []


def test_quick_dragging_ends_at_the_last_value(lab, open_lesson):
    lesson = open_lesson(write_notebook(lab[2], "drag.ipynb"))
    lesson.run_all()
    assert lesson.ask("len(drawn)") == 1
    lesson.ask("[globals().update(slow=0.2), drawn.clear()]")
    control = lesson.page.locator(".statkit-number")
    handle = control.locator(".noUi-handle")
    handle.hover()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    start = time.perf_counter()
    lesson.page.mouse.down()
    for step in range(50):
        lesson.page.mouse.move(x + step, y)
    lesson.page.mouse.up()
    seconds = time.perf_counter() - start
    lesson.page.wait_for_timeout(1000)  # whatever is still on its way arrives
    said = int(handle.get_attribute("aria-valuenow").split(".")[0])
    assert said > 50
    while (drawn := lesson.ask("drawn"))[-1] != said:
        assert time.perf_counter() - start < PATIENCE, drawn
    settled = time.perf_counter() - start
    print(f"\n50 moves in {seconds:.1f} s, settled after {settled:.1f} s, {len(drawn)} drawings")
    assert drawn[-1] == said and len(drawn) <= 20
    assert lesson.complaints() == []


TRAINING = [
    """
from data_prep import open_dataset
from statkit.experiments import Experiment
from statkit.experiments.settings import default_config
from statkit.widgets.live import train_and_watch
clips = open_dataset("demo-small")
experiment = Experiment(clips, default_config(clips, epochs=200), device="cpu")
experiment.store.lr.shape
""",
    'train_and_watch(experiment, ["student"])',
    "'not reached'",
]


def test_training_is_stopped_by_its_button_and_what_was_learnt_is_kept(lab, open_lesson):
    lesson = open_lesson(write_notebook(lab[2], "stop.ipynb", TRAINING))
    lesson.run_cell(0)
    lesson.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    button = lesson.page.locator(".statkit-stop")
    button.wait_for()
    empty = lesson.page.locator(".statkit-picture img").get_attribute("src")
    lesson.page.wait_for_function(
        "empty => document.querySelector('.statkit-picture img')?.src !== empty", arg=empty
    )
    button.focus()
    lesson.page.keyboard.press("Space")
    lesson.page.locator(".jp-OutputArea-output", has_text="Stopped Student after epoch").wait_for()
    assert lesson.page.get_by_text("Traceback").count() == 0
    assert lesson.page.get_by_text("not reached").count() == 1  # the code, and no output
    assert lesson.ask("len(list(experiment.folder('student').glob('checkpoint.pt')))") == 1


def test_two_notebooks_at_once(lab, open_lesson):
    lessons = [open_lesson(write_notebook(lab[2], f"{name}.ipynb")) for name in ("one", "two")]
    for lesson in lessons:
        lesson.run_all()
    for lesson in (*lessons, *lessons):
        control = lesson.page.locator(".statkit-number")
        lesson.press(control, control.locator(".noUi-handle"), "ArrowRight")
    assert [lesson.ask("explorer.values['number']") for lesson in lessons] == [52, 52]
    assert [lesson.complaints() for lesson in lessons] == [[], []]


# A training that ended leaves nothing behind that a page cannot load.
TRAINED = [TRAINING[0].replace("epochs=200", "epochs=1"), TRAINING[1]]


@pytest.mark.parametrize("door", ["lab/tree", "notebooks"])
def test_the_picture_moves_after_a_reload(door, lab, open_lesson):
    cells = [*CELLS, *TRAINED]
    lesson = open_lesson(write_notebook(lab[2], f"reload-{door[:3]}.ipynb", cells), door)
    lesson.run_all()
    assert press_right(lesson) == "number 51"
    lesson.save_and_reload()
    lesson.page.locator(".statkit-picture img").first.wait_for()
    assert described(lesson) == "number 51"
    assert press_right(lesson) == "number 52"
    assert lesson.ask("explorer.values['number']") == 52
    # Notebook 7.6 throws two errors of its own at any notebook.
    assert lesson.complaints() == (lesson.broken if door == "notebooks" else [])


def test_two_tabs_on_one_notebook_show_the_same(lab, open_lesson):
    name = write_notebook(lab[2], "tabs.ipynb")
    first = open_lesson(name)
    first.run_all()
    first.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    second = open_lesson(name)
    second.page.locator(".statkit-picture img").wait_for()
    assert press_right(second) == "number 51"
    first.page.get_by_alt_text("number 51").wait_for()
    assert press_right(first) == "number 52"
    second.page.get_by_alt_text("number 52").wait_for()
    assert [first.complaints(), second.complaints()] == [[], []]


def test_after_a_restart_the_cells_run_again(lab, open_lesson):
    lesson = open_lesson(write_notebook(lab[2], "restart.ipynb"))
    lesson.run_all()
    assert press_right(lesson) == "number 51"
    lesson.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    lesson.run_all()
    assert press_right(lesson) == "number 51"
    assert lesson.complaints() == []


def test_a_reader_without_the_kernel_sees_one_picture(lab, open_lesson):
    lesson = open_lesson(write_notebook(lab[2], "later.ipynb"))
    lesson.run_all()
    assert press_right(lesson) == "number 51"
    lesson.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    lesson.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    later = open_lesson("later.ipynb")
    later.page.locator(".jp-CodeCell img").first.wait_for()
    later.page.wait_for_timeout(2000)  # whatever else is restored
    shown = [picture for picture in later.page.locator(".jp-CodeCell img").all()]
    assert [picture.is_visible() for picture in shown].count(True) == 1


def test_a_lesson_is_a_page_of_voila(browser, lab):
    pytest.importorskip("voila", reason="the extra 'lecture' is not installed")
    address, token, folder = lab
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.set_default_timeout(1000 * PATIENCE)
    name = write_notebook(folder, "show.ipynb", [*CELLS, *TRAINED])
    page.goto(f"{address}/voila/render/{name}?token={token}")
    page.get_by_alt_text("number 50").locator("visible=true").wait_for()
    page.locator(".statkit-picture img").first.wait_for()
    handle = page.locator(".statkit-number .noUi-handle")
    for number in (51, 52):
        handle.press("ArrowRight")
        page.locator(".statkit-picture").first.get_by_alt_text(f"number {number}").wait_for()
    assert [picture.is_visible() for picture in page.locator("img").all()].count(True) == 2
    page.close()


TALL = [
    CELLS[0].replace("figsize=(5, 2)", "figsize=(9, 12)"),
    FOUR_CONTROLS.replace('["a", "b"], "a"', '["a long one", "another", "a third one"], "another"'),
]


def test_a_tall_picture_and_its_controls_fit_a_screen(lab, open_lesson):
    lesson = open_lesson(write_notebook(lab[2], "tall.ipynb", TALL))
    lesson.page.set_viewport_size({"width": 1300, "height": 800})
    lesson.run_all()
    box = lesson.page.locator(".statkit-picture").locator("xpath=..")
    room = lesson.page.locator(".jp-WindowedPanel-outer").bounding_box()
    assert box.bounding_box()["height"] <= room["height"]
    columns = {bar.bounding_box()["x"] for bar in lesson.page.locator(".noUi-base").all()}
    assert len(columns) == 2
