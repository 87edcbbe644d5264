"""Progress of long work: a bar in a terminal, one line that changes in a notebook, a line every 20
seconds in a headless run."""

import os
import sys

from tqdm import tqdm

from .processes import is_main

HEADLESS = "STATKIT_HEADLESS"  # the runner of notebooks sets it to any value
HEADLESS_SECONDS = 20


def progress_bar(iterable=None, *, label: str, total: int, initial: int = 0, show: bool = True):
    """A tqdm bar over ``iterable``, or a bar that the caller moves with ``update``. If several
    processes train together, only the main process shows a bar. There is no bar for no work."""
    show = show and total != 0 and is_main()
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
    """A file that shows only its last line in the cell's output, without the red of stderr."""

    def __init__(self):
        from IPython.display import display

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        line = text.strip("\r\n")
        if line and self._handle:
            self._handle.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        """Do nothing: no text is buffered."""
