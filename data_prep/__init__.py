"""Opens clips in any supported form as a data set."""

import json
from pathlib import Path

import numpy as np

from statkit.data.clips import DatasetError, VideoDataset
from statkit.errors import StatkitError
from statkit.runtime.cache import cache_folder, read_cached
from statkit.runtime.parameters import pasted_path

from .demo import VERSION, card_of, make_demo
from .film import Knobs
from .folder import index_folder
from .on_demand import open_on_demand
from .prepared import is_prepared, open_prepared

DEMO_SIZES = {"demo": (768, 720), "demo-small": (192, 96)}


def open_dataset(
    source: str | Path = "demo", *, lists: str | Path | None = None, progress: bool = True
) -> VideoDataset:
    """Open a data set; every data set is opened with this function.

    Args:
        source: "demo" (generated clips, each drawn when it is first used), "demo-small" (fewer
            clips, for a quick test), either with knobs after a colon, such as
            "demo:scene=0.5,actor=0.7" (:class:`data_prep.film.Knobs`), a prepared folder (see
            :mod:`data_prep.prepare`), or a folder or an archive of clips in any layout that
            :mod:`data_prep.discover` names.
        lists: folder or archive of UCF101's or HMDB51's split lists, if the lists are not in
            the folder of the clips.

    Raises:
        statkit.data.stored.DatasetError: the source is not a usable data set.
    """
    if str(source).partition(":")[0] not in DEMO_SIZES:
        if not str(source).strip():
            raise DatasetError("no data set is named: name demo, demo-small, or a folder of clips")
        source = pasted_path(source)
        if is_prepared(source):
            if lists:
                raise DatasetError(f"{source} has its splits; prepare it anew with these lists")
            return open_prepared(source, progress=progress)
        return index_folder(source, lists=lists, progress=progress)
    if lists:
        raise DatasetError(f"{source}: generated clips have a split of their own, and no lists")
    folder, card = generated_set(str(source))
    read_cached(folder, _check_demo)
    opened = open_on_demand(folder, card)
    if opened is not None:
        return opened
    about = {"train": card["train"], "test": card["test"], "knobs": Knobs(**card.get("knobs", {}))}
    return index_folder(make_demo(folder, **about), progress=progress)


def generated_set(source: str) -> tuple[Path, dict]:
    """The folder and the card (:func:`data_prep.demo.card_of`) of generated clips, by name.

    Raises:
        ValueError: invalid knobs, or the knob "clips" of "demo-small".
    """
    name, _, words = source.partition(":")
    (train, test), knobs = DEMO_SIZES[name], Knobs.read(words)
    if name != "demo" and "clips=" in words:  # its clips are not counted from the default
        raise StatkitError(f"{name} has {train} training clips; write demo:{words}")
    changed = "".join(f"-{knob}={value:g}" for knob, value in knobs.changed().items())
    folder = cache_folder("data") / f"{name}-v{VERSION}{changed}"
    return folder, card_of(train, test, knobs=knobs)


def _check_demo(folder: Path) -> None:
    """Raise an error if the card or the truth of generated clips is broken."""
    json.loads((folder / "generated.json").read_bytes())
    if (folder / "truth.npz").exists():  # a set that is drawn on demand gets it last
        np.load(folder / "truth.npz")["names"]
