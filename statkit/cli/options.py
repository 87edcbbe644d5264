"""What the commands of the command line take, and how their values are read."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

from statkit.runtime.cache import REPOSITORY
from statkit.shipped import SHIPPED


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(n) for n in text.lower().split("x"))
    except ValueError as error:
        message = f"a size is HEIGHTxWIDTH, such as 12x16; got {text!r}"
        raise argparse.ArgumentTypeError(message) from error
    return height, width


def _frames(text: str) -> int | str:
    if text == "all" or (text.isdigit() and int(text)):
        return text if text == "all" else int(text)
    raise argparse.ArgumentTypeError(f"a number of frames, or all; got {text!r}")


def _weights(text: str) -> bool | str:
    return {"yes": True, "no": False}.get(text, text)


def value_of(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def add_preparation(sub: argparse.ArgumentParser) -> None:
    _add_data(sub)
    how = sub.add_argument_group("preparation")
    how.add_argument(
        "kind",
        nargs="?",
        choices=["ucf101", "hmdb51", "folder", "unlabelled", "demo"],
        help="what the source is; without one, the frames of --data are kept in the cache",
    )
    how.add_argument("--source", type=Path, help="an archive, or a folder of archives or clips")
    how.add_argument("--out", type=Path, metavar="FOLDER", help="the prepared set's own folder")
    how.add_argument("--frames", type=_frames, help="frames to keep of a clip (32), or all")
    how.add_argument("--workers", type=int, help="processes (one a processor)")
    how.add_argument("--dask", metavar="ADDRESS|local", help="spread over a Dask cluster")
    how.add_argument("--strict", action="store_true", help="stop at the first bad or missing clip")
    how.add_argument(
        "--limit", type=float, default=8.0, help="seconds a clip may stand still in decoding (8)"
    )
    how.add_argument("--fetch", action="store_true", help="download the archives first")
    how.add_argument("--mirror", metavar="URL", help="a folder of the archives, to fetch from")
    how.add_argument("--verify", type=Path, metavar="FOLDER", help="check a prepared set, no more")


def add_dask(sub: argparse.ArgumentParser, what: str) -> None:
    sub.add_argument(
        "--dask",
        metavar="ADDRESS|local",
        help=f"spread {what} over a Dask cluster, or over one made on this machine",
    )


def _changes() -> str:
    """The names that --with knows, and the choices where there are some."""
    from statkit.experiments.settings import CHOICES, changeable

    names = [name for part in changeable().values() for name in part]
    return ", ".join(
        f"{name}={'|'.join(map(str, CHOICES[name]))}" if name in CHOICES else name for name in names
    )


def _add_data(sub: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    data = sub.add_argument_group("data")
    data.add_argument(
        "--data",
        default="demo",
        metavar="SOURCE",
        help="demo (default), demo-small, a prepared folder, or a folder of class folders",
    )
    data.add_argument("--lists", type=Path, help="UCF101's or HMDB51's split lists")
    data.add_argument("--lr-size", type=_size, help="low resolution (12x16)")
    data.add_argument("--hr-size", type=_size, help="the teacher's network size")
    return data


def add_training(sub: argparse.ArgumentParser, *, grid: bool = False, probe: bool = False) -> None:
    """Of train; of evaluate, with a ``probe``; of tables, with a ``grid``."""
    from statkit.backbones import MODELS
    from statkit.experiments.grid import TABLES
    from statkit.experiments.rows import ROWS, TABLE_3
    from statkit.recipes import RECIPES

    data = _add_data(sub)
    data.add_argument(
        "--frames", type=int, help="frames to keep of a clip (16; a prepared set's own)"
    )
    if grid:
        data.add_argument("--splits", type=int, nargs="+", default=[1], help="official ones (1)")
    else:
        data.add_argument("--split", type=int, help="number of the official split (1)")
    data.add_argument(
        "--unlabelled",
        metavar="SOURCE",
        help="clips of the unlabelled stage (the training clips, without their labels)",
    )
    how = sub.add_argument_group("networks and training")
    how.add_argument("--backbone", choices=sorted(MODELS), help="another network")
    how.add_argument("--segments", type=int, help="K, intervals a clip")
    how.add_argument(
        "--pretrained",
        type=_weights,
        metavar="yes|no|FILE",
        help="torchvision's weights, none, or a file (default: yes for real clips)",
    )
    how.add_argument("--student-size", type=_size, help="LR frames are enlarged to this")
    how.add_argument(
        "--with",
        dest="changes",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help=f"what the paper leaves open read another way, or other details: {_changes()}",
    )
    how.add_argument("--recipe", choices=sorted(RECIPES), help="instead of the data's own")
    how.add_argument(
        "--labelled", type=int, metavar="N", help="training clips a class with a label (all)"
    )
    how.add_argument("--epochs", type=int)
    how.add_argument("--batch-size", type=int)
    how.add_argument("--seeds", type=int, nargs="+", default=[0], help="one run each (0)")
    how.add_argument(
        "--live-teacher",
        action="store_true",
        help="ask the teacher anew at every step: exact, and several times slower",
    )
    how.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
    if grid:
        sub.set_defaults(split=None)
        sub.add_argument(
            "--table",
            nargs="+",
            choices=list(TABLES),
            default=["3"],
            help="which of the paper's tables (3); strides: sizes that an LR frame is enlarged to; "
            "labels: how many there are",
        )
        sub.add_argument(
            "--rows", nargs="+", choices=list(ROWS), help="instead of the table's own rows"
        )
        sub.add_argument(
            "--workers", type=int, default=1, help="processes that share the seeds (1)"
        )
        add_dask(sub, "the seeds")
        out = REPOSITORY / "figures" / "tables"
        sub.add_argument("--out", type=Path, default=out, metavar="FOLDER")
    else:
        sub.add_argument(
            "--rows",
            nargs="*",
            choices=list(ROWS),
            default=list(TABLE_3),
            help=f"which to run (default: {' '.join(TABLE_3)})",
        )
        sub.add_argument("--out", type=Path, metavar="CSV", help="write the runs to this file")
    if probe:
        sub.add_argument("--probe", action="store_true", help="add the linear probe")


def add_claims(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--out", type=Path, default=REPOSITORY / "CLAIMS.md", metavar="FILE")
    sub.add_argument("--results", type=Path, default=SHIPPED, metavar="FOLDER")


def add_figures(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--only", nargs="+", metavar="NN", help="notebooks by number, such as 01 04")
    sub.add_argument("--quick", action="store_true", help="a few clips and epochs, to see it run")
    sub.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter for the notebooks that have it",
    )
    sub.add_argument(
        "--sweep",
        nargs="+",
        metavar=("NAME", "VALUE"),
        help="run them once for each value of a parameter, into a folder a value",
    )
    add_dask(sub, "the runs of a sweep")
    sub.add_argument("--workers", type=int, help="notebooks at a time (a core each, at most 4)")
    sub.add_argument("--out", type=Path, default=REPOSITORY / "figures", metavar="FOLDER")
    sub.add_argument("--notebooks", type=Path, default=REPOSITORY / "notebooks", metavar="FOLDER")
