"""Lines of a table from its runs: ours with intervals, the paper's numbers beside them."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .paper import paper_numbers
from .results import Estimate, Result, differences, estimate, units
from .rows import TITLES


@dataclass(frozen=True)
class Line:
    """One line of a table: means over seeds and splits, in per cent. gain is the paired difference
    to the table's baseline at the same resolution; paper, the paper's prec@1 on its own data, never
    comparable in absolute terms."""

    title: str
    resolution: str
    prec1: Estimate
    prec5: float
    gain: Estimate | None
    epochs: int
    on_actor: float | None
    in_action: float | None
    agreement: float | None
    paper: float | None
    runs: int


def lines_of(
    results: Iterable[Result],
    rows: Sequence[str],
    *,
    baseline: str = "student",
    table: str = "3",
    backbone: str = "resnet34",
) -> list[Line]:
    """Runs gathered into lines, in the order of ``rows`` and of resolutions from coarse to fine.
    ``table`` and ``backbone`` select the paper's numbers to compare with ours."""
    results, numbers = list(results), paper_numbers(table, backbone)
    lines = []
    for row in rows:
        for place in sorted({_place(run) for run in results if run.row == row}):
            same = [run for run in results if _place(run) == place]
            runs = [run for run in same if run.row == row]
            pairs = differences(same, row, baseline) if row != baseline else {}
            resolution, labelled = runs[0].resolution, runs[0].labelled
            lines.append(
                Line(
                    TITLES.get(row) or runs[0].row_fields["title"],
                    resolution + (f", {labelled} labels a class" if labelled else ""),
                    estimate(units({(run.seed, run.split): run.prec1 for run in runs})),
                    float(np.mean([run.prec5 for run in runs])),
                    estimate(units(pairs)) if pairs else None,
                    runs[0].epochs,
                    _mean([run.on_actor for run in runs]),
                    _mean([run.in_action for run in runs]),
                    _mean([run.map_agreement for run in runs]),
                    numbers.get((row, resolution), numbers.get((row, ""))),
                    len(runs),
                )
            )
    return lines


def _place(result: Result) -> tuple[int, str, float]:
    """The place of a run's line, from coarse to fine, from few labels to all."""
    height, width = result.resolution.split("x")
    return int(height) * int(width), result.resolution, result.labelled or float("inf")


# Escapes for the characters that are special in LaTeX.
TEX = str.maketrans(
    {sign: "\\" + sign for sign in "%&_#${}"}
    | {"±": r"$\pm$", "×": r"$\times$", "\\": r"\textbackslash{}"}
    | {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "\n": " "}
)


def markdown(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table."""
    head, *rows = _rows(lines)
    return in_markdown([head, *([plain_markdown(cell) for cell in row] for row in rows)])


def in_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A head and rows of cells, which are Markdown already."""
    head, *rest = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rest))


def plain_markdown(text: str) -> str:
    """Escape a name for Markdown."""
    return " ".join(re.sub(r"([\\`*_$|<\[])", r"\\\1", text).split())


def latex(lines: Sequence[Line], caption: str) -> str:
    """The lines as a LaTeX table (package ``booktabs``)."""
    cells = ([re.sub(r"^-(?=\d)", "$-$", c.translate(TEX)) for c in row] for row in _rows(lines))
    rows = [" & ".join(row) + r" \\" for row in cells]
    body = "\n".join(["\\toprule", rows[0], "\\midrule", *rows[1:], "\\bottomrule"])
    columns = "ll" + "r" * (len(_rows(lines)[0]) - 2)
    title = caption.translate(TEX)
    return (
        f"\\begin{{table}}\n\\caption{{{title}}}\n\\begin{{tabular}}{{{columns}}}\n{body}\n"
        "\\end{tabular}\n\\end{table}\n"
    )


def _rows(lines: Sequence[Line]) -> list[list[str]]:
    """Head and cells, without empty columns."""
    columns = [[head, *map(cell, lines)] for head, cell in CELLS.items()]
    kept = [column for place, column in enumerate(columns) if place < 3 or any(column[1:])]
    return [list(row) for row in zip(*kept, strict=True)]


# Head of a column -> the cell of a line.
CELLS: dict[str, Callable[[Line], str]] = {
    "row": lambda line: line.title,
    "resolution": lambda line: line.resolution,
    "prec@1": lambda line: str(line.prec1),
    "prec@5": lambda line: f"{line.prec5:.1f}",
    "gain": lambda line: signed(line.gain) if line.gain else "",
    "epochs": lambda line: str(line.epochs or ""),
    "on the actor": lambda line: "" if line.on_actor is None else f"{line.on_actor:.2f}",
    "in the action": lambda line: "" if line.in_action is None else f"{line.in_action:.0%}",
    "agreement": lambda line: "" if line.agreement is None else f"{line.agreement:.2f}",
    "runs": lambda line: str(line.runs),
    "the paper": lambda line: "" if line.paper is None else f"{line.paper:.2f}",
}


def signed(difference: Estimate) -> str:
    """A difference with its sign, in words for tables: "+3.1 ± 1.2"."""
    sign = "+" if difference.mean >= 0 else "-"
    return sign + str(difference._replace(mean=abs(difference.mean)))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
