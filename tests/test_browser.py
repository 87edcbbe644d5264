"""The notebooks in a real browser: JupyterLab in headless Chromium, moved by keyboard and mouse.

Needs Chromium (``apt install chromium``, or ``playwright install chromium``), else all is skipped.
Screenshots go to ``figures/screens``; times are printed (``pytest -s``), nothing depends on them.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from io import BytesIO
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest
from nbformat.v4 import new_code_cell as new_code
from nbformat.v4 import new_markdown_cell as new_text
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from PIL import Image

from statkit.gallery.book import RECORDED, write_book
from statkit.gallery.runner import run_notebooks
from statkit.video import write_video

sync_api = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SCREENS = ROOT / "figures" / "screens"
SMALL = {"dataset": "demo-small", "epochs": 2, "device": "cpu"}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
PATIENCE = 120  # seconds for anything that a page is waited for


@pytest.fixture(scope="module")
def launch():
    """Starts Chromium with more flags."""
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = next(filter(None, map(shutil.which, CHROMIUM)), own)
        if not Path(found).is_file():
            pytest.skip("no Chromium here: apt install chromium, or playwright install chromium")
        yield lambda *more: playwright.chromium.launch(executable_path=found, args=[*FLAGS, *more])


@pytest.fixture(scope="module")
def browser(launch):
    chromium = launch()
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """A JupyterLab of its own: address, token, and the folder that it serves."""
    home = tmp_path_factory.mktemp("lab")
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(
        '{"windowingMode": "none", "scrollPastEnd": false}'
    )
    (home / "work").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    command = [sys.executable, "-m", "jupyterlab", str(home / "work"), "--no-browser"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root"]
    command += ["--ServerApp.allow_remote_access=True"]  # by another name than localhost, too
    command += [f"--IdentityProvider.token={token}", "--expose-app-in-browser"]
    command += ["--JupyterNotebookApp.expose_app_in_browser=True"]
    with open(home / "log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for_server(f"{address}/api/status?token={token}", server, home / "log")
        yield address, token, home / "work"
    finally:
        server.terminate()
        server.wait(30)


def wait_for_server(url, server, log):
    for _ in range(10 * PATIENCE):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"JupyterLab does not answer: {log.read_text()}")


class Lesson:
    """A notebook open in a page of its own; what the kernel complains of is collected."""

    def __init__(self, browser, lab, name, door="lab/tree"):
        address, token, _ = lab
        self.page = browser.new_page(viewport={"width": 1300, "height": 900})
        self.page.set_default_timeout(1000 * PATIENCE)
        self.broken = []
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))
        self.page.goto(f"{address}/{door}/{name}?reset&token={token}")
        self.wait_until_ready()

    def wait_until_ready(self):
        self.page.wait_for_function(
            """() => window.jupyterapp?.shell.currentWidget?.context?.isReady
                     && window.jupyterapp.shell.currentWidget.sessionContext.isReady
                     && window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel"""
        )
        self.page.evaluate(
            """() => {
                const panel = window.jupyterapp.shell.currentWidget;
                window.complaints = [];
                panel.sessionContext.iopubMessage.connect((_, message) => {
                    const {msg_type} = message.header, {content} = message;
                    if (msg_type === 'error') window.complaints.push(content.evalue);
                    const said = JSON.stringify(content);
                    if (msg_type !== 'status' && /Traceback|statkit-widget-error/.test(said))
                        window.complaints.push(said);
                });
            }"""
        )

    def save_and_reload(self):
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.reload()
        self.wait_until_ready()

    def run_all(self):
        done = self.page.evaluate(
            "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
        )
        assert done is not False, self.complaints()

    def run_cell(self, number):
        self.page.evaluate(
            """async number => {
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
                await window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            number,
        )

    def ask(self, code):
        """Run code in the kernel, outside the notebook; what it prints, from JSON."""
        printed = self.page.evaluate(
            """async code => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const request = kernel.requestExecute({code, store_history: false});
                let text = '';
                request.onIOPub = message => {
                    if (message.header.msg_type === 'stream') text += message.content.text;
                };
                await request.done;
                return text;
            }""",
            f"import json; print(json.dumps({code}))",
        )
        return json.loads(printed)

    def complaints(self):
        shown = self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.model.toJSON().cells
                .flatMap(cell => cell.outputs ?? [])
                .filter(output => output.output_type === 'error')
                .map(output => output.evalue)"""
        )
        marks = self.page.locator(".statkit-widget-error").all_inner_texts()
        return self.broken + shown + marks + self.page.evaluate("() => window.complaints")

    def shown_by(self, control):
        """The picture that a control draws; a reader sees exactly one."""
        cell = control.locator("xpath=ancestor::*[contains(@class, 'jp-Cell ')]")
        seen = [picture for picture in cell.locator("img").all() if picture.is_visible()]
        assert len(seen) == 1
        return seen[0].get_attribute("src")

    def press(self, control, part, key):
        """Press a key on a control and wait for a picture that was not there before."""
        before = self.shown_by(control)
        part.focus()
        self.page.keyboard.press(key)
        self.wait_for_new_picture(control, before)

    def wait_for_new_picture(self, control, before):
        self.page.wait_for_function(
            """([control, before]) => {
                const picture = control.closest('.jp-Cell').querySelector('.statkit-picture img');
                return picture && picture.src !== before && picture.naturalWidth > 100;
            }""",
            arg=[control.element_handle(), before],
        )

    def key_to_paint(self, control, part, keys):
        """Milliseconds from each key press to the frame after its picture was decoded."""
        times = []
        for key in keys:
            part.focus()
            self.page.evaluate(
                """control => {
                    const cell = control.closest('.jp-Cell');
                    const picture = () => cell.querySelector('.statkit-picture img');
                    const before = picture().src;
                    window.painted = new Promise((resolve, reject) => {
                        setTimeout(() => reject(new Error('no new picture')), 20000);
                        addEventListener('keydown', () => {
                            const start = performance.now();
                            const look = () => {
                                const now = picture();
                                if (now && now.src !== before && now.complete)
                                    requestAnimationFrame(() => resolve(performance.now() - start));
                                else requestAnimationFrame(look);
                            };
                            look();
                        }, {once: true, capture: true});
                    });
                }""",
                control.element_handle(),
            )
            self.page.keyboard.press(key)
            times.append(self.page.evaluate("() => window.painted"))
        return np.array(times)

    def heights(self):
        """On a screen of 1300x800: the height of the notebook's area; of each explorer."""
        self.page.set_viewport_size({"width": 1300, "height": 800})
        return self.page.evaluate(
            """() => [
                document.querySelector('.jp-WindowedPanel-outer').clientHeight,
                [...document.querySelectorAll('.jp-OutputArea-output')]
                    .filter(e => e.querySelector('.statkit-control, .statkit-scatter'))
                    .map(e => e.getBoundingClientRect().height)]"""
        )

    def screenshot(self, name):
        """The whole notebook as one picture."""
        height = self.page.evaluate(
            "() => document.querySelector('.jp-WindowedPanel-outer').scrollHeight"
        )
        self.page.set_viewport_size({"width": 1300, "height": min(16000, height + 150)})
        self.page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 0)")
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png")
        print(f"\nscreenshot: {SCREENS / name}.png")

    def close(self):
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()


