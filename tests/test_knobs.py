"""The knob experiment: its conditions, its hypotheses, and the forecast that is fitted on it."""

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import stdtr, stdtrit

import data_prep
from data_prep import DEMO_SIZES
from data_prep.film import DEFAULT as DEFAULT_KNOBS
from data_prep.film import KNOB_RANGES, Knobs
from statkit.cli.commands import main
from statkit.experiments import plan as planning
from statkit.experiments.conditions import Summary, summaries, summary
from statkit.experiments.forecast import (
    CANNOT_SAY,
    DO_NOT_BOTHER,
    LEAST,
    NEXT,
    PENALTIES,
    TRAIN_IT,
    ForecastModel,
    forecasts,
    gap_error,
    predictors,
    real_runs,
    real_sets,
    shipped_model,
    words_for,
)
from statkit.experiments.hypotheses import HYPOTHESES, TESTS, left_out_errors, slope, weaker
from statkit.experiments.knobs import (
    DEFAULTS,
    KNOBS,
    PASSES,
    VALUES,
    conditions,
    jobs,
    knobs_of,
    missing,
    runs_of,
)
from statkit.experiments.ledger import hypotheses, ledger
from statkit.experiments.results import Estimate, Result, p_value, read_results, write_results
from statkit.experiments.rows import ROWS
from statkit.experiments.settings import DEMO
from statkit.plots.knobs import AXES, draw_knob, draw_sets


def run(row, seed, prec1, knobs="", backbone="demo", config=None, **more):
    made = {"dataset": "demo-v4" + knobs, "config": config or {}}
    return Result(
        row, backbone, "12x16", seed, 1, prec1, 90, 50, 1.0, "cpu", "f", table="knobs",
        parameters=json.dumps(made), **more,
    )  # fmt: skip


def condition(knobs, gains, gap=50.0, specific=0.5, spread=0.1, rows=("sat", "tat", "stat")):
    """Runs of one condition, a seed per gain; every transfer row has the same gain."""
    about = {"specific": specific, "from_blind": 0.6, "from_equal": 0.2}
    runs = []
    for seed, gain in enumerate(gains):
        about["spread"] = spread + 0.004 * seed * bool(knobs)
        runs += [run("teacher", seed, 30 + gap, knobs, **about), run("student", seed, 30, knobs)]
        runs += [run(row, seed, 30 + gain, knobs) for row in rows]
    return runs


def test_the_values_are_knobs_of_the_clips_and_the_defaults_are_theirs():
    assert set(VALUES) == set(KNOB_RANGES) and KNOBS[-1] == "pretraining"
    for knob, values in VALUES.items():
        assert len(values) == 5 and DEFAULTS[knob] == getattr(DEFAULT_KNOBS, knob) in values
    for one in conditions(KNOBS, DEMO):
        Knobs.read(one.source.partition(":")[2])


def test_every_condition_is_there_once_and_takes_as_many_steps():
    found = conditions([knob for knob in KNOBS if knob != "pretraining"], DEMO)
    assert len(found) == len(set(found)) == 5 * 4 + 1
    assert found[0].source == "demo" and found[1].source == "demo:scene=0.1"
    assert all(one.config.student_size == (36, 48) for one in found)
    for one in found:
        clips = Knobs.read(one.source.partition(":")[2]).clips
        steps = one.config.recipe.epochs * clips / DEMO.recipe.batch_size
        assert steps == pytest.approx(50 * 768 / 32, rel=0.05)
    cross = conditions(["pretraining"], DEMO)
    kinds = {(c.source, c.config.pretrained, c.config.student_pretrained) for c in cross}
    assert len(kinds) == len(cross) == 8 and all(c.config.recipe.epochs == 10 for c in cross)


def test_jobs_go_seed_by_seed_and_the_later_rows_come_last():
    few = conditions(["scene"], DEMO)
    work = jobs(few, [0, 1])
    assert [(job.seed, job.rows) for job in work] == [
        (seed, rows) for seed in (0, 1) for rows in PASSES for _ in few
    ]
    assert [job.probe for job in work] == [True] * 5 + [False] * 15
    assert sum(len(job) for job in work) == 5 * (2 * 5 + 1)
    assert {job.rows for job in jobs(few, [0], ["stat"])} == {("stat",)}


