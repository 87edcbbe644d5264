"""Save figures with everything that is needed to draw them again."""

import json
import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from statkit import __version__
from statkit.data.clips import VideoDataset
from statkit.plots.style import same_everywhere
from statkit.runtime.cache import save_text, write_atomically
from statkit.widgets import Explorer

PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "decord", "av")
NOTEBOOK = "JPY_SESSION_NAME"  # Jupyter and the runner set it to the notebook's path


def save_figure(
    figure: Figure | Explorer,
    name: str,
    *,
    parameters: dict | None = None,
    dataset: VideoDataset,
    folder: str | Path = "figures",
    seed: int | None = None,
    caption: str = "",
) -> Path:
    """Write ``name`` .png, .pdf, .npz (the arrays it shows) and .json (how it was made); the path
    of the PNG file.

    Args:
        figure: from a ``draw_`` function; or an Explorer, saved with the current state of its
            controls, whose values are added to the parameters.
        parameters: the values with which the controls show the figure again.
        dataset: the clips of the figure; the sidecar marks generated clips.
        caption: the figure's number in the paper and its point, for the book's first page.
    """
    folder, parameters = Path(folder), dict(parameters or {})
    if isinstance(figure, Explorer):
        if figure.error:
            raise ValueError(f"{name}: this picture could not be drawn") from figure.error
        figure, parameters = figure.figure, parameters | figure.values
    png = folder / f"{name}.png"
    made = {
        "figure": name,
        "parameters": parameters,
        "seed": seed,
        "dataset": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "clips": "generated clips" if dataset.generated else "real clips",
        "caption": caption,
        "notebook": Path(os.environ.get(NOTEBOOK, "")).name,
        "alt": figure.alt,
        "versions": versions(),
    }
    pdf = {"metadata": {"CreationDate": None}}
    with same_everywhere():
        write_atomically(png, lambda path: figure.savefig(path, dpi=150))
        write_atomically(png.with_suffix(".pdf"), lambda path: figure.savefig(path, **pdf))
    write_atomically(png.with_suffix(".npz"), lambda path: np.savez(path, **figure.shown))
    save_text(png.with_suffix(".json"), json.dumps(made, indent=1, default=str) + "\n")
    return png


def versions() -> dict[str, str]:
    """statkit, Python, the platform and the packages that affect numbers."""
    found = {"statkit": __version__, "python": platform.python_version()}
    found |= {"platform": platform.platform(), **dict.fromkeys(PACKAGES, "not installed")}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
