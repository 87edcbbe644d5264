import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from statkit.cli.commands import main
from statkit.experiments.claims import CLAIMS, TESTS, NotReached
from statkit.experiments.grid import TABLES
from statkit.experiments.knobs import knobs_of
from statkit.experiments.ledger import NOTHING, ledger, verdict
from statkit.experiments.results import (
    Estimate,
    Result,
    comparable,
    estimate,
    holm,
    p_value,
    read_results,
)
from statkit.experiments.results import gain as gain_of
from statkit.experiments.rows import PROBES, ROWS
from statkit.experiments.tables import lines_of, markdown
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
    assert verdict(Estimate(3, 1, 5), "supported") == "supported"
    assert verdict(Estimate(3, 4, 5)) == NOTHING
    assert "opposite" in verdict(Estimate(-3, 1, 5))
    assert "one run" in verdict(Estimate(3, float("inf"), 1))
    assert verdict(Estimate(3, 1, 5), level=0.06) == NOTHING


def test_the_p_value_is_that_of_a_t_test():
    from scipy.stats import ttest_1samp

    for values in ([1, 2, 4, 3], [-5, -1, -2], [0.1, -0.1, 0.3]):
        assert p_value(estimate(values)) == pytest.approx(ttest_1samp(values, 0).pvalue)
    assert p_value(Estimate(0, 0, 3)) == 1 and p_value(Estimate(2, 0, 3)) == 0
    assert p_value(Estimate(1, 1, 4)) == pytest.approx(0.05)  # the interval ends at 0


def test_seeds_of_one_split_are_not_new_clips():
    """Three splits with three seeds each: an interval with two degrees of freedom, not eight."""
    gains = {1: (5, 6, 7), 2: (0, 1, 2), 3: (-2, -1, 0)}
    runs = [
        replace(run(row, seed, 40 + (gain if row == "stat" else 0)), split=split)
        for split, here in gains.items()
        for seed, gain in enumerate(here)
        for row in ("student", "stat")
    ]
    assert gain_of(runs, "stat", "student") == estimate([6, 1, -1])
    line = lines_of(runs, ["stat"])[0]
    assert line.gain == estimate([6, 1, -1]) and line.prec1 == estimate([46, 41, 39])
    assert line.runs == 9 and "| 9 |" in markdown([line])
    # One seed a split, or one split: every run counts.
    first = [one for one in runs if one.seed == 0]
    assert gain_of(first, "stat", "student") == estimate([5, 0, -2])
    third = [one for one in runs if one.split == 3]
    assert gain_of(third, "stat", "student") == estimate([-2, -1, 0])


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.6]) == [1, 1] and holm([]) == []


def test_every_claim_has_a_test_or_a_reason():
    for claim in CLAIMS:
        assert bool(claim.test) != bool(claim.reason)
        if claim.test:
            assert claim.test in TESTS and claim.row in ROWS and claim.table in TABLES
            assert not claim.baseline or claim.baseline in ROWS
    assert len({claim.words for claim in CLAIMS}) == len(CLAIMS)


def test_the_ledger_by_hand():
    runs = [run("student", s, v, on_actor=1.0) for s, v in enumerate((40, 41, 42))]
    runs += [run("stat", s, v, on_actor=1.5) for s, v in enumerate((50, 52, 54))]
    runs += [run(r, 0, v, "2", resolution=size) for r, size, v in (
        ("student", "6x8", 10), ("stat", "6x8", 30), ("student", "24x32", 60), ("stat", "24x32", 65)
    )]  # fmt: skip
    whole = ledger({"x": runs})
    assert "Tables on x" in whole and "| Student | 6x8 | 10.0 (one run)" in whole
    text = whole.splitlines()
    start = text.index("| --- | --- | --- | --- | --- | --- |") + 1
    found = zip(CLAIMS, text[start : start + len(CLAIMS)], strict=True)
    lines = {claim.words: line for claim, line in found}
    helps = lines["Transfer (SAT+TAT) helps the student"]
    assert "+11.0 ± 2.5, n = 3 | reproduced | reproduced (p 0.003)" in helps
    assert "2 claims were tested with more than one run" in whole
    assert "+15.0 (one run)" in next(
        line for words, line in lines.items() if "gain shrinks" in words
    )
    assert "`statkit tables --table 3 --data ...`" in lines["SAT alone helps the student"]
    assert "--table 1" in lines["Rolling weights are better than fixed weights"]
    unseen = [replace(one, on_actor=None) for one in runs]
    assert ledger({"x": unseen}).count("actor, action and scene are known") == 3
    assert any("+0.50" in line for words, line in lines.items() if "to the actor" in words)


