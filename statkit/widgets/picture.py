"""A picture that is part of the widget tree. A page that was loaded again, a second browser tab and
Voilà find it from the kernel, with its controls. ``picture.js`` is the browser's half."""

import traceback
from html import escape
from pathlib import Path

import anywidget
import cv2
import numpy as np
import traitlets
from IPython.display import Image
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from statkit.plots.style import same_everywhere

ERROR_CLASS = "statkit-widget-error"


class Picture(anywidget.AnyWidget):
    """``png`` is the file that is shown, ``alt`` its description, ``words`` HTML in its place."""

    _esm = Path(__file__).with_name("picture.js")
    png = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    words = traitlets.Unicode().tag(sync=True)

    def show(self, figure: Figure) -> Image:
        """Show a figure, and return the same picture for viewers without a kernel. Display it
        directly after the widget: the widget hides it where the widget is alive."""
        image = render(figure)
        with self.hold_sync():
            self.png, self.alt, self.words = image.data, image.alt or "", ""
        return image

    def show_error(self, error: Exception) -> None:
        """Say what went wrong, in place of a picture."""
        told = escape("".join(traceback.format_exception_only(error)).strip(), quote=False)
        self.words = f'<pre class="{ERROR_CLASS}">Cannot draw this: {told}</pre>'


def render(figure: Figure) -> Image:
    """A figure as the PNG that a notebook shows; it says its size, so that the page stands still
    while it is replaced."""
    canvas = FigureCanvasAgg(figure)
    # Without hinting texts take a third of the time, and look nearly the same.
    with same_everywhere(), rc_context({"text.hinting": "none"}):
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    height, width = pixels.shape[:2]
    alt = getattr(figure, "alt", "")
    return Image(as_png(pixels), format="png", width=width, height=height, alt=alt)


def as_png(pixels: np.ndarray) -> bytes:
    """uint8 ``[H, W, 3 or 4]``, without its transparency, as the bytes of a PNG file."""
    # Filter and level at which a figure of frames takes half the time that it takes otherwise.
    how = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    code = cv2.COLOR_RGBA2BGR if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    return cv2.imencode(".png", cv2.cvtColor(pixels, code), how)[1].tobytes()
