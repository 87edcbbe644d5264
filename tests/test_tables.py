import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL

import pytest
import torch

from data_prep.demo import VERSION
from statkit.cli.commands import main
from statkit.experiments.grid import TABLES, plan
from statkit.experiments.results import Result, published_runs, read_results
from statkit.experiments.rows import ROWS, TITLES
from statkit.experiments.settings import DEMO
from statkit.experiments.tables import latex, lines_of, markdown

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--epochs", "1", "--hr-size", "24x32", "--student-size", "24x32", "--batch-size", "16"]


def run(row, seed, prec1, resolution="12x16", labelled=None):
    return Result(
        row, "demo", resolution, seed, 1, prec1, 90, 20, 1.0, "cpu", "f", labelled=labelled
    )


def test_every_row_of_every_table_is_a_row():
    for table in TABLES.values():
        assert set(table.rows) <= set(ROWS) and table.baseline in table.rows


def test_a_plan_has_one_job_a_seed_and_split(dataset):
    dataset = replace(dataset, splits={1: dataset.split(1), 2: dataset.split(1)})
    jobs = plan("2", dataset, DEMO, [0, 1, 2], [1, 2])
    assert len(jobs) == 6 and all(len(job) == 8 for job in jobs)
    assert {config.frames.lr_size for config in jobs[0].settings} == set(TABLES["2"].sizes)
    few = plan("labels", dataset, DEMO, [0], [1])[0].settings
    assert [config.labelled for config in few] == [4, 16, None]
    # 48 training clips of 12 classes: 4 a class is all of them, so no more epochs.
    assert few[0].student_epochs == DEMO.recipe.epochs and few[2].student_epochs is None
    one = plan("labels", dataset, replace(DEMO, labelled=2), [0], [1])[0].settings
    assert [(config.labelled, config.student_epochs) for config in one] == [(2, 100)]
    with pytest.raises(ValueError, match="no table '7'"):
        plan("7", dataset, DEMO, [0], [1])
    with pytest.raises(ValueError, match="no row nonsense"):
        plan("3", dataset, DEMO, [0], [1], ["nonsense"])


def test_lines_pair_seeds_at_the_same_resolution_and_labels():
    runs = [run("student", s, v) for s, v in enumerate((40, 50))]
    runs += [run("stat", s, v) for s, v in enumerate((45, 57, 99))]
    runs += [run("student", 0, 10, "6x8"), run("stat", 0, 13, "6x8")]
    runs += [run("stat", 0, 1, labelled=4)]
    lines = lines_of(runs, ("student", "stat"), table="2")
    assert [(line.title, line.resolution) for line in lines] == [
        (TITLES["student"], "6x8"),
        (TITLES["student"], "12x16"),
        (TITLES["stat"], "6x8"),
        (TITLES["stat"], "12x16, 4 labels a class"),
        (TITLES["stat"], "12x16"),
    ]
    whole = lines[-1]
    assert whole.prec1.mean == pytest.approx(67) and whole.prec1.runs == 3
    assert whole.gain.mean == pytest.approx(6) and whole.gain.runs == 2
    assert lines[2].gain.mean == pytest.approx(3) and lines[3].gain is None
    assert whole.paper == 46.66 and lines[0].paper == 32.24 and lines[0].gain is None


def test_markdown_and_latex_hold_the_same_numbers():
    runs = [run("student", s, v) for s, v in enumerate((40, 50))]
    runs += [run("stat", s, v) for s, v in enumerate((35, 47))]
    lines = lines_of(runs, ("student", "stat"))
    text, code = markdown(lines), latex(lines, "A title")
    assert text.count("\n") == 4 and "-4.0 ± 12.7" in text and "42.79" in text
    assert r"$-$4.0 $\pm$ 12.7" in code and r"\caption{A title}" in code
    assert code.count(r"\\") == 3 and "%" not in code.replace(r"\%", "")


def grid(out, seeds=("0", "1"), **options):
    words = ["tables", "--data", str(options.pop("data")), *SMALL, "--device", "cpu"]
    return [*words, "--rows", "student", "stat", "--seeds", *seeds, "--out", str(out)]


def columns(file):
    with file.open(newline="") as lines:
        return [
            {name: value for name, value in line.items() if name != "seconds"}
            for line in csv.DictReader(lines)
        ]


DIES = """
import os, sys
from statkit import training
from statkit.cli.commands import main
write = training.write_atomically
def write_and_die(path, content):
    write(path, content)
    if path.name == "checkpoint.pt" and path.parent.name.startswith(f"{sys.argv[1]}-"):
        os._exit(9)  # at once: no block is left, nothing is written
training.write_atomically = write_and_die
main(sys.argv[2:])
"""


def die_in_training(row, words, cache, **how):
    """Run a command that ends abruptly when a run of ``row`` has done one epoch of four."""
    done = subprocess.run([sys.executable, "-c", DIES, row, *words], **how, stdout=DEVNULL)
    assert done.returncode == 9
    [checkpoint] = cache.glob("runs/*/checkpoint.pt")
    assert checkpoint.parent.name.startswith(f"{row}-")
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 1


def test_a_grid_killed_twice_ends_in_the_same_table(demo_folder, tmp_path, capsys):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for name, killed in (("alone", ()), ("killed", ("student", "stat"))):
        out, cache = tmp_path / name, tmp_path / f"cache-{name}"
        words = [*grid(out, data=demo_folder), "--epochs", "4"]
        own = environment | {"STATKIT_CACHE": str(cache)}
        for row in killed:
            die_in_training(row, words, cache, env=own, cwd=tmp_path)
        command = [sys.executable, "-m", "statkit.cli", *words]
        subprocess.run(command, env=own, cwd=tmp_path, check=True, capture_output=True)
    assert columns(tmp_path / "alone" / "table_3.csv") == columns(tmp_path / "killed/table_3.csv")
    runs = read_results(tmp_path / "alone" / "table_3.csv")
    assert [(r.seed, r.row) for r in runs] == [(s, r) for s in (0, 1) for r in ("student", "stat")]
    assert all(r.table == "3" for r in runs)
    for suffix in (".md", ".tex", ".png", ".json"):
        assert (tmp_path / "alone" / f"table_3{suffix}").stat().st_size > 200


def test_a_grid_over_dask_is_the_same(demo_folder, tmp_path, capsys):
    pytest.importorskip("distributed")
    assert main([*grid(tmp_path / "here", ("0",), data=demo_folder)]) == 0
    spread = [*grid(tmp_path / "dask", ("0",), data=demo_folder), "--dask", "local"]
    assert main([*spread, "--workers", "1"]) == 0
    assert columns(tmp_path / "here/table_3.csv") == columns(tmp_path / "dask/table_3.csv")
    assert "Dask: 1 workers" in capsys.readouterr().out


def test_shipped_runs_are_found_by_the_name_of_their_clips(dataset):
    """The lessons draw tables from them; clips of another version or make have none."""
    for name in ("1", "2", "3", "labels"):
        assert {run.row for run in published_runs(f"demo-v{VERSION}", name)} >= set(
            TABLES[name].rows[:2]
        )
    assert {"teacher", "student", "stat"} <= {
        run.row for run in published_runs("clips_160x120", "3")
    }
    assert published_runs(dataset.name, "3") == []
