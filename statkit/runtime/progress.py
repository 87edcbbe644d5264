"""Progress of long work: a bar in a terminal, one line that changes in a notebook, a line now and
then in a headless run."""

from __future__ import annotations

import os
import sys

from tqdm import tqdm

from .processes import is_main

HEADLESS = "STATKIT_HEADLESS"  # set, to anything, by the runner of notebooks
HEADLESS_SECONDS = 20


def progress_bar(iterable=None, *, label: str, total: int, initial: int = 0, show: bool = True):
    """A tqdm bar over ``iterable``, or one to be moved by hand with ``update``. Of several
    processes that train together only the main one shows its own."""
    show = show and is_main()
    place = {"file": sys.stderr, "mininterval": 0.2}
    if "ipykernel" in sys.modules and os.environ.get(HEADLESS):
        place = {"file": sys.stdout, "mininterval": HEADLESS_SECONDS, "ncols": 100}
    elif "ipykernel" in sys.modules:
        place = {"file": _DisplayLine() if show else sys.stderr, "mininterval": 0.3, "ncols": 100}
    return tqdm(iterable, desc=label, total=total, initial=initial, disable=not show, **place)


def close_bars() -> None:
    """End the line of each bar that an error left open."""
    for bar in list(getattr(tqdm, "_instances", ())):
        bar.close()


class _DisplayLine:
    """A file whose last line stands in the cell's output, in place: no red, no pile of lines."""

    def __init__(self):
        from IPython.display import display

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        line = text.strip("\r\n")
        if line and self._handle:
            self._handle.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        """Nothing waits."""