def test_the_knobs_of_a_run_are_read_from_it():
    assert knobs_of(run("stat", 0, 1, "-scene=0.5-clips=1536"))["clips"] == 1536
    small = knobs_of(run("stat", 0, 1, f"-scene={1e-5:g}-clips=1536"))
    assert (small["scene"], small["clips"]) == (1e-5, 1536)
    assert knobs_of(run("stat", 0, 1)) == DEFAULTS | {"teacher": False, "student": False}
    apart = {"pretrained": True, "student_pretrained": False}
    found = knobs_of(run("stat", 0, 1, config=apart))
    assert found["teacher"] and not found["student"]
    runs = condition("", [9]) + condition("-scene=0.5", [1]) + condition("-idle=0", [2])
    runs += [run("stat", 0, 1, "-scene=1", backbone="resnet18")]
    assert list(runs_of(runs, "scene")) == [0, 0.5]
    assert list(runs_of(runs, "idle")) == [0, 0.535]
    assert missing(runs, "scene", ["stat", "ut"]) == ["0 (ut)", "0.1", "0.25", "0.5 (ut)", "1"]
    assert missing(runs, "idle", ["stat"]) == ["0.25", "0.7", "0.85"]


def test_a_slope_within_seeds_by_hand():
    """Two seeds of different levels, y = 2 x without errors, then with one of -1, 2, -1."""
    exact = slope({0: [(0, 1), (1, 3), (2, 5)], 1: [(0, 11), (1, 13), (2, 15)]})
    assert exact.mean == pytest.approx(2) and exact.half_width == pytest.approx(0, abs=1e-9)
    bent = slope({0: [(0, 0), (1, 5), (2, 4)], 1: [(0, 10), (1, 12), (2, 14)]})
    # The residuals are (-1, 2, -1) and 0: 6 over 3 degrees of freedom; sum of squares of x: 4.
    assert bent.mean == pytest.approx(2) and bent.runs == 4
    assert bent.half_width == pytest.approx(3.1824 * math.sqrt(6 / 3 / 4), rel=1e-3)
    from scipy.stats import linregress

    x, y = np.arange(6.0), np.array([1, 3, 2, 5, 4, 7.0])
    one = slope({0: list(zip(x, y, strict=True))})
    assert p_value(one) == pytest.approx(linregress(x, y).pvalue)
    with pytest.raises(ValueError, match="two values"):
        slope({0: [(1, 2)]})


def test_left_out_errors_by_hand():
    assert left_out_errors(np.arange(4.0), 3 * np.arange(4.0)) == pytest.approx([0] * 4, abs=1e-9)
    assert left_out_errors(np.arange(3.0), np.array([0, 0, 1.0]))[2] == pytest.approx(1)


def measured():
    """A world in which the hypotheses hold: a gain of 10 points times what is specific."""
    runs = condition("", [9, 10, 11])
    for scene, drop in ((0.1, 1), (0.25, 3), (0.5, 6), (1, 9)):
        gains = [10 - drop + noise for noise in (-1.1, 0.2, 0.9)]
        runs += condition(f"-scene={scene:g}", gains, specific=0.5 - drop / 20, spread=0.1 / drop)
    for actor, gain in ((0.5, 1), (0.7, 5), (0.85, 8), (1.3, 2)):
        noisy = [gain - 0.3, gain, gain + 0.4]
        runs += condition(f"-actor={actor:g}", noisy, gap=5 * gain, specific=gain / 20)
    return runs


def test_the_hypotheses_on_runs_that_hold_them():
    runs = measured()
    found = {one.name: one for one in HYPOTHESES}
    assert len(found) == 8 and {one.test for one in HYPOTHESES} == set(TESTS)
    assert all(one.row in ROWS for one in HYPOTHESES)
    falls = found["H1"].measured_on(runs)
    assert falls.mean - falls.half_width > 0 and falls.runs == 15 - 3
    assert found["H2"].measured_on(runs).mean == pytest.approx(0.1 - 0.1 / 9 - 0.004)  # the weights
    best = found["H8"].measured_on(runs)
    assert best.mean == pytest.approx(10 - 61 / 30, abs=0.1)  # against actor = 1.3
    for name in ("H3", "H4", "H5", "H6"):
        with pytest.raises(ValueError):
            found[name].measured_on(runs)
    text = hypotheses(runs)
    lines = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| H")}
    assert "supported" in lines["H1"] and "not tested yet" in lines["H3"]
    assert " unit of scene | 11 | supported" in lines["H1"]  # 15 runs, 3 seeds, 1 slope
    assert "| +0.08 ± 0.01 distance lost | 2 |" in lines["H2"]
    assert "SAT+TAT: 9; seeds: 0, 1, 2 (9 with 3 each)" in text
    mixed = hypotheses([*condition("", [9, 10]), *condition("-idle=0", [1])])
    assert "SAT+TAT: 2; seeds: 0, 1 (1 with 2 each, 1 with 1 each)" in mixed
    assert "| scene=1 | 80.0 ± 0.0 | 30.0 ± 0.0 | +1.0 ± 2.5 |" in text
    # Opposite signs are told, too.
    worse = [replace(r, prec1=2 * 30 - r.prec1) if r.row == "stat" else r for r in runs]
    assert "opposite" in hypotheses(worse).split("| H1 |")[1].splitlines()[0]


