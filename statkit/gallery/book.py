"""The executed notebooks as a small static book: a page a lesson, and a first page that leads from
the paper's figures and tables to pictures and lessons. No kernel, no widgets, pictures inside."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Sequence
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from statkit.runtime.cache import save_text

from .runner import without_widgets

CAPTIONS = tomllib.loads(Path(__file__).with_name("captions.toml").read_text("utf-8"))
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<nav>{links}</nav>
<main>
{body}
</main>
<nav>{links}</nav>
</body>
</html>
"""
STYLE = """
body { font: 17px/1.55 Georgia, serif; color: #222; margin: 0 auto; max-width: 56rem;
  padding: 1rem; }
h1, h2, h3, nav, table, .mark { font-family: system-ui, sans-serif; line-height: 1.25; }
h2 { margin-top: 2.2em; }
nav { display: flex; gap: 1.5em; flex-wrap: wrap; font-size: 15px; padding: .5em 0; }
a { color: #0060a0; }
a.anchor-link { display: none; }
img { max-width: 100%; height: auto; }
pre { font-size: 13.5px; line-height: 1.4; overflow-x: auto; margin: 0; }
.highlight { background: #f6f6f6; border-left: 3px solid #ccc; padding: .6em .8em; margin: 1em 0; }
.output_area, .jp-OutputArea-output { margin: .6em 0; }
.output_area pre, .jp-OutputArea-output pre { white-space: pre-wrap; color: #444; }
.prompt { display: none; }
table { border-collapse: collapse; font-size: 15px; }
th, td { border-bottom: 1px solid #ddd; padding: .4em .7em .4em 0; text-align: left;
  vertical-align: top; }
td img { width: 15rem; max-width: none; }
.mark { font-size: 13px; color: #666; }
"""


def write_book(figures: Path) -> Path:
    """Write ``figures/book``: every executed notebook of ``figures/notebooks`` as a page, and
    ``index.html`` with every figure that lies in ``figures``.

    Returns:
        The first page.
    """
    book = figures / "book"
    lessons = {
        path.stem: nbformat.read(path, as_version=4)
        for path in sorted((figures / "notebooks").glob("*.ipynb"))
    }
    titles = {name: _title(notebook) for name, notebook in lessons.items()}
    names = list(lessons)
    for place, (name, notebook) in enumerate(lessons.items()):
        before, after = names[max(0, place - 1) : place], names[place + 1 : place + 2]
        links = [("index", "Contents")]
        links += [(other, f"← {titles[other]}") for other in before]
        links += [(other, f"{titles[other]} →") for other in after]
        _write_page(book / f"{name}.html", titles[name], lesson_html(notebook), links)
    body = _first_page(figures, book, titles)
    return _write_page(book / "index.html", "statkit: lessons and figures", body, [])


def lesson_html(notebook: NotebookNode) -> str:
    """An executed notebook as the inside of a page; formulas are MathML, which needs no network."""
    from latex2mathml.converter import convert
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from traitlets.config import Config

    class Renderer(IPythonRenderer):
        def inline_math(self, body: str) -> str:
            return convert(body)

        def block_math(self, body: str) -> str:
            return convert(body, display="block")

    notebook = without_widgets(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            _describe_picture(output)
    options = Config(
        CoalesceStreamsPreprocessor={"enabled": True},  # of a progress bar, its last state
        TagRemovePreprocessor={"enabled": True, "remove_cell_tags": ["guard"]},
    )
    exporter = HTMLExporter(template_name="basic", config=options)
    exporter.register_filter(
        "markdown2html",
        lambda source: MarkdownWithMath(renderer=Renderer(escape=False)).render(source),
    )
    body, _ = exporter.from_notebook_node(notebook)
    return body


def _describe_picture(output: NotebookNode) -> None:
    """nbconvert drops a picture's description; an ``img`` of our own keeps it."""
    picture = output.get("data", {}).get("image/png")
    if not picture:
        return
    told = output.metadata.get("image/png", {})
    size = "".join(f' {side}="{told[side]}"' for side in ("width", "height") if side in told)
    source = f"data:image/png;base64,{picture.strip()}"
    output.data = {"text/html": f'<img src="{source}"{size} alt="{escape(told.get("alt", ""))}">'}


def _title(notebook: NotebookNode) -> str:
    for cell in notebook.cells:
        heading = re.match(r"# (.+)", cell.source) if cell.cell_type == "markdown" else None
        if heading:
            return heading[1]
    return "Untitled"


def _first_page(figures: Path, book: Path, titles: dict[str, str]) -> str:
    lessons = "".join(
        f'<li><a href="{name}.html">{escape(title)}</a></li>' for name, title in titles.items()
    )
    sidecars = [json.loads(path.read_text("utf-8")) for path in sorted(figures.glob("*.json"))]
    sidecars = sorted((made for made in sidecars if "figure" in made), key=_order)
    book.mkdir(parents=True, exist_ok=True)
    for made in sidecars:
        shutil.copyfile(figures / f"{made['figure']}.png", book / f"{made['figure']}.png")
    rows = "".join(_row(made, titles) for made in sidecars)
    return f"""<h1>Lessons and figures</h1>
<p>What a network sees in a video of 12×16 pixels, and what it learns from where and when a
high-resolution teacher looks: <i>Extreme Low-Resolution Activity Recognition with Spatial-Temporal
Attention Transfer</i> (Bai et al., 2019), taught, explored and measured again.</p>
<h2>Lessons</h2>
<ul>{lessons}</ul>
<h2>From the paper's figures and tables to ours</h2>
<table>
<tr><th>paper</th><th>picture</th><th>what it shows</th><th>lesson</th></tr>
{rows}</table>
"""


def _row(made: dict, titles: dict[str, str]) -> str:
    name, lesson = made["figure"], Path(made.get("notebook", "")).stem
    clips = made["clips"]
    if clips == "real clips":
        clips += ": for research, not for a public page"
    link = f'<a href="{lesson}.html">{escape(titles[lesson])}</a>' if lesson in titles else ""
    caption = made.get("caption") or CAPTIONS.get(name, {}).get("caption", "")
    picture = f'<img src="{name}.png" alt="{escape(made["alt"])}" loading="lazy">'
    return (
        f'<tr><td>{_in_the_paper(name)}</td><td><a href="{name}.png">{picture}</a></td>'
        f'<td>{escape(caption)}<br><span class="mark">{clips}</span>'
        f"</td><td>{link}</td></tr>\n"
    )


def _order(made: dict) -> tuple[int, str]:
    """As in the paper; figures that ``captions.toml`` does not name come last."""
    places = {name: place for place, name in enumerate(CAPTIONS)}
    return places.get(made["figure"], len(places)), made["figure"]


def _in_the_paper(name: str) -> str:
    return CAPTIONS.get(name, {}).get("paper", "beyond the paper")


def _write_page(path: Path, title: str, body: str, links: Sequence[tuple[str, str]]) -> Path:
    from pygments.formatters import HtmlFormatter

    style = STYLE + HtmlFormatter(style="friendly").get_style_defs(".highlight")
    anchors = "".join(f'<a href="{name}.html">{escape(words)}</a>' for name, words in links)
    page = PAGE.format(title=escape(title), style=style, links=anchors, body=body)
    return save_text(path, page)
