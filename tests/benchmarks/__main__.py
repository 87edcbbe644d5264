"""``./run bench``: costs side by side in one run; ``--help`` says what can be chosen."""

import argparse
import sys
from pathlib import Path

from data_prep import open_dataset
from statkit.experiments import Experiment
from statkit.runtime.cache import REPOSITORY

from . import BENCHMARKS, run_benchmarks


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks named, or all of them; 2 where one of them does not exist."""
    parser = argparse.ArgumentParser(prog="./run bench", description="Compare costs side by side.")
    letters = ", ".join(f"{letter} {run.__name__}" for letter, run in BENCHMARKS.items())
    parser.add_argument("--only", nargs="+", metavar="LETTER", help=f"such as a,c: {letters}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or mps")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "figures", metavar="FOLDER")
    options = parser.parse_args(arguments)
    only = [letter for words in options.only or [] for letter in words.split(",") if letter]
    experiment = Experiment(open_dataset("demo-small"), device=options.device, progress=False)
    try:
        run_benchmarks(experiment, only or None, options.json, options.out)
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