@pytest.fixture
def open_lesson(browser, lab, request):
    lessons = []

    def open_one(*which):
        lessons.append(Lesson(browser, lab, *which))
        return lessons[-1]

    yield open_one
    SCREENS.mkdir(parents=True, exist_ok=True)
    for number, lesson in enumerate(lessons):  # for whoever asks what was seen at the end
        lesson.page.screenshot(path=SCREENS / f"{request.node.name}-{number}.png")
        lesson.close()


def slider_ends(handle):
    """End and Home, the one that moves the slider first."""
    at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    return ("Home", "End") if at_end else ("End", "Home")


def steps(control):
    """How far a slider goes; 0 of what is none."""
    handle = control.locator(".noUi-handle")
    if handle.count() != 1:
        return 0
    lowest, highest = (float(handle.get_attribute(f"aria-value{end}")) for end in ("min", "max"))
    return highest - lowest


def move(lesson, control, videos=()):
    """Move one control to its ends by keyboard; returns what kind it is."""
    if control.locator("input[type=file]").count():
        return choose(lesson, control, videos)
    handle = control.locator(".noUi-handle")
    chosen = control.locator("button.mod-active")
    if chosen.count():
        others = control.locator("button:not(.mod-active)").all_inner_texts()
        for words in (others[-1], chosen.inner_text()):
            lesson.press(control, control.get_by_text(words, exact=True), "Space")
            control.get_by_role("button", name=words, exact=True, pressed=True).wait_for()
        return "choice"
    if control.locator("input[type=checkbox]").count():
        part, kind, keys = control.locator("input[type=checkbox]"), "toggle", ("Space", "Space")
    else:
        part, kind = handle.first, "shares" if handle.count() > 1 else "slider"
        keys = slider_ends(part)
    for key in keys:
        lesson.press(control, part, key)
    return kind


