"""The book of recorded lessons in a real browser: from its folder, by keyboard, on a phone."""

from io import BytesIO

import pytest
from browser import FOUR_CONTROLS, SCREENS, write_notebook
from PIL import Image

from statkit.gallery.book import RECORDED, write_book
from statkit.gallery.runner import run_notebooks

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
