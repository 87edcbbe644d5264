"""What the parts of the loss do while networks learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .style import COLOURS, INK, OTHER, attach, new_figure

PARTS = {"ce": "cross-entropy", "sat": "SAT (Equation 2)", "tat": "TAT (Equation 3)"}
DASHES = ("-", "--", "-.", ":")


def draw_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    titles: Mapping[str, str],
    *,
    epochs: int,
    generated: bool = False,
) -> Figure:
    """A panel a part of Equation 4, a line a row, before weighting, on the training clips.

    Args:
        histories: row -> what ``on_epoch`` was told, an epoch an entry.
        titles: row -> words.
        epochs: how many there will be; the width of the panels.
    """
    figure = new_figure(2.7, generated=generated)
    figure.subplots_adjust(left=0.06, right=0.8, top=0.88, bottom=0.2, wspace=0.25)
    panels = figure.subplots(1, 3)
    arrays = {}
    for axes, (part, words) in zip(panels, PARTS.items(), strict=True):
        for number, (row, history) in enumerate(histories.items()):
            values = [means[part] for means in history]
            if not any(values):  # a student without a teacher
                continue
            arrays[f"{row}_{part}"] = values
            style = {"color": COLOURS.get(row, OTHER), "ls": DASHES[number % len(DASHES)]}
            axes.plot(
                range(1, len(values) + 1), values, lw=1.8, marker=".", label=titles[row], **style
            )
        axes.set_visible(part == "ce" or bool(axes.lines))
        axes.set_title(words, fontsize=10, color=INK)
        axes.set_xlim(0.5, epochs + 0.5)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("epoch", fontsize=9)
        axes.tick_params(labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.legend(*_handles(panels), loc="center right", fontsize=9, frameon=False)
    last = ", ".join(
        f"{titles[row]} {history[-1]['ce']:.2f} after epoch {len(history)}"
        for row, history in histories.items()
        if history
    )
    return attach(figure, f"Loss parts by epoch; cross-entropy: {last or 'none yet'}.", **arrays)


def _handles(panels) -> tuple[list, list]:
    """Each row once, whichever panels it is in."""
    found = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