def test_from_scratch_is_tested_where_the_other_rows_are_pretrained():
    [claim] = [claim for claim in CLAIMS if "random weights" in claim.words]
    runs = [run("student", 0, 40), run("stat", 0, 47)]
    with pytest.raises(NotReached, match="the first claim says it"):
        claim.measured_on(runs)
    tuned = json.dumps({"config": {"pretrained": True}})
    runs = [replace(one, parameters=tuned) for one in runs]
    with pytest.raises(ValueError, match="no seed has"):
        claim.measured_on(runs)
    more = [run("student_scratch", 0, 20), run("stat_scratch", 0, 23)]
    assert claim.measured_on(runs + more).mean == 3


def test_few_labels_are_compared_with_as_few():
    runs = [run("student", 0, 10, "labels", labelled=4), run("stat", 0, 15, "labels", labelled=4)]
    runs += [run("student", 0, 20, "labels", labelled=16), run("stat", 0, 50, "labels")]
    lines = [line for line in ledger({"x": runs}).splitlines() if "| 8 |" in line]
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
    there, counted = (claim.measured_on for claim in CLAIMS if "equal wall-clock" in claim.words)
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
    assert main(["claims", "--out", str(tmp_path / "CLAIMS.md")]) == 0
    written = (tmp_path / "CLAIMS.md").read_text()
    assert written == (ROOT / "CLAIMS.md").read_text() and "| Teacher (HR) | 72x96 |" in written
    readme = " ".join((ROOT / "README.md").read_text().split())
    told = ("figures/README.md", "notebooks/11_when_it_helps.ipynb")
    for text in (readme, *((ROOT / name).read_text(encoding="utf-8") for name in told)):
        for number in re.findall(r"\d+\.\d ± \d+\.\d", text):
            assert number in written, number
    counts = [re.findall(r"(\d+)(?: claims|; after|\. If)", line) for line in written.splitlines()]
    (tested, plain, strict), (real, few, fewer) = [found for found in counts if len(found) == 3]
    assert f"Of {tested} claims tested on generated clips, {plain} hold at 95 %" in readme
    assert (
        f"{strict} after Holm's adjustment; of {real} on real clips, {few} and {fewer};" in readme
    )


def test_runs_of_a_3d_network_have_claims_and_a_table_of_their_own():
    """The same rows and seeds as those of the 2-D network, which gains 10."""
    flat = [run(row, s, v + s) for row, v in (("student", 40), ("stat", 50)) for s in (0, 1, 2)]
    deep = [replace(one, backbone="demo_r2plus1d", prec1=one.prec1 / 2) for one in flat]
    more = [replace(one, row="flow", table="4") for one in deep[:3]]
    small = json.dumps({"config": {"student_size": [36, 48]}})
    deep = [replace(one, parameters=small) for one in [*deep, *more]]
    assert comparable([*flat, *deep]) == [*flat, *deep]  # of two sizes, and of two networks
    whole = ledger({"x": [*flat, *deep]})
    lines = {line.split(" | ")[0][2:]: line for line in whole.splitlines()}
    assert "| +10.0 ± 0.0, n = 3 |" in lines["Transfer (SAT+TAT) helps the student"]
    assert "| +5.0 ± 0.0, n = 3 |" in lines["Transfer (SAT+TAT) helps the student, 3-D network"]
    assert "--table 4 --backbone r2plus1d_18" in lines["Transfer helps two streams"]
    two, three = re.findall(r"\*\*Table 3.*?\| Student [^\n]*", whole, re.DOTALL)
    assert "enlarged to 36x48 pixels." in three and "students see" not in two  # not known there
    assert "3-D network" in three and "48.95 |" in three and "20.5 ± 1.2" in three
    assert "3-D" not in two and "42.79 |" in two and "41.0 ± 2.5" in two
    assert "**Table 4: two streams, 3-D network.**" in whole


@pytest.mark.parametrize("name", [file.stem for file in SHIPPED.glob("*.csv")])
def test_the_committed_runs_are_whole(name):
    runs = read_results(SHIPPED / f"{name}.csv")
    assert runs
    seen = set()
    for one in runs:
        assert one.row in ROWS or one.row in PROBES
        assert 0 <= one.prec1 <= one.prec5 <= 100 and one.fingerprint
        size = str(one.config.get("student_size"))
        key = (one.table, one.row, one.resolution, one.labelled, one.seed, one.split, size)
        key += (one.backbone, *knobs_of(one).values()) if one.table == "knobs" else ()
        assert key not in seen, f"twice: {key}"
        seen.add(key)
