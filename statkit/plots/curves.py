"""What the parts of the loss do while networks learn."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .style import attach, colour_of, drawing, new_figure

PARTS = {"ce": "cross-entropy", "sat": "SAT (Equation 2)", "tat": "TAT (Equation 3)"}
DASHES = ("-", "--", "-.", ":")


@drawing
def draw_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    titles: Mapping[str, str],
    *,
    epochs: int,
) -> Figure:
    """One panel per part of Equation 4 that any row has, one line per row, before weighting, on the
    training clips: row -> what ``on_epoch`` was told, one entry for each of the epochs so far. The
    axes end where the data ends."""
    figure = new_figure(2.7)
    figure.subplots_adjust(left=0.06, right=0.8, top=0.88, bottom=0.2, wspace=0.25)
    # A student without a teacher has the cross-entropy alone, the unlabelled stage has none.
    parts = [p for p in PARTS if any(m[p] for h in histories.values() for m in h)] or ["ce"]
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    done = max(map(len, histories.values()), default=0)
    arrays, lines = {}, {}  # a line per row for the legend, whichever panels the row is in
    for axes, part in zip(panels, parts, strict=True):
        for number, (row, history) in enumerate(histories.items()):
            values = [means[part] for means in history]
            if not any(values):
                continue
            arrays[f"{row}_{part}"] = values
            look = {"color": colour_of(row), "ls": DASHES[number % len(DASHES)], "marker": "."}
            [line] = axes.plot(range(1, len(values) + 1), values, lw=1.8, **look)
            lines.setdefault(titles[row], line)
        axes.set_title(PARTS[part])
        axes.set(xlim=(0.8, max(done, 2) + 0.2), xlabel=f"epoch (of {epochs})")
        axes.locator_params(axis="x", integer=True)
        axes.tick_params(labelsize=8)
    figure.legend(lines.values(), lines.keys(), loc="center right")
    last = ", ".join(
        f"{titles[row]} {history[-1][parts[0]]:.2f} after epoch {len(history)}"
        for row, history in histories.items()
        if history
    )
    alt = f"Loss parts by epoch; {PARTS[parts[0]]}: {last or 'none yet'}."
    return attach(figure, alt, **arrays)
