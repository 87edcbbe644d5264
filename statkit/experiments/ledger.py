"""``CLAIMS.md``: each claim of ``claims.csv`` with its result from the runs, and the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from .claims import CLAIMS, Claim, NotReached, Runs
from .conditions import by_condition, summaries, summary
from .forecast import ForecastModel, forecasts
from .grid import TABLES
from .hypotheses import HYPOTHESES, Hypothesis
from .paper import COLUMNS, paper_column
from .results import (
    Estimate,
    Result,
    differences,
    estimate,
    holm,
    p_value,
    units,
    values_of,
)
from .rows import TITLES
from .tables import in_markdown, lines_of, markdown, signed

NOTHING = "no difference was measurable"
HEADING = Path(__file__).with_name("claims.md").read_text("utf-8")


def verdict(found: Estimate, holds: str = "reproduced", level: float | None = None) -> str:
    """The verdict for the 95 % interval of a difference: ``holds`` if it lies above 0. ``level`` is
    the p-value to judge by, such as an adjusted one; that of the interval when None."""
    if found.runs < 2:
        return "one run only"
    if (p_value(found) if level is None else level) >= 0.05:
        return NOTHING
    return holds if found.mean > 0 else "the opposite was measured"


def ledger(
    sets: dict[str, Iterable[Result]],
    knobs: Iterable[Result] = (),
    real: dict[str, list[Result]] | None = None,
) -> str:
    """``CLAIMS.md``: per set of runs, a line per claim, and then the tables.

    Args:
        sets: name as in the headings -> runs.
        knobs: runs of the knob experiment; no section if there are none.
        real: runs of each real set, for the section of the forecasts.
    """
    lists = {name: list(runs) for name, runs in sets.items()}
    parts = [HEADING]
    for name, runs in lists.items():
        rows = _claims(runs)
        parts.append(f"\n## Claims on {name}\n\n{_count(rows)}\n{in_markdown(rows)}")
    parts += [f"\n{hypotheses(knobs)}"] if (knobs := list(knobs)) else []
    parts += [_real_sets(real, knobs)] if real else []
    return "".join(parts + [_tables(name, runs) for name, runs in lists.items()])


def hypotheses(runs: Runs) -> str:
    """The hypotheses on the knob experiment with their verdicts, as a section of ``CLAIMS.md``."""
    head = ["", "hypothesis", "difference", "degrees of freedom", "verdict", "after Holm"]
    rows = [head]
    found = [_tested(one, runs) for one in HYPOTHESES]
    known = [one if isinstance(one, Estimate) and one.runs > 1 else None for one in found]
    adjusted = holm([1.0 if one is None else p_value(one) for one in known])
    for one, got, strict in zip(HYPOTHESES, found, adjusted, strict=True):
        if isinstance(got, str):
            rows.append([one.name, one.words, "", "", f"not tested yet: {got}", ""])
            continue
        after = verdict(got, "supported", strict) + f" ({_p(strict)})" if got.runs > 1 else ""
        words, freedom = f"{_amount(got, one.unit)} {one.unit}", str(got.runs - 1)
        rows.append([one.name, one.words, words, freedom, verdict(got, "supported"), after])
    measured = summaries(runs)
    seeds = ", ".join(map(str, sorted({run.seed for run in runs})))
    pairs = Counter(one.gain.runs for one in measured if one.gain)
    each = ", ".join(f"{count} with {n} each" for n, count in sorted(pairs.items(), reverse=True))
    count = f"Conditions with a teacher, a plain student and SAT+TAT: {len(measured)}"
    about = f"{count}; seeds: {seeds or 'none'}{f' ({each})' if each else ''}."
    text = Path(__file__).with_name("hypotheses.md").read_text("utf-8")
    return f"{text}\n{about}\n\n{in_markdown(rows)}\n{_conditions(by_condition(runs))}"


def _real_sets(real: dict[str, list[Result]], knobs: Runs) -> str:
    """The section of the real sets: what was measured, and the forecasts."""
    model = ForecastModel(summaries(knobs))
    sets = [summary(name, runs) for name, runs in real.items()]
    rows, how_often = forecasts(model, sets)
    epochs = {name: next(r.epochs for r in runs if r.row == "stat") for name, runs in real.items()}
    pairs = {name: len(differences(runs, "stat")) for name, runs in real.items()}
    about = [f"{one.name}: {pairs[one.name]}, {epochs[one.name]}" for one in sets if one.gain]
    return (
        "\n## Real sets, and the forecast of each\n\nRows of Table 3. The gains are paired by seed "
        f"and split (numbers of pairs, and of epochs: {'; '.join(about)}).\n\n"
        f"{_conditions(real, 'set')}\n{model.text()} {how_often}\n\n{in_markdown(rows)}"
    )


def _conditions(groups: dict[str, list[Result]], first: str = "condition") -> str:
    """One line per condition: accuracy, gains with intervals, what the teacher's attention says;
    without empty columns."""
    known = ("from_blind", "specific", "from_equal", "spread", "on_actor", "in_action", "pixels")
    head = [first, "teacher", "student", "SAT", "TAT", "SAT+TAT"]
    rows = [head + [name.replace("_", " ") for name in known]]
    for name, here in groups.items():
        found = [values_of(here, row) for row in ("teacher", "student")]
        cells = [str(estimate(units(values))) if values else "" for values in found]
        gains = [summary(name, here, row).gain for row in ("sat", "tat", "stat")]
        cells += ["" if one is None else signed(one) for one in gains]
        values = [summary(name, here).features[each] for each in known]
        rows.append([name, *cells, *("" if v != v else f"{v:.3g}" for v in values)])
    filled = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return in_markdown(list(zip(*filled, strict=True)))


def _tested(one: Hypothesis, runs: Runs) -> Estimate | str:
    try:
        return one.measured_on(runs)
    except ValueError as error:
        return str(error)


def _claims(runs: Runs) -> list[list[str]]:
    """Head, and for every claim its place, its difference, and its verdict before and after
    Holm's adjustment."""
    found = [_evidence(claim, runs) for claim in CLAIMS]
    tested = [one for one in found if isinstance(one, Estimate) and one.runs > 1]
    adjusted = iter(holm([p_value(one) for one in tested]))
    rows = [["claim", "paper", "lesson", "difference", "verdict", "after Holm"]]
    for claim, one in zip(CLAIMS, found, strict=True):
        row = [claim.words, claim.place or "not in the paper", claim.lesson]
        if isinstance(one, str):
            rows.append([*row, "", f"cannot be tested here: {one}", ""])
            continue
        holds, strict = "reproduced" if claim.place else "supported", ""
        if one.runs > 1:
            p = next(adjusted)
            strict = f"{verdict(one, holds, p)} ({_p(p)})"
        rows.append([*row, _difference(claim, one), verdict(one, holds), strict])
    return rows