def test_of_two_differences_the_weaker_is_the_one_with_the_greater_p_value():
    """The lower end of an interval is in points; how sure a difference is, is not."""
    sure, unsure = Estimate(0.05, 0.01, 3), Estimate(0.2, 0.1, 3)
    assert weaker([sure, unsure]) == unsure == weaker([unsure, sure])  # 0.04 is less than 0.1
    below = Estimate(-1, 0.1, 3)
    assert weaker([unsure, below]) == below
    single = Estimate(9, math.inf, 1)
    assert weaker([sure, single]) == single


def test_a_maximum_between_two_ends_needs_both_ends():
    [eighth] = [one for one in HYPOTHESES if one.name == "H8"]
    runs = [one for one in measured() if knobs_of(one)["actor"] != 1.3]
    with pytest.raises(ValueError, match="not at 1.3"):
        eighth.measured_on(runs)
    ends = [one for one in measured() if knobs_of(one)["actor"] in (0.5, 1.3)]
    with pytest.raises(ValueError, match="at no value between"):
        eighth.measured_on(ends)


def test_pretraining_is_told_apart_from_the_clips():
    both = {"pretrained": True, "student_pretrained": True}
    about = {"backbone": "resnet18", "config": both}
    runs = [
        run(row, s, v + s, **about) for s in range(3) for row, v in (("student", 20), ("stat", 26))
    ]
    [third] = [one for one in HYPOTHESES if one.name == "H3"]
    assert third.measured_on(runs).mean == 6
    runs = [run("teacher", 0, 70, specific=0.2, spread=0.1, **about), *runs]
    assert [one.name for one in summaries(runs)] == ["teacher ImageNet, student ImageNet"]


def world(count, seed=0):
    """Conditions in which the gain is a twentieth of the product of gap and specificity."""
    rng, found = np.random.default_rng(seed), []
    for number in range(count):
        gap, specific = rng.uniform(5, 60), rng.uniform(0.1, 0.6)
        features = {"gap": gap, "specific": specific, "spread": rng.uniform(0, 0.15)}
        gain = 0.5 * gap * specific + rng.normal(0, 0.3)
        found.append(Summary(str(number), features, Estimate(gain, 1.0, 3)))
    return found


def test_a_forecast_on_a_world_that_it_can_learn():
    model = ForecastModel(world(24))
    assert np.abs(model.errors).mean() < 1 < np.abs(model.baseline).mean()
    inside = 0
    for one in world(40, seed=1):
        low, high = model(one.features).interval
        inside += low <= one.gain.mean <= high
    assert inside >= 34
    assert model({"gap": 50, "specific": 0.5, "spread": 0.1}).words == TRAIN_IT
    assert model({"gap": 3, "specific": 0.1, "spread": 0.01}).words != TRAIN_IT
    far = model({"gap": 400, "specific": 0.5, "spread": 0.1})
    near = model({"gap": 30, "specific": 0.3, "spread": 0.1})
    assert far.gain.half_width > near.gain.half_width and "outside" in far.reasons[0]
    # Outside the fitted range the chance alone would say "train it": an answer from nothing.
    assert words_for(far.chance) == TRAIN_IT and far.words == CANNOT_SAY
    assert "left out" in model.text() and not near.reasons


def test_the_chance_and_the_interval_are_of_one_distribution():
    """The 95 % interval ends where the chance of a larger gain would be 2.5 or 97.5 %."""
    model = ForecastModel(world(24))
    for gap in (3, 8, 20):
        found = model({"gap": gap, "specific": 0.2, "spread": 0.1})
        error = found.gain.half_width / stdtrit(22, 0.975)
        assert found.chance == pytest.approx(1 - stdtr(22, (2 - found.gain.mean) / error))
        assert (found.chance > 0.975) == (found.interval[0] > 2)


