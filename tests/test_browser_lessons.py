"""Every lesson in a real JupyterLab: cells run, controls draw, figures are saved as shown.

Times are printed (``pytest -s``); nothing depends on them.
"""

import json
import re

import nbformat
import numpy as np
import papermill
import pytest
from browser import ROOT, move, steps
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from statkit.video import write_video

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SMALL = {"dataset": "demo-small", "epochs": 2, "device": "cpu"}
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