def _evidence(claim: Claim, runs: Runs) -> Estimate | str:
    """The measured difference, or the reason why there is none."""
    if not claim.test:
        return claim.reason
    if claim.truth and all(run.on_actor is None for run in runs):
        return "it needs clips whose actor, action and scene are known"
    try:
        return claim.measured_on(runs)
    except NotReached as error:
        return str(error)
    except ValueError:
        network = f" --backbone {claim.column}" if claim.column != "resnet34" else ""
        needed = [row for row in (claim.baseline, claim.row) if row]
        own = set(needed) <= set(TABLES[claim.table].rows)
        rows = "" if own else f" --rows {' '.join(needed)}"
        return f"not run; `statkit tables --table {claim.table}{network}{rows} --data ...`"


def _difference(claim: Claim, found: Estimate) -> str:
    runs = f", n = {found.runs}" if found.runs > 1 else ""
    unit = "" if claim.unit == "points" else f" {claim.unit}"
    return f"{_amount(found, claim.unit)}{unit}{runs}"


def _amount(found: Estimate, unit: str) -> str:
    """A difference with its interval: points with one decimal, smaller units with two."""
    if unit.startswith("points") or found.runs < 2:
        return signed(found)
    return f"{found.mean:+.2f} ± {found.half_width:.2f}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p {value:.3f}"


def _count(rows: list[list[str]]) -> str:
    """The number of tests and of verdicts."""
    tested = [row for row in rows[1:] if row[-1]]
    yes = ("reproduced", "supported")
    plain, strict = (sum(row[place].startswith(yes) for row in tested) for place in (-2, -1))
    return (
        f"{len(tested)} claims were tested with more than one run. Reproduced or supported at "
        f"95 %: {plain}; after Holm's adjustment: {strict}. If no effect existed at all, about "
        f"{0.05 * len(tested):.1f} of the {len(tested)} intervals would not contain 0.\n"
    )


def _tables(name: str, runs: Runs) -> str:
    """The tables that the runs fill, ours beside the paper's; rows outside the plan come last."""
    parts = [f"\n## Tables on {name}\n"]
    for (key, table), (column, kind) in product(TABLES.items(), COLUMNS.items()):
        here = [r for r in runs if (r.table, paper_column(r.backbone)) == (key, column)]
        if here:
            against = TITLES[table.baseline]
            note = f"Gains are paired differences to {against}; {_made(here)}{_seen(key, here)}."
            rows = [*table.rows, *(row for row in TITLES if row not in table.rows)]
            about = {"baseline": table.baseline, "table": key, "backbone": column}
            lines = markdown(lines_of(here, rows, **about))
            parts.append(f"\n**{table.title}{kind}.** {note}\n\n{lines}")
    return "".join(parts)


def _seen(table: str, runs: Runs) -> str:
    """The size to which the students' LR frames are enlarged, where all rows have the same."""
    sizes = {tuple(c["student_size"] or ()) for r in runs if "student_size" in (c := r.config)}
    if table == "strides" or len(sizes) != 1:
        return ""
    [size] = sizes
    to = f"{'x'.join(map(str, size))} pixels" if size else "the teacher's size"
    return f"; students see LR frames enlarged to {to}"


def _made(runs: Runs) -> str:
    """The origin of the numbers: backbones, seeds, splits, devices."""

    def all_of(name: str, word: str) -> str:
        return word.join(map(str, sorted({getattr(run, name) for run in runs})))

    return (
        f"backbone {all_of('backbone', ' and ')}, seeds {all_of('seed', ', ')}, "
        f"split {all_of('split', ', ')}, on {all_of('device', ' and ')}"
    )