def test_the_interval_grows_with_the_expected_gain():
    """By hand: its width, without the leverage of the point, is a multiple of |gain| + c."""
    conditions = world(24)
    model, c = ForecastModel(conditions), np.mean([abs(one.gain.mean) for one in conditions])
    x = np.stack([predictors(one.features) for one in conditions])
    z = (x - x.mean(0)) / x.std(0)
    inverse = np.linalg.inv(z.T @ z + model.penalty * np.eye(4))
    units = []
    for gap in (6, 20, 55):
        known = {"gap": gap, "specific": 0.3, "spread": 0.1}
        at = (predictors(known) - x.mean(0)) / x.std(0)
        found = model(known).gain
        leverage = 1 / 24 + at @ inverse @ at
        units.append(found.half_width / (abs(found.mean) + c) / math.sqrt(1 + leverage))
    assert units == pytest.approx([units[0]] * 3)


def test_a_value_a_little_beyond_the_fitted_range_is_not_outside():
    model = ForecastModel(world(24))
    gaps = [one.features["gap"] for one in world(24)]
    span = max(gaps) - min(gaps)
    known = {"gap": max(gaps) + 0.05 * span, "specific": 0.3, "spread": 0.1}
    assert not model(known).reasons
    far = model(known | {"gap": max(gaps) + 0.15 * span})
    assert far.words == CANNOT_SAY and "gap = " in far.reasons[0]


def test_answers_are_counted_on_conditions_that_the_model_never_saw():
    """By hand: a model per condition, fitted to the other conditions."""
    found = world(12)
    model, right, given = ForecastModel(found), Counter(), Counter()
    for out, one in enumerate(found):
        words = ForecastModel(found[:out] + found[out + 1 :])(one.features).words
        given[words] += 1
        right[words] += (one.gain.mean > 2) == (words == TRAIN_IT)
    assert [one.words for one in model.left_out()].count(TRAIN_IT) == given[TRAIN_IT] > 3
    assert f'"{TRAIN_IT}" for {given[TRAIN_IT]} ({right[TRAIN_IT]} right)' in model.text()
    assert f'"{CANNOT_SAY}" for {given[CANNOT_SAY]}.' in model.text()


def test_few_test_clips_widen_a_forecast():
    """By hand: 60 % and 40 % of 16 clips are (0.58, 0.42) with two right and two wrong more."""
    known = {"teacher": 60.0, "student": 40.0, "gap": 20.0, "specific": 0.3, "spread": 0.1}
    shares = (0.6 * 16 + 2) / 20, (0.4 * 16 + 2) / 20
    by_hand = 100 * math.sqrt(sum(share * (1 - share) / 20 for share in shares))
    assert gap_error(known, 16) == pytest.approx(by_hand)
    model = ForecastModel(world(24))
    plain, many, few = model(known), model(known, clips=10**6), model(known, clips=4)
    slope = model({**known, "gap": 21.0}).gain.mean - plain.gain.mean
    added = few.gain.half_width**2 - plain.gain.half_width**2
    assert plain.gain.mean == few.gain.mean and added > 0
    quantile = stdtrit(24 - 2, 0.975)
    assert math.sqrt(added) == pytest.approx(quantile * abs(slope) * gap_error(known, 4))
    assert many.gain.half_width == pytest.approx(plain.gain.half_width, rel=0.02)
    assert not many.reasons and "from 4 test clips" in few.reasons[0]


def missed(z, y, out, penalty):
    """Error at one point of a ridge regression that is fitted to the others."""
    keep = np.arange(len(y)) != out
    centre, mean = z[keep].mean(0), y[keep].mean()
    own = z[keep] - centre
    weights = np.linalg.solve(own.T @ own + penalty * np.eye(4), own.T @ (y[keep] - mean))
    return abs(y[out] - mean - (z[out] - centre) @ weights)


def test_the_errors_are_those_of_models_that_never_saw_the_condition():
    """Scales and penalty, too, come from the other conditions."""
    found = world(12)
    x = np.stack([[*(one.features[n] for n in ("gap", "specific", "spread"))] for one in found])
    x = np.column_stack([x, x[:, 0] * x[:, 1]])
    y = np.array([one.gain.mean for one in found])
    for out, error in enumerate(ForecastModel(found).errors):
        keep = np.arange(len(y)) != out
        z = (x - x[keep].mean(0)) / x[keep].std(0)
        least = min(
            PENALTIES,
            key=lambda p, z=z[keep], y=y[keep]: sum(missed(z, y, i, p) ** 2 for i in range(len(y))),
        )
        assert missed(z, y, out, least) == pytest.approx(error)


