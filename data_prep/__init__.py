"""From whatever the clips arrive as to a prepared data set."""

from __future__ import annotations

from pathlib import Path

from statkit.data.clips import VideoDataset
from statkit.runtime.cache import cache_folder

from .demo import VERSION, make_demo
from .folder import index_folder
from .prepared import is_prepared, open_prepared

DEMO_SIZES = {"demo": (768, 720), "demo-small": (192, 96)}


def open_dataset(
    source: str | Path = "demo", *, lists: str | Path | None = None, progress: bool = True
) -> VideoDataset:
    """The one way to a data set.

    Args:
        source: "demo" (generated clips, made on first use), "demo-small" (a few of them, for a
            quick look), a prepared folder (see :mod:`data_prep.prepare`), or a folder of class
            folders of clips.
        lists: folder of UCF101's or HMDB51's split lists, if they do not lie with the clips.

    Raises:
        statkit.data.stored.DatasetError: not a usable data set.
    """
    if is_prepared(source):
        return open_prepared(source, progress=progress)
    if str(source) not in DEMO_SIZES:
        return index_folder(source, lists=lists, progress=progress)
    train, test = DEMO_SIZES[str(source)]
    folder = make_demo(cache_folder("data") / f"{source}-v{VERSION}", train=train, test=test)
    return index_folder(folder, progress=progress)
