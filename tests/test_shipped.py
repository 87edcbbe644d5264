"""The networks that ship: they fit the code and the settings of today, and a lesson takes them."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from ship import ROOM, name_now, outputs_now, settings_of, write

from data_prep.demo import VERSION
from statkit import shipped
from statkit.experiments import Experiment
from statkit.experiments.results import comparable, published_runs, read_results
from statkit.experiments.rows import ROWS
from statkit.experiments.runs import run_name
from statkit.experiments.settings import DEMO
from statkit.shipped import SHIPPED, manifest, pack, shipped_weights, unpack

STALE = "the networks that ship are stale: train their rows, then python -m tests.ship"


@pytest.mark.parametrize("name", list(manifest()))
def test_names_and_outputs_are_those_of_today(name):
    entry = manifest()[name]
    assert entry["data"] == f"demo-v{VERSION}" and name_now(entry) == name, STALE
    outputs = outputs_now(entry, shipped_weights(name))
    assert outputs == pytest.approx(np.array(entry["outputs"]), abs=2e-3), STALE
    assert abs(entry["result"]["prec1"] - entry["prec1_before_rounding"]) < 1
    assert len(entry["history"]) == entry["result"]["epochs"]
    assert entry["revision"] and entry["command"].startswith("statkit ")


def test_the_teacher_and_the_rows_of_table_3_ship_and_are_small():
    rows = {entry["row"] for entry in manifest().values() if entry["lr_size"] == [12, 16]}
    assert {"teacher", "student", "sat", "tat", "stat"} <= rows
    files = {file.stem: file.stat().st_size for file in SHIPPED.glob("*.npz")}
    assert files.keys() == manifest().keys() and sum(files.values()) < ROOM


def test_rounding_keeps_eight_bits(rng):
    values = rng.normal(size=(40, 50)).astype(np.float32)
    assert np.abs(unpack(pack(values)) / values - 1).max() < 2**-8
    assert pack(values[0]) is not None and np.array_equal(unpack(pack(values[0])), values[0])


def test_a_written_network_is_read_again(rng, tmp_path, monkeypatch):
    states = {"a.weight": rng.normal(size=(5, 7, 3)), "b": np.arange(4.0), "n": np.array(3)}
    kinds = {"a.weight": np.float32, "b": np.float32, "n": np.int64}
    states = {name: values.astype(kinds[name]) for name, values in states.items()}
    write(tmp_path / "net.npz", {name: pack(values) for name, values in states.items()})
    about = {"net": {"sha256": hashlib.sha256((tmp_path / "net.npz").read_bytes()).hexdigest()}}
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)
    monkeypatch.setattr(shipped, "manifest", lambda: about)
    found = shipped_weights("net")
    assert found.keys() == states.keys() and found["n"] == 3 and found["n"].dtype == np.int64
    assert all(np.allclose(found[name], states[name], rtol=2**-8) for name in states)


def test_an_experiment_takes_what_ships_and_says_so(dataset, monkeypatch, capsys):
    name, entry = next((n, e) for n, e in manifest().items() if e["row"] == "teacher")
    demo = replace(dataset, fingerprint=entry["data_fingerprint"])
    experiment = Experiment(demo, settings_of(entry), entry["seed"], progress=False)
    assert experiment.trained("teacher")
    network = experiment.network("teacher")
    assert "a network that ships with the kit" in capsys.readouterr().out
    assert np.array_equal(network.head.weight.detach(), shipped_weights(name)["head.weight"])
    assert experiment.result("teacher").prec1 == entry["result"]["prec1"]
    assert experiment.history("teacher") == entry["history"]
    fresh = Experiment(demo, settings_of(entry), entry["seed"], fresh=True, progress=False)
    other = Experiment(demo, settings_of(entry), entry["seed"] + 1, progress=False)
    assert not fresh.trained("teacher") and not other.trained("teacher")


def test_a_damaged_file_is_told(tmp_path, monkeypatch):
    name = next(iter(manifest()))
    data = bytearray((SHIPPED / f"{name}.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / f"{name}.npz").write_bytes(data)
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)
    with pytest.raises(ValueError, match="damaged"):
        shipped_weights(name)


def test_the_teacher_s_size_spelled_out_is_the_same_run():
    about = {"clips": "x"}
    sizes = (None, DEMO.frames.hr_size, (144, 192))
    names = {run_name("stat", ROWS, replace(DEMO, student_size=s), 0, **about) for s in sizes}
    half = run_name("stat", ROWS, replace(DEMO, student_size=(36, 48)), 0, **about)
    assert len(names) == 1 and half not in names


def test_runs_of_two_student_sizes_are_not_mixed():
    """The runs at the teacher's size replace the others when all rows have three seeds."""
    shipped = [run for run in read_results(SHIPPED / "demo.csv") if run.table == "3"]
    old = [run for run in shipped if run.config["student_size"]]
    new = [replace(run, parameters='{"config": {"student_size": null}}') for run in old]
    three = [run for run in new if run.seed < 3]
    assert comparable(old) == comparable([*old, *three[1:]]) == old
    assert comparable([*old, *three]) == three and comparable([*old, *new]) == new
    strides = published_runs("demo-v4", "strides")
    assert {"student", "student_half", "stat", "stat_half"} <= {run.row for run in strides}
