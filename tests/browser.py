"""JupyterLab in headless Chromium for the tests in a browser, moved by keyboard and mouse.

Needs Chromium (``apt install chromium``, or ``playwright install chromium``), else all is skipped.
Screenshots go to ``figures/screens``.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell as new_code
from nbformat.v4 import new_markdown_cell as new_text

ROOT = Path(__file__).resolve().parent.parent
SCREENS = ROOT / "figures" / "screens"
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


@pytest.fixture(scope="module")
def launch():
    """Starts Chromium with more flags."""
    sync_api = pytest.importorskip("playwright.sync_api")
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


def press_right(lesson):
    """One step of the first slider; the number that the picture now describes."""
    control = lesson.page.locator(".statkit-number").last
    lesson.press(control, control.locator(".noUi-handle"), "ArrowRight")
    return described(lesson)


def described(lesson):
    return lesson.page.locator(".statkit-picture img").first.get_attribute("alt")
