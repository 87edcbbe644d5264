"""The executed notebooks as a small static book: a page per lesson, and a first page with links
from the paper's figures and tables to pictures and lessons. No kernel, no server, no network: where
a run was recorded, ``book.js`` moves the controls among pictures of the folder ``recorded``."""

import json
import re
import shutil
import tomllib
from collections.abc import Sequence
from html import escape
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader
from nbformat import NotebookNode

from statkit.runtime.cache import save_text
from statkit.widgets.scatter import SCRIPT as SCATTER

from .runner import without_widgets

HERE = Path(__file__).parent
CAPTIONS = tomllib.loads((HERE / "captions.toml").read_text("utf-8"))
PAGES = Environment(loader=FileSystemLoader(HERE), autoescape=True)
RECORDED = "recorded"  # the folder of the pictures that controls choose
OF_A_RUN = re.compile(r"(?m)^(.*(\d+%\||: \d+it \[).*|figures = .*)\n?")  # bars, and where files go


def write_book(figures: Path) -> Path:
    """Write ``figures/book``: every executed notebook of ``figures/notebooks`` as a page, and
    ``index.html``, which is returned, with every figure that lies in ``figures``."""
    book = figures / "book"
    lessons = {
        path.stem: nbformat.read(path, as_version=4)
        for path in sorted((figures / "notebooks").glob("*.ipynb"))
    }
    titles = {name: _title(notebook) for name, notebook in lessons.items()}
    names = [None, *lessons, None]
    for before, name, after in zip(names, names[1:], names[2:], strict=False):
        links = [("index", "Contents")]
        links += [(before, f"← {titles[before]}")] if before else []
        links += [(after, f"{titles[after]} →")] if after else []
        _write_page(book / f"{name}.html", titles[name], lesson_html(lessons[name]), links)
    _write_looks(book)
    shown = {name for lesson in lessons.values() for name in _recorded_files(lesson)}
    for picture in (book / RECORDED).glob("*"):
        if picture.name not in shown:  # of a run before
            picture.unlink()
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
        _prepare(cell)
    options = Config(
        CoalesceStreamsPreprocessor={"enabled": True},  # show only the last state of a progress bar
        TagRemovePreprocessor={
            "enabled": True,
            "remove_cell_tags": ["guard"],
            "remove_input_tags": ["folded"],
        },
    )
    exporter = HTMLExporter(template_name="basic", config=options)
    exporter.register_filter(
        "markdown2html",
        lambda source: MarkdownWithMath(renderer=Renderer(escape=False)).render(source),
    )
    body, _ = exporter.from_notebook_node(notebook)
    return body


def _prepare(cell: NotebookNode) -> None:
    """Fold what is folded in the notebook, drop progress bars, write pictures as HTML."""
    tags = cell.metadata.setdefault("tags", [])
    if "injected-parameters" in tags:
        cell.source = OF_A_RUN.sub("", cell.source).strip()
    if cell.metadata.get("jupyter", {}).get("source_hidden") or cell.source == "# Parameters":
        tags.append("folded")
    outputs = []
    for output in cell.get("outputs", []):
        recorded = output.get("metadata", {}).get("statkit")
        if output.output_type == "stream":
            output.text = OF_A_RUN.sub("", output.text.replace("\r", "\n"))
        describe(output)
        if recorded:
            outputs.pop()  # the words of controls that do not move
            output.data = {"text/html": _with_controls(recorded, output.data["text/html"])}
        outputs.append(output)
    if "outputs" in cell:
        cell.outputs = [output for output in outputs if output.get("text") != ""]


def describe(output: NotebookNode) -> None:
    """Write the picture of an output as HTML: nbconvert drops its description."""
    if picture := output.get("data", {}).get("image/png"):
        source = f"data:image/png;base64,{picture.strip()}"
        output.data = {"text/html": _image(source, **output.metadata.get("image/png", {}))}


def _image(source: str, alt: str = "", **size) -> str:
    sides = "".join(f' {side}="{size[side]}"' for side in ("width", "height") if side in size)
    return f'<img src="{source}"{sides} alt="{escape(alt)}">'


def _with_controls(recorded: dict, picture: str) -> str:
    """What ``book.js`` brings to life: the states as JSON, and the picture of the first."""
    states = json.dumps(recorded, ensure_ascii=False).replace("<", "\\u003c")
    kind = "scatter" if "maps" in recorded else "explorer"
    if kind == "explorer":
        first = recorded["states"][0]
        width, height = first["size"]
        picture = _image(f"{RECORDED}/{first['file']}", first["alt"], width=width, height=height)
    return (
        f'<figure class="{kind}"><script type="application/json">{states}</script>'
        f'<div class="picture">{picture}</div></figure>'
    )


def _recorded_files(notebook: NotebookNode) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    recorded = [output.get("metadata", {}).get("statkit", {}) for output in outputs]
    return [state["file"] for one in recorded for state in one.get("states", [])]


def _title(notebook: NotebookNode) -> str:
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    headings = (re.match(r"# (.+)", text) for text in texts)
    return next((heading[1] for heading in headings if heading), "Untitled")


def _first_page(figures: Path, book: Path, titles: dict[str, str]) -> str:
    """Every figure in the order of the paper; figures that ``captions.toml`` lacks come last."""
    sidecars = [json.loads(path.read_text("utf-8")) for path in sorted(figures.glob("*.json"))]
    places = {name: place for place, name in enumerate(CAPTIONS)}
    found = [made for made in sidecars if "figure" in made]
    found.sort(key=lambda made: (places.get(made["figure"], len(places)), made["figure"]))
    book.mkdir(parents=True, exist_ok=True)
    for made in found:
        shutil.copyfile(figures / f"{made['figure']}.png", book / f"{made['figure']}.png")
        made["lesson"] = Path(made.get("notebook", "")).stem
    first = PAGES.get_template("first_page.html")
    return first.render(figures=found, titles=titles, captions=CAPTIONS)


def _write_page(path: Path, title: str, body: str, links: Sequence[tuple[str, str]]) -> Path:
    page = PAGES.get_template("page.html").render(title=title, body=body, links=links)
    return save_text(path, page)


def _write_looks(book: Path) -> None:
    """The style and the script of all pages."""
    from pygments.formatters import HtmlFormatter

    light, dark = (
        HtmlFormatter(style=style, nobackground=True).get_style_defs(".highlight")
        for style in ("xcode", "github-dark")
    )
    style = (HERE / "book.css").read_text("utf-8")
    style += f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    save_text(book / "book.css", style)
    scatter = SCATTER.read_text("utf-8").replace("export default { render };", "return render;")
    script = (HERE / "book.js").read_text("utf-8")
    save_text(book / "book.js", script.replace("/* scatter.js */", scatter))
