"""Slides of an executed lesson: sections and pictures, no code."""

import nbformat
import pytest

from statkit.gallery.slides import slide_type, write_slides


@pytest.fixture
def lesson(tmp_path):
    picture = nbformat.v4.new_output("display_data", {"image/png": "aGVsbG8="})
    picture.metadata["image/png"] = {"alt": "A <b> picture"}
    new_code, new_text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    cells = [
        new_text("# A lesson"),
        new_code("hidden = 1"),
        new_text("## A section"),
        new_code("draw()", outputs=[picture]),
        new_text("## Exercises"),
        new_text("An aside", metadata={"tags": ["notes"]}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_x.ipynb")
    return tmp_path / "01_x.ipynb"


def test_each_cell_goes_to_its_place(lesson):
    kinds = [slide_type(cell) for cell in nbformat.read(lesson, as_version=4).cells]
    assert kinds == ["slide", "skip", "slide", "subslide", "skip", "notes"]


def test_slides_show_sections_and_pictures_and_no_code(lesson, tmp_path):
    page = write_slides(lesson, tmp_path / "slides").read_text()
    assert "A section" in page and "data:image/png;base64,aGVsbG8=" in page
    assert 'alt="A &lt;b&gt; picture"' in page and "max-height: 600px" in page
    assert "hidden" not in page.split("<body")[1].split("A lesson")[1].split("</section>")[0]
    assert "draw" not in page.split('class="slides"')[1].split("<script")[0]
    assert ">Exercises" not in page