def choose(lesson, control, videos):
    """Hand videos to a picker by both of its doors: uploaded, and by path."""
    text = control.locator("input[type=text]")
    before = lesson.shown_by(control)
    control.locator("input[type=file]").set_input_files(videos[0])
    control.get_by_text(videos[0].name, exact=True).wait_for()
    lesson.wait_for_new_picture(control, before)
    before = lesson.shown_by(control)
    text.fill(str(videos[1]))
    text.press("Enter")
    control.get_by_text(videos[1].name, exact=True).wait_for()
    lesson.wait_for_new_picture(control, before)
    text.fill("")
    text.press("Enter")
    return "file"


MOVED = {  # papermill's values of controls, none of them a default
    **{"clip": 1, "frame": 2, "height": 9, "blur": 0.5, "noise": 7.0, "share": 0.8, "p": 2},
    **{"block": 2, "overlay": 0.3, "segments": 5, "shift": 3, "shuffle": 4, "epoch": 1},
    **{"network": "student", "learner": "plain", "schedule": "increasing"},
    **{"weights": [0.5, 0.25, 0.25], "perplexity": 15, "action": "Walk"},
    "group": "both wrong",  # of networks after two epochs the one group that surely has many clips
}


def saving_cells(book):
    """Explorer, number of the cell and name of the figure, wherever an explorer saves one."""
    for number, cell in enumerate(book.cells):
        if cell.cell_type == "code":
            for name, saved in re.findall(r"(\w+)\.save\(\s*\"(\w+)\"", cell.source):
                yield name, number, saved


