"""Points that show their clip: several t-SNE pictures side by side in the notebook, the clip under
the pointer marked in all of them. The browser's half is ``scatter.js``."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets
from IPython.display import display

from statkit.plots.embeddings import class_style, draw_doubts
from statkit.plots.style import enlarge
from statkit.runtime.progress import HEADLESS

from .explorer import with_words
from .picture import as_png, render
from .record import RECORD, keep

SCRIPT = Path(__file__).with_name("scatter.js")  # the book uses it, too


class ClipScatter(anywidget.AnyWidget):
    """``chosen`` is the number of the point under the pointer, or -1; arrow keys step through.

    Clips are sent one at a time when they are asked for and none is kept in the notebook: set
    ``chosen`` to -1 to clear the last.

    Args:
        maps: float ``[N, 2]`` each, a title each. labels: int ``[N]``, positions in the classes.
        show: number of a point -> uint8 ``[H, W, 3]``, its clip. tell: -> words about it.
    """

    _esm = SCRIPT
    titles = traitlets.List(traitlets.Unicode()).tag(sync=True)
    colours = traitlets.List(traitlets.Unicode()).tag(sync=True)
    labels = traitlets.List(traitlets.Int()).tag(sync=True)
    maps = traitlets.Bytes().tag(sync=True)
    chosen = traitlets.Int(-1).tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)

    def __init__(
        self,
        maps: Sequence[np.ndarray],
        titles: Sequence[str],
        labels: np.ndarray,
        classes: Sequence[str],
        show: Callable[[int], np.ndarray],
        tell: Callable[[int], str],
    ):
        self.show, self.tell = show, tell
        self.error: Exception | None = None
        super().__init__(
            titles=list(titles),
            labels=[int(label) for label in labels],
            colours=[class_style(label)[0] for label in range(len(classes))],
            maps=packed(maps),
        )
        self.observe(self._chosen, "chosen")

    def recorded(self, maps: Mapping, control: ipywidgets.Widget) -> dict:
        """What the book shows: each clip's picture and words, the maps of each value."""
        return {
            "control": control.description,
            "now": str(control.value),
            "maps": {
                str(value): np.frombuffer(packed(some), np.float32).round(4).tolist()
                for value, some in maps.items()
            },
            "states": [
                {"file": keep(as_png(self.show(point)), quality=50), "alt": self.tell(point)}
                for point in range(len(self.labels))
            ],
            **{name: getattr(self, name) for name in ("titles", "colours", "labels")},
        }

    def check(self) -> None:
        """Point at the first and the last clip and away; raise what went wrong."""
        for chosen in (0, len(self.labels) - 1, -1):
            self.chosen = chosen
            if self.error:
                raise self.error

    def _chosen(self, change) -> None:
        self.error = None
        try:
            words, picture = "", b""
            if change.new >= 0:
                words, picture = self.tell(change.new), as_png(self.show(change.new))
        except Exception as error:  # the kernel lives on and the reader is told
            self.error = error
            words = f"Cannot show this clip: {error}"
        with self.hold_sync():
            self.words, self.picture = words, picture


def show_scatter(
    maps: Mapping[object, Sequence[np.ndarray]], control: ipywidgets.Widget, *about
) -> ClipScatter:
    """Display a :class:`ClipScatter` (``about``: its other arguments) whose points lie where the
    control's value puts them. Headless runs also point at its ends, and record every clip for the
    book."""
    now = maps[control.value]
    scatter = ClipScatter(now, *about)
    ipywidgets.dlink((control, "value"), (scatter, "maps"), lambda value: packed(maps[value]))
    panels = [(title, points, "") for title, points in zip(scatter.titles, now, strict=True)]
    still = render(draw_doubts(panels, np.array(scatter.labels), columns=len(panels)))
    display(with_words(scatter, "Points that show their clips, live in Jupyter."), raw=True)
    recorded = scatter.recorded(maps, control) if os.environ.get(RECORD) else None
    display(still, metadata={"statkit": recorded} if recorded else None)
    if os.environ.get(HEADLESS):
        scatter.check()
    return scatter


def packed(maps: Sequence[np.ndarray]) -> bytes:
    """Maps ``[N, 2]``, each brought to 0..1 with its proportions kept, as float32 bytes."""
    unit = []
    for points in maps:
        low, high = points.min(0), points.max(0)
        unit.append(0.5 + (points - (low + high) / 2) / max(float((high - low).max()), 1e-12))
    return np.stack(unit).astype(np.float32).tobytes()


def side_by_side(hr: np.ndarray, lr: np.ndarray, count: int = 4) -> np.ndarray:
    """A few frames of a clip, uint8 ``[T, h, w, 3]``, in high resolution, and under them the same
    in low, enlarged to the size of the HR frames: uint8 ``[2 * h, count * w, 3]``."""
    which = np.linspace(0, len(hr) - 1, count).round().astype(int)
    large = [enlarge(frame, hr.shape[1:3]) for frame in lr[which]]
    return np.concatenate([np.concatenate([*frames], 1) for frames in (hr[which], large)])
