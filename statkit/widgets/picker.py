"""A control that chooses a video: a file uploaded in the browser or named by its path, or three
seconds from the browser's camera."""

import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Self

import anywidget
import ipywidgets
import traitlets

from statkit.data.frames import FrameSettings
from statkit.data.own_clip import MOST_BYTES, OwnClip, check_bytes, read_bytes, read_clip
from statkit.runtime.parameters import pasted_path
from statkit.runtime.progress import HEADLESS
from statkit.video import VIDEO_SUFFIXES, VideoError

from .controls import WHOLE_ROW
from .picture import ERROR_CLASS

SUFFIXES = ",".join(sorted(VIDEO_SUFFIXES))


class FileButton(anywidget.AnyWidget):
    """Chooses a file or films, and calls ``received(name, size, content)``; the content is None of
    a file above ``limit``, which was not sent. The browser's half is ``upload.js``."""

    _esm = Path(__file__).with_name("upload.js")
    accept = traitlets.Unicode(SUFFIXES).tag(sync=True)
    limit = traitlets.Int(MOST_BYTES).tag(sync=True)

    def __init__(self, received: Callable[[str, int, bytes | None], None]):
        super().__init__()
        self.received, self._parts = received, bytearray()
        self.on_msg(self._part)

    def _part(self, _widget, about: dict, buffers: list) -> None:
        if about.get("at") == 0:
            self._parts = bytearray()
        self._parts += b"".join(buffers)
        if about["last"]:
            content, self._parts = bytes(self._parts), bytearray()
            self.received(about["name"], about["size"], content if buffers else None)


class ClipChoice(ipywidgets.VBox):
    """A control for :func:`statkit.widgets.explorer.explore`: which clip. Upload button, path and a
    line that says what was read; ``value`` is the clip. A file that cannot be read leaves the clip
    as it was, and the line says why. All pictures that are drawn with the same ``ClipChoice`` show
    the same clip.

    Args:
        path: the first clip; nothing for the spare.
        spare: what to show until a file can be read.
        settings: how clips are read, see :func:`statkit.data.own_clip.read_clip`.
    """

    description = "Clip"
    value = traitlets.Any()

    def __init__(self, path: str | Path, spare: Path, settings: FrameSettings | None = None):
        self.file, self.settings = pasted_path(path or spare), settings
        self.upload = FileButton(self.receive)
        self.path = ipywidgets.Text(
            placeholder="or the path of a file on this machine, then Enter",
            continuous_update=False,
            layout={"width": "28em"},
        )
        self.words = ipywidgets.HTML()
        row = ipywidgets.HBox([self.upload, self.path], layout={"flex_flow": "row wrap"})
        super().__init__([row, self.words], layout=WHOLE_ROW)
        clip = read_clip(spare, settings)
        self._take(lambda: clip)
        self.path.observe(self._named, "value")
        if path:
            self.path.value = str(path)

    @property
    def label(self) -> str:
        """What a viewer without a kernel is told."""
        return self.value.name

    def widget(self) -> Self:
        return self

    def positions(self, now: OwnClip, most: int) -> list[OwnClip]:
        return [now]  # a reader of the book has no other

    def recorded(self, positions: list[OwnClip]) -> dict:
        words = [clip.name for clip in positions]
        return {"label": self.description, "kind": "choice", "words": words}

    def ends(self) -> tuple[OwnClip, OwnClip]:
        """The first clip by either door: as an upload, and by its path."""
        content = self.file.read_bytes()
        self.receive(self.file.name, len(content), content)
        uploaded = self.value
        self.path.value = ""
        self.path.value = str(self.file)
        return uploaded, self.value

    def receive(self, name: str, size: int, content: bytes | None) -> None:
        """What the upload button does with a file; without content it was too large to send."""

        def read() -> OwnClip:
            check_bytes(name, size)
            if content is None or len(content) != size:
                arrived = len(content or b"")
                raise VideoError(f"{name}: {arrived} of {size} bytes arrived; choose it again")
            return read_bytes(content, name, self.settings)

        self._take(read)

    def _named(self, change) -> None:
        if change.new.strip():
            self._take(lambda: read_clip(change.new, self.settings))

    def _take(self, read: Callable[[], OwnClip]) -> None:
        try:
            clip = read()
        except Exception as error:  # the kernel lives on and the reader is told
            told = escape(str(error) or type(error).__name__)
            self.words.value = f'<p role="alert" class="{ERROR_CLASS}">{told}</p>'
            if os.environ.get(HEADLESS):
                raise
            return
        self.words.value = f"<p><b>{escape(clip.name)}</b>: {escape(clip.info)}</p>"
        self.value = clip