def test_a_forecast_from_little_says_so():
    few = ForecastModel(world(LEAST - 1))
    found = few({"gap": 30, "specific": 0.3, "spread": 0.1})
    assert found.words == CANNOT_SAY and found.gain is None and "too few" in found.reasons[0]
    assert "statkit tables" in few.text() and ForecastModel([])({}).words == CANNOT_SAY
    unknown = summary("x", [run("teacher", 0, 70), run("student", 0, 50)])
    found = ForecastModel(world(24))(unknown.features)
    assert found.words == CANNOT_SAY and "specific, spread" in found.reasons[0]
    answers = [TRAIN_IT, DO_NOT_BOTHER, CANNOT_SAY]
    assert [words_for(chance) for chance in (0.81, 0.19, 0.5)] == answers


def test_forecasts_stand_beside_what_was_measured():
    """A set with the gain that the model expects, one 100 points away, and one without a gain."""
    model, sets = ForecastModel(world(24)), world(3)
    expected = [model(one.features).gain.mean for one in sets]
    far = Estimate(expected[1] + 100, 1, 3)
    sets[0] = replace(sets[0], name="a", gain=Estimate(expected[0], 1, 3))
    sets[1:] = [replace(sets[1], name="b", gain=far), replace(sets[2], name="c", gain=None)]
    rows, how_often = forecasts(model, sets)
    assert [row[0] for row in rows] == ["set", "a", "b", "c"] and rows[3][4] == "not measured"
    assert "on 1 of 2 sets" in how_often and "misses it by 50.0 points" in how_often
    assert f"misses it by {(abs(expected[0]) + abs(far.mean)) / 2:.1f}, and" in how_often
    guess = np.mean([one.gain.mean for one in world(24)])
    by = (abs(expected[0] - guess) + abs(far.mean - guess)) / 2
    assert f"(+{guess:.1f}) by {by:.1f}. The answers: " in how_often
    unknown = replace(sets[0], features=sets[0].features | {"spread": math.nan})
    assert forecasts(model, [*sets, unknown])[1] == how_often  # no forecast, so not compared
    assert "No forecast" in forecasts(ForecastModel([]), sets)[1]
    text = ledger({}, measured(), {"a": [run("student", 0, 40), run("stat", 0, 41)]})
    assert "| set | student | SAT+TAT |" in text  # columns that nothing fills are left out
    assert "| a | 40.0 (one run) | +1.0 (one run) |" in text and "of epochs: a: 1, " in text


def test_variants_of_a_real_set_are_sets_of_their_own(tmp_path):
    """A set with its default recipe, 30 epochs, and a variant with another temporal module."""

    def real(row, prec1, **choices):
        recipe = {"epochs": 30, "tam_rate": None}
        config = {"choices": {"tam": "stacked"} | choices, "recipe": recipe, "split": 1}
        made = json.dumps({"dataset": "ut", "config": config})
        return replace(run(row, 0, prec1, backbone="resnet18"), table="3", parameters=made)

    runs = [real("student", 40), real("stat", 42)]
    runs += [real("student", 30, tam="shared"), real("stat", 39, tam="shared")]
    write_results(tmp_path / "real_ut.csv", runs)
    found = real_runs(tmp_path)
    assert {name: summary(name, r).gain.mean for name, r in found.items()} == {
        "ut": 2, "ut, tam shared": 9
    }  # fmt: skip
    write_results(tmp_path / "real_ut_again.csv", [real("stat", 44)])
    with pytest.raises(ValueError, match="ut: 2 runs of stat with seed 0"):
        real_runs(tmp_path)
    assert all(", " not in name for name in real_runs())  # the committed runs have the defaults


def test_figures_hold_what_was_measured_and_leave_gaps():
    runs = measured()
    shown = draw_knob(runs, "scene", value=0.5).shown
    assert shown["values"].tolist() == [0, 0.1, 0.25, 0.5, 1]
    assert shown["stat_gain"] == pytest.approx([10, 9, 7, 4, 1]) and shown["specific"][0] == 0.5
    plain = [one for one in runs if one.row != "tat"]
    assert np.isnan(draw_knob(plain, "actor").shown["tat_gain"]).all()
    assert draw_knob([], "clips").alt.count("not measured") == 5
    [real] = world(1)
    real = [replace(real, name="real", features=real.features | {"pixels": math.nan})]
    for across in AXES:
        figure = draw_sets(summaries(runs), real, across=across)
        shown = (0, 0) if across == "pixels" else (9, 1)
        marks = {n: len(a) for n, a in figure.shown.items() if n.endswith("_gain")}
        assert (sum(marks.values()) - marks["real_gain"], marks["real_gain"]) == shown
        assert "; {} conditions of generated clips and {} real sets.".format(*shown) in figure.alt


