"""Section 3.3.1 as a figure: accuracy against the number of labelled clips."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from statkit.experiments.results import Result

from .resolutions import draw_against


def draw_labels(
    results: Sequence[Result], titles: dict[str, str], *, everyone: int, **about
) -> Figure:
    """prec@1 and prec@5 against labelled clips a class.

    Args:
        everyone: clips a class when all have labels.
        results, titles, about: as in :func:`statkit.plots.resolutions.draw_against`.
    """
    return draw_against(
        results,
        titles,
        place_of=lambda result: result.labelled or everyone,
        tick_of=lambda result: str(result.labelled or everyone),
        label="labelled clips a class (log scale)",
        **about,
    )
