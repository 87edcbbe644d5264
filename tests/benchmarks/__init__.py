"""Costs side by side in one run: what is measured, and what comes of it as a table, a figure and
data."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from statkit.experiments import Experiment
from statkit.gallery import save_figure
from statkit.runtime.cache import save_text, write_atomically
from statkit.runtime.device import device_name

from .costs import draw_costs
from .growth import bench_growth
from .measure import Comparison, Line, Missing
from .opening import bench_opening
from .pictures import bench_lowres, bench_maps, bench_reading
from .pixels import bench_pixels
from .plan import bench_plan
from .start import bench_job, bench_start
from .steps import bench_epochs, bench_steps
from .tsne import bench_tsne
from .widgets import bench_widgets
from .workload import Workload

BENCHMARKS: dict[str, Callable[[Workload], Iterator[Line]]] = {
    "a": bench_steps,
    "b": bench_epochs,
    "c": bench_maps,
    "d": bench_lowres,
    "e": bench_reading,
    "f": bench_widgets,
    "g": bench_tsne,
    "h": bench_growth,
    "i": bench_start,
    "j": bench_job,
    "k": bench_pixels,
    "l": bench_plan,
    "m": bench_opening,
}
HEADER = (
    "| | what | compared with | ratio (quartiles) | goal | ours | other | |\n" + 8 * "|---" + "|"
)


def run_benchmarks(
    experiment: Experiment,
    only: Sequence[str] | None = None,
    file: Path | None = None,
    folder: Path = Path("figures"),
) -> dict[str, list[Line]]:
    """Run the comparisons named in ``only`` (all when None) and print them as they come.

    Args:
        experiment: its clips are what the demo network is trained on.
        only: letters of :data:`BENCHMARKS`.
        file: the numbers as JSON: letter -> ratio, low, high and what of its first line, and all
            ``lines``.
        folder: ``costs.md`` and ``costs.png`` go there, and the last main job is looked for there.

    Raises:
        ValueError: an unknown letter.
    """
    unknown = sorted(set(only or ()) - set(BENCHMARKS))
    if unknown:
        raise ValueError(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    work = Workload(experiment, folder)
    found: dict[str, list[Line]] = {}
    print(f"on {device_name(work.device)}\n\n{HEADER}", flush=True)
    for letter in only or BENCHMARKS:
        found[letter] = []
        for line in BENCHMARKS[letter](work):
            found[letter].append(line)
            print(_row(letter, line), flush=True)
    if file:
        text = json.dumps({letter: _data(lines) for letter, lines in found.items()}, indent=1)
        write_atomically(file, lambda path: path.write_text(text + "\n"))
        print(f"\nwritten: {file}")
    _show(found, work)
    return found


def _show(found: dict[str, list[Line]], work: Workload) -> None:
    rows = [_row(letter, line) for letter, lines in found.items() for line in lines]
    words = f"On {device_name(work.device)}.\n\n{HEADER}\n" + "\n".join(rows) + "\n"
    print(f"written: {save_text(work.folder / 'costs.md', words)}")
    lines = [
        (letter, line)
        for letter, lines in found.items()
        for line in lines
        if isinstance(line, Comparison) and letter != "j"
    ]
    if lines:
        figure = draw_costs(lines)
        options = {"dataset": work.experiment.dataset, "folder": work.folder}
        print(f"written: {save_figure(figure, 'costs', parameters={}, **options)}")


def _row(letter: str, line: Line) -> str:
    if isinstance(line, Missing):
        return f"| {letter} | {line.what} | {line.other} | skipped | | | | {line.reason} |"
    goal = line.goal and f"{line.goal}: {'met' if line.met else 'missed'}"
    ratio = f"{line.ratio:.3g} ({line.low:.3g}-{line.high:.3g})"
    return (
        f"| {letter} | {line.what} | {line.other} | {ratio} "
        f"| {goal} | {line.ours:.4g} {line.unit} | {line.theirs:.4g} {line.unit} | {line.detail} |"
    )


def _data(lines: list[Line]) -> dict:
    measured = [line for line in lines if isinstance(line, Comparison)]
    first = measured[0] if measured else None
    summary = (
        {"ratio": first.ratio, "low": first.low, "high": first.high, "what": first.what}
        | {"other": first.other, "goal": first.goal, "met": first.met}
        if first
        else {"skipped": lines[0].reason if lines else "nothing to measure"}
    )
    return summary | {"lines": [asdict(line) for line in lines]}