def test_the_command_runs_conditions_and_goes_on(tmp_path, monkeypatch, capsys):
    """Two rows of the knob "scene" on few clips; a second call trains nothing and adds a row."""
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(VALUES, "scene", (0, 1))
    monkeypatch.setitem(DEMO_SIZES, "demo-small", (48, 24))
    for name in ("_seconds_per_clip", "_seconds_per_look"):  # the plan's clock has its own tests
        monkeypatch.setattr(planning, name, lambda one, row: 1.0)
    small = ["--epochs", "1", "--hr-size", "24x32", "--student-size", "12x16", "--device", "cpu"]
    words = ["tables", "--table", "knobs", "--data", "demo-small", "--knob", "scene", *small]
    words += ["--out", str(tmp_path)]
    assert main([*words, "--rows", "student"]) == 0
    first = read_results(tmp_path / "knobs.csv")
    assert [knobs_of(one)["scene"] for one in first] == [0, 1]
    assert main([*words, "--rows", "student", "teacher"]) == 0
    second = read_results(tmp_path / "knobs.csv")
    assert [one for one in second if one.row == "student"] == first and len(second) == 4
    assert (tmp_path / "knob_scene.png").stat().st_size > 1000
    capsys.readouterr()
    assert main([*words, "--plan"]) == 0
    said = capsys.readouterr().out
    assert "10 results from 10 trainings" in said
    assert main(["tables", "--table", "knobs", "--data", str(tmp_path)]) == 1
    # What is known of generated clips after stage one, the forecast, and its runs in a file.
    kept = tmp_path / "stage_one.csv"
    where = ["--out", str(kept), "--seeds", "0", "0"]
    assert main(["forecast", "--data", "demo-small", *small, *where]) == 0
    said, model = capsys.readouterr().out, shipped_model()
    assert [one.row for one in read_results(kept)] == ["teacher", "student", "pixel_probe"]
    found = model(summary("", read_results(kept)).features, clips=24)
    assert f"expected gain of SAT+TAT: {found.gain.mean:+.1f} points" in said
    assert f"answer: {found.words}\n" in said and model.text() in said
    assert f"chance of more than 2 points: {100 * found.chance:.0f} %" in said
    assert f"\nnext: {NEXT[found.words]}\n" in said
    assert forecasts(model, real_sets())[1] in said
    assert " nan" not in said and "from 24 test clips" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--knob", "scene"], "--knob goes with --table knobs"),
        (["--table", "knobs", "--data", "demo:scene=1"], "name demo, not demo:scene=1"),
        (["--table", "knobs", "--data", "clips/"], "only generated clips have knobs"),
        (["--table", "knobs", "--data", "demo-small", "--knob", "clips"], "needs --data demo"),
    ],
)
def test_words_that_do_not_go_with_the_experiment(words, message, monkeypatch, capsys):
    """One line, before a clip is drawn."""
    monkeypatch.setattr(data_prep, "make_demo", lambda *_, **__: pytest.fail("drew clips"))
    assert main(["tables", "--plan", *words]) == 1
    assert message in capsys.readouterr().err


def test_a_plan_of_clips_with_knobs_draws_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STATKIT_CACHE", str(tmp_path))
    for name in ("_seconds_per_clip", "_seconds_per_look"):
        monkeypatch.setattr(planning, name, lambda one, row: 1.0)
    monkeypatch.setattr(data_prep, "make_demo", lambda *_, **__: pytest.fail("drew clips"))
    assert main(["forecast", "--data", "demo:scene=1", "--device", "cpu", "--plan"]) == 0
    said = capsys.readouterr().out
    assert "2 results from 2 trainings" in said and " 1200 " in said  # steps: 50 epochs of 24


def test_a_forecast_has_no_rows_to_choose(capsys):
    with pytest.raises(SystemExit):
        main(["forecast", "--rows", "stat"])
    assert "--rows" in capsys.readouterr().err
