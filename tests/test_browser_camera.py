"""The camera of lesson 9 in a real browser, with a fake camera and without one."""

import pytest
from browser import SCREENS, Lesson, write_notebook

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
