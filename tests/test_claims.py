import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from statkit.cli.commands import main
from statkit.experiments.claims import CLAIMS, NotReached
from statkit.experiments.ledger import fill_in, ledger, verdict
from statkit.experiments.results import Estimate, Result, read_results
from statkit.experiments.rows import ROWS
from statkit.shipped import SHIPPED

ROOT = Path(__file__).resolve().parent.parent


def run(row, seed, prec1, table="3", **more):
    place = {"resolution": more.pop("resolution", "12x16"), "seed": seed, "split": 1}
    return Result(
        row, "demo", **place, prec1=prec1, prec5=90, epochs=20, seconds=1.0, device="cpu",
        fingerprint="f", table=table, **more,
    )  # fmt: skip


def test_a_verdict_is_the_interval():
    assert verdict(Estimate(3, 1, 5)) == "reproduced"
    assert "holds 0" in verdict(Estimate(3, 4, 5))
    assert "opposite" in verdict(Estimate(-3, 1, 5))
    assert "one run" in verdict(Estimate(3, float("inf"), 1))


def test_every_claim_has_a_test_or_a_reason():
    for claim in CLAIMS:
        assert (claim.test is None) == bool(claim.reason)


def test_the_ledger_by_hand():
    runs = [run("student", s, v, on_actor=1.0) for s, v in enumerate((40, 41, 42))]
    runs += [run("stat", s, v, on_actor=1.5) for s, v in enumerate((50, 52, 54))]
    runs += [run(r, 0, v, "2", resolution=size) for r, size, v in (
        ("student", "6x8", 10), ("stat", "6x8", 30), ("student", "24x32", 60), ("stat", "24x32", 65)
    )]  # fmt: skip
    whole = ledger({"x": runs})
    assert "Tables on x" in whole and "| Student | 6x8 | 10.0 (one run)" in whole
    text = whole.splitlines()
    start = text.index("| --- | --- | --- | --- | --- |") + 1
    found = zip(CLAIMS, text[start : start + len(CLAIMS)], strict=True)
    lines = {claim.words: line for claim, line in found}
    helps = lines["Transfer helps the student"]
    assert "+11.0 ± 2.5, 3 runs | reproduced" in helps
    assert "+15.0 (one run)" in lines["The gain shrinks as resolution grows (6x8 less 24x32)"]
    assert "`statkit tables --table 3 --data ...`" in lines["SAT alone helps"]
    assert "--table 1" in lines["Rolling weights beat fixed ones"]
    unseen = [replace(one, on_actor=None) for one in runs]
    assert ledger({"x": unseen}).count("are not known of these clips") == 2
    assert "+0.50" in lines["The student's attention moves to the actor (last block, 1 is blind)"]


def test_from_scratch_is_the_rows_themselves_where_nothing_is_pretrained():
    [claim] = [claim for claim in CLAIMS if "random weights" in claim.words]
    runs = [run("student", 0, 40), run("stat", 0, 47)]
    assert claim.test(runs).mean == 7
    tuned = json.dumps({"config": {"pretrained": True}})
    runs = [replace(one, parameters=tuned) for one in runs]
    with pytest.raises(ValueError, match="no seed has"):
        claim.test(runs)
    more = [run("student_scratch", 0, 20), run("stat_scratch", 0, 23)]
    assert claim.test(runs + more).mean == 3


def test_few_labels_are_compared_with_as_few():
    runs = [run("student", 0, 10, "labels", labelled=4), run("stat", 0, 15, "labels", labelled=4)]
    runs += [run("student", 0, 20, "labels", labelled=16), run("stat", 0, 50, "labels")]
    lines = [line for line in ledger({"x": runs}).splitlines() if "lesson 8" in line]
    assert [("+5.0 (one run)" in line) for line in lines[:2]] == [False, True]


def test_equal_time_by_hand():
    """The plain student goes from 40 to 46 points between 10 and 30 seconds; transfer takes 12, and
    22 with its teacher: 40.6 and 43.6 points. Slower runs of the same rows change nothing."""
    times = {"teacher": 10.0, "student": 10.0, "student_converged": 30.0, "stat": 12.0}
    reached = {"teacher": 90, "student": 40, "student_converged": 46, "stat": 50}
    runs = [
        replace(run(row, seed, reached[row] + seed), seconds=times[row] * slower)
        for row in times
        for seed, slower in ((0, 2.5), (1, 1), (2, 1.5))
    ]
    there, counted = (claim.test for claim in CLAIMS if "equal wall-clock" in claim.words)
    assert there(runs).mean == pytest.approx(50 - 40.6) and there(runs).runs == 3
    assert counted(runs).mean == pytest.approx(50 - 43.6)
    slow = [replace(r, seconds=4 * r.seconds) if r.row == "teacher" else r for r in runs]
    assert there(slow) == there(runs)
    with pytest.raises(NotReached, match="takes 52 s, the longest plain student 30 s"):
        counted(slow)
    assert "cannot be tested here: it takes 52 s" in ledger({"x": slow})
    quick = [replace(r, seconds=5.0) if r.row == "stat" else r for r in runs]
    assert there(quick).mean == pytest.approx(50 - 40)  # never against less than the student's own
    with pytest.raises(ValueError, match="no seed has"):
        there([r for r in runs if r.row != "student_converged"])


def test_the_ledger_in_the_repository_is_what_the_runs_say(tmp_path):
    files = {"--out": "CLAIMS.md", "--readme": "README.md"}
    shutil.copy(ROOT / "README.md", tmp_path)
    where = [word for option, file in files.items() for word in (option, str(tmp_path / file))]
    assert main(["claims", *where]) == 0
    for file in files.values():
        assert (tmp_path / file).read_text() == (ROOT / file).read_text()
    assert "| Teacher (HR) | 72x96 |" in (ROOT / "README.md").read_text()


def test_marked_tables_are_filled_in_and_nothing_else():
    text = "before\n<!-- x, table 3 -->\nold\n<!-- end -->\nafter"
    filled = fill_in(text, {"x": [run("student", 0, 40)]})
    head, table = filled.split("\n\n", 1)
    assert head == "before\n<!-- x, table 3 -->" and table.endswith("|\n\n<!-- end -->\nafter")
    assert "| Student | 12x16 | 40.0 (one run)" in table and "old" not in table
    assert fill_in(filled, {"x": [run("student", 0, 40)]}) == filled


@pytest.mark.parametrize("name", ["demo", "ucf101_8"])
def test_the_committed_runs_are_whole(name):
    runs = read_results(SHIPPED / f"{name}.csv")
    assert runs
    seen = set()
    for one in runs:
        assert one.row in ROWS or one.row.startswith("linear_probe")
        assert 0 <= one.prec1 <= one.prec5 <= 100 and one.fingerprint
        key = (one.table, one.row, one.resolution, one.labelled, one.seed, one.split)
        assert key not in seen, f"twice: {key}"
        seen.add(key)
