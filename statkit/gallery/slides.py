"""Executed lessons as slides (reveal.js): a slide per section, then its pictures; no code.

``python -m statkit.gallery.slides [FOLDER]``: figures/notebooks/*.ipynb -> figures/slides.
"""

import sys
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode

from statkit.runtime.cache import REPOSITORY

from .book import describe
from .runner import without_widgets
from .save import save_text

LEFT_OUT = ("## Exercises", "## Quiz", "**Exercise")
# reveal.js cuts off what is larger than its stage of 960x700.
FIT = """<style>.reveal .slides section section { max-height: 700px; overflow-y: auto; }
.reveal .slides img { max-height: 600px; width: auto; object-fit: contain; }</style>"""


def slide_type(cell: NotebookNode) -> str:
    """The slide type of a cell: its tag ``slide``, ``subslide``, ``fragment``, ``notes`` or
    ``skip``; otherwise a heading starts a slide, a cell with a picture starts a slide below it,
    and code without a picture is skipped."""
    tags = cell.metadata.get("tags", [])
    asked = [t for t in tags if t in ("slide", "subslide", "fragment", "notes", "skip")]
    if asked:
        return asked[0]
    if cell.cell_type == "markdown":
        if cell.source.startswith(LEFT_OUT):
            return "skip"
        return "slide" if cell.source.startswith(("# ", "## ")) else "subslide"
    shown = [output.get("data", {}) for output in cell.outputs]
    return "subslide" if any("image/png" in data for data in shown) else "skip"


def write_slides(notebook: Path, folder: Path) -> Path:
    """One HTML file. It loads reveal.js from the network and contains everything else."""
    book = without_widgets(nbformat.read(notebook, as_version=4))
    for cell in book.cells:
        cell.metadata["slideshow"] = {"slide_type": slide_type(cell)}
        for output in cell.get("outputs", []):
            describe(output)
    exporter = SlidesExporter(exclude_input=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(book)
    body = body.replace("</head>", f"{FIT}</head>", 1)
    return save_text(folder / f"{notebook.stem}.slides.html", body)


if __name__ == "__main__":
    figures = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "figures"
    executed = sorted((figures / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not executed:
        sys.exit(f"no executed lesson in {figures / 'notebooks'}; run ./run figures first")
    for path in executed:
        print(write_slides(path, figures / "slides"))