def saved_parameters(lab, name):
    return json.loads((lab[2] / "figures" / f"{name}.json").read_text())["parameters"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_every_control_draws(path, lab, open_lesson, rng):
    known = papermill.inspect_notebook(str(path))
    values = {**SMALL, **MOVED, "figures": str(lab[2] / "figures")}
    if known.get("clip", {}).get("inferred_type_name") == "str":
        del values["clip"]
    values = {name: value for name, value in values.items() if name in known}
    book = parameterize_notebook(load_notebook_node(str(path)), values)
    nbformat.write(book, lab[2] / path.name)
    lesson = open_lesson(path.name)
    lesson.run_all()
    for name, _, saved in saving_cells(book):
        shown = saved_parameters(lab, saved)
        given = {control: values[control] for control in shown.keys() & MOVED.keys() & set(values)}
        assert {control: shown[control] for control in given} == given, name
    room, heights = lesson.heights()
    assert all(height <= room for height in heights), (room, heights)
    controls = lesson.page.locator(".statkit-control").all()
    videos = [lab[2] / "uploaded.mp4", lab[2] / "named.mp4"]
    for video in videos:
        write_video(video, rng.integers(0, 256, (9, 90, 120, 3), np.uint8))
    print()
    for control in controls:
        kind = move(lesson, control, videos)
        print(f"{path.stem}: {control.inner_text().split(chr(10))[0]} ({kind})")
    for control in [control for control in controls if steps(control) >= 3][:1]:
        handle = control.locator(".noUi-handle")
        if handle.get_attribute("aria-valuenow") != handle.get_attribute("aria-valuemin"):
            lesson.press(control, handle, "Home")
        keys = ["ArrowRight"] * 3 + ["ArrowLeft"] * 3
        times = lesson.key_to_paint(control, handle, keys * 3)
        print(
            f"{path.stem}: key press to paint, median {np.median(times):.0f} ms, "
            f"95th percentile {np.percentile(times, 95):.0f} ms"
        )
    for name, cell, saved in saving_cells(book):
        lesson.run_cell(cell)
        now = lesson.ask(f"json.loads(json.dumps({name}.values, default=str))")
        assert now.items() <= saved_parameters(lab, saved).items()
    lesson.screenshot(path.stem)
    assert lesson.complaints() == []


FOUR_CONTROLS = """
explorer = explore(
    draw,
    number=Slider("Number, pixels", 0, 100, 50),
    kind=Choice("Kind", ["a", "b"], "a"),
    on=Toggle("On", True),
    weights=Shares(["W_CE", "W_SAT", "W_TAT"], [1, 1, 1]),
)
"""
CELLS = [
    """
import time
from matplotlib.figure import Figure
from statkit.plots.style import attach
from statkit.widgets import Choice, Shares, Slider, Toggle, explore
drawn = []
def draw(number, kind, on, weights):
    drawn.append(number)
    time.sleep(slow)
    figure = Figure(figsize=(5, 2))
    figure.text(0.1, 0.5, f"{number} {kind} {on} {weights}")
    return attach(figure, f"number {number}")
slow = 0
""",
    FOUR_CONTROLS,
]


def write_notebook(folder, name, cells=CELLS):
    book = nbformat.v4.new_notebook(
        cells=[(new_text if cell.startswith("#") else new_code)(cell.strip()) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(book, folder / name)
    return name


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


def press_right(lesson):
    """One step of the first slider; the number that the picture now describes."""
    control = lesson.page.locator(".statkit-number").last
    lesson.press(control, control.locator(".noUi-handle"), "ArrowRight")
    return described(lesson)


def described(lesson):
    return lesson.page.locator(".statkit-picture img").first.get_attribute("alt")


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


CAMERA = [
    """
from pathlib import Path
import numpy as np
from matplotlib.figure import Figure
from statkit.plots.style import attach
from statkit.gallery.book import RECORDED, write_book
from statkit.gallery.runner import run_notebooks
from statkit.video import write_video
from statkit.widgets import explore
from statkit.widgets.picker import ClipChoice
write_video("spare.mp4", np.zeros((9, 90, 120, 3), np.uint8))
def draw(clip):
    figure = Figure(figsize=(4, 3))
    figure.add_axes((0, 0, 1, 1)).imshow(clip.whole[-1])
    return attach(figure, clip.name)
""",
    """
choice = ClipChoice("", spare=Path("spare.mp4"))
explorer = explore(draw, clip=choice)
""",
]
FAKE_CAMERA, FAKE_CONSENT = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"


def test_a_film_of_oneself_reaches_the_kernel_and_is_not_kept(launch, lab):
    chromium = launch(FAKE_CAMERA, FAKE_CONSENT)
    lesson = Lesson(chromium, lab, write_notebook(lab[2], "camera.ipynb", CAMERA))
    lesson.run_all()
    before = set(lab[2].iterdir())
    lesson.page.locator(".statkit-camera").click()
    lesson.page.get_by_alt_text("camera.webm").wait_for()
    assert lesson.page.get_by_text("is not kept").is_visible()
    frames, height, width, _ = lesson.ask("choice.value.whole.shape")
    assert frames > 1 and (height, width) == (480, 640)
    assert ", 0.0 s" not in lesson.ask("choice.value.info")  # a film without a known rate
    assert lesson.ask("choice.value.whole.std()") > 5  # not one colour
    assert set(lab[2].iterdir()) == before
    with lesson.page.expect_download() as kept:
        lesson.page.get_by_text("keep this film as a file").click()
    assert kept.value.suggested_filename == "camera.webm"
    lesson.page.screenshot(path=SCREENS / "camera.png")
    assert lesson.complaints() == []
    lesson.close()
    chromium.close()


@pytest.mark.parametrize(
    "flags, host, words",
    [
        ([FAKE_CAMERA], "127.0.0.1", "no permission to use the camera"),
        ([FAKE_CONSENT], "127.0.0.1", "no camera on this computer"),
        (
            [FAKE_CAMERA, FAKE_CONSENT, "--host-resolver-rules=MAP lecture.test 127.0.0.1"],
            "lecture.test",
            "only to pages from localhost or over https",
        ),
    ],
    ids=["permission", "camera", "origin"],
)
def test_without_a_camera_the_reader_is_told_why(flags, host, words, launch, lab):
    chromium = launch(*flags)
    name = write_notebook(lab[2], "nocamera.ipynb", CAMERA)
    lesson = Lesson(chromium, (lab[0].replace("127.0.0.1", host), *lab[1:]), name)
    lesson.run_all()
    lesson.page.locator(".statkit-camera").click()
    lesson.page.get_by_text(words).wait_for()
    assert lesson.page.locator(".statkit-camera").is_enabled()
    assert lesson.ask("choice.value.name") == "spare.mp4" and lesson.complaints() == []
    lesson.close()
    chromium.close()


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


LESSON = [
    "# 1 · A recorded lesson\n\nA sum $\\sum_k a_k$.",
    """
import numpy as np
from matplotlib.figure import Figure
from statkit.plots.style import attach
from statkit.widgets import Choice, Shares, Slider, Toggle, explore
from statkit.widgets.scatter import show_scatter
def draw(number, kind, on, weights):
    figure = Figure(figsize=(9, 2), facecolor=(number / 100, on, kind == "b"))
    weights = " ".join(f"{weight:.2f}" for weight in weights)
    return attach(figure, f"{number}, {kind}, {on}, {weights}")
""",
    FOUR_CONTROLS,
    """
maps = {kind: [np.eye(3)[:, :2] * scale] for kind, scale in (("a", 1), ("b", -1))}
clip = lambda point: np.full((4, 6, 3), 90 * point, np.uint8)
about = (["A"], np.arange(3), list("abc"), clip, lambda point: f"clip {point}")
scatter = show_scatter(maps, explorer.controls["kind"], *about)
""",
]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The first page of a book with one recorded lesson."""
    folder = tmp_path_factory.mktemp("book")
    write_notebook(folder, "01_recorded.ipynb", LESSON)
    out = folder / "figures"
    run_notebooks([folder / "01_recorded.ipynb"], out, record=out / "book" / RECORDED)
    return write_book(out)


@pytest.fixture
def reader(browser, book):
    """A phone without a network, in the dark; the lesson is open from its file."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", offline=True
    )
    page = context.new_page()
    broken, asked = [], []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("requestfailed", lambda request: broken.append(request.url))
    page.on("request", lambda request: asked.append(request.url.split(":")[0]))
    page.goto(book.as_uri())
    page.get_by_text("A recorded lesson").click()
    page.locator("figure.explorer .controls").wait_for()
    yield page
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "book.png", full_page=True)
    assert broken == [] and set(asked) <= {"file", "data", "blob"}
    context.close()


def stated(page):
    """What the controls of the book say; what the picture's description says."""
    weights = [page.get_by_role("slider", name=f"W_{part}") for part in ("CE", "SAT", "TAT")]
    said = [page.get_by_label("Number, pixels").get_attribute("aria-valuetext")]
    said += [page.get_by_label("Kind").locator("option:checked").inner_text()]
    said += [str(page.get_by_label("On", exact=True).is_checked())]
    said += [" ".join(weight.get_attribute("aria-valuetext") for weight in weights)]
    return ", ".join(said), page.locator("figure.explorer img").get_attribute("alt")


def test_the_book_moves_from_its_folder_by_keyboard(reader):
    number, note = reader.get_by_label("Number, pixels"), reader.get_by_role("status")
    assert stated(reader) == ("50, a, True, 0.33 0.33 0.33",) * 2
    number.press("End")
    number.press("ArrowLeft")
    assert stated(reader)[0] == stated(reader)[1] == "91, a, True, 0.33 0.33 0.33"
    reader.get_by_label("Kind").press("b")
    assert stated(reader)[1] == "91, b, True, 0.33 0.33 0.33" and note.inner_text() == ""
    picture = reader.locator("figure.explorer img")
    shot = Image.open(BytesIO(picture.screenshot())).convert("RGB").getpixel((50, 50))
    assert shot == pytest.approx((0.91 * 255, 255, 255), abs=6)
    reader.get_by_label("On", exact=True).press("Space")  # with 91 and b it is not recorded
    assert "Number, pixels" in note.inner_text() and "went back" in note.inner_text()
    assert stated(reader)[0] == stated(reader)[1] and ", False, " in stated(reader)[0]
    reader.get_by_role("slider", name="W_SAT").press("End")
    assert stated(reader)[0] == stated(reader)[1] and "0.00 1.00 0.00" in stated(reader)[0]
    for label, key in ("Number, pixels", "Home"), ("W_TAT", "ArrowRight"), ("W_CE", "End"):
        reader.get_by_label(label).press(key)
        assert stated(reader)[0] == stated(reader)[1]


def test_the_book_fits_a_phone_in_the_dark_and_shows_clips_of_points(reader):
    assert reader.evaluate("document.documentElement.scrollWidth") == 390
    ground = reader.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in ground.strip("rgb()").split(",")) < 60
    assert reader.locator("math").count() == 1
    canvas = reader.locator("canvas")
    for point in range(2):
        canvas.press("ArrowRight")
        reader.locator("figure.scatter").get_by_text(f"clip {point}").wait_for()
    clip = reader.locator("figure.scatter img")
    assert clip.get_attribute("alt") == "clip 1" and clip.is_visible()
    before = canvas.screenshot()
    reader.get_by_label("Kind").press("b")
    assert canvas.screenshot() != before
