from dataclasses import replace

import pytest
import torch

from statkit.experiments import DEMO, ROWS, TABLE_3, Experiment
from statkit.paper import paper_table_3
from statkit.plots.comparison import comparison_markdown
from statkit.results import Result, estimate, gain, read_results, write_results

QUICK = replace(
    DEMO,
    frames=replace(DEMO.frames, hr_size=(24, 32)),
    student_size=(24, 32),
    recipe=replace(DEMO.recipe, epochs=1, views=2, batch_size=16),
)


def experiment(dataset, **options):
    return Experiment(dataset, QUICK, device="cpu", progress=False, **options)


def test_table_3_end_to_end_is_kept_and_traced(dataset, capsys):
    first = experiment(dataset)
    results = [first.result(row) for row in TABLE_3]
    assert [r.row for r in results] == list(TABLE_3)
    assert results[0].resolution == "24x32" and results[1].resolution == "12x16"
    assert all(r.fingerprint == first.store.fingerprint and r.epochs == 1 for r in results)
    assert all(0 < r.in_action < 1 and r.on_actor > 0 for r in results)
    again = experiment(dataset)
    assert [again.result(row) for row in TABLE_3] == results
    assert again.trained("stat") and not experiment(dataset, seed=1).trained("stat")
    output = again.look("stat", 0)
    assert again.look("stat", 0) is output


def test_kept_weights_are_those_that_were_measured(dataset):
    one = experiment(dataset)
    result = one.result("student")
    assert one.evaluate("student").prec1 == pytest.approx(result.prec1, abs=1e-3)
    assert len(one.history("student")) == 1


def test_students_start_alike_and_transfer_starts_with_the_teachers_tam(dataset, monkeypatch):
    one = experiment(dataset, seed=3)
    seen = {}

    def spy(student, *_, **__):
        seen[len(seen)] = {k: v.clone() for k, v in student.state_dict().items()}
        raise KeyboardInterrupt

    teacher = one.network("teacher")
    monkeypatch.setattr("statkit.experiments.train_single", spy)
    monkeypatch.setattr("statkit.experiments.train_transfer", spy)
    for row in ("student", "stat"):
        with pytest.raises(KeyboardInterrupt):
            one.network(row)
    plain, transfer = seen[0], seen[1]
    for name in plain:
        if name.startswith("tam."):
            assert torch.equal(transfer[name], teacher.state_dict()[name])
        else:
            assert torch.equal(transfer[name], plain[name])


def test_rows_of_table_3_have_the_papers_weights():
    assert ROWS["sat"].weights == (1 / 2, 1 / 2, 0) and ROWS["tat"].weights == (1 / 2, 0, 1 / 2)
    assert ROWS["stat"].weights == (1 / 3, 1 / 3, 1 / 3)
    assert ROWS["student"].weights == ROWS["teacher"].weights == (1, 0, 0)


def runs(row, values):
    return [
        Result(row, "demo", "12x16", s, 1, v, v, 1, 1.0, "cpu", "f") for s, v in enumerate(values)
    ]


def test_interval_and_paired_gain_by_hand():
    # Mean 4, standard deviation 2, t(.975, 2) = 4.3027: half width 4.3027 * 2 / sqrt(3).
    found = estimate([2, 4, 6])
    assert found.mean == 4 and found.half_width == pytest.approx(4.968, abs=1e-3)
    assert "one run" in str(estimate([3.0]))
    results = runs("stat", [50, 60, 70]) + runs("student", [40, 49, 61])
    difference = gain(results, "stat", "student")
    assert difference.mean == pytest.approx(10) and difference.half_width == pytest.approx(
        2.484, abs=1e-3
    )
    with pytest.raises(ValueError, match="no seed has both"):
        gain(results, "stat", "sat")


def test_results_file_round_trip(tmp_path):
    results = runs("stat", [50.125, 60]) + [replace(runs("teacher", [90])[0], on_actor=1.5)]
    assert read_results(write_results(tmp_path / "runs.csv", results)) == results


def test_markdown_table_has_gain_and_the_papers_number():
    results = runs("teacher", [90]) + runs("student", [40, 50]) + runs("stat", [55, 63])
    table = comparison_markdown(
        results, {row: ROWS[row].title for row in TABLE_3}, paper_table_3("resnet34")
    )
    line = next(line for line in table.splitlines() if line.startswith("| SAT+TAT"))
    assert "59.0" in line and "+14.0" in line and "46.66" in line
    assert "TAT |" not in table.replace("SAT+TAT |", "")


def test_the_second_stage_goes_on_from_the_first(dataset, monkeypatch):
    one = experiment(dataset)
    plain, teacher = one.network("student"), one.network("teacher")
    seen = {}

    def spy(student, *_, **__):
        seen.update({k: v.clone() for k, v in student.state_dict().items()})
        raise KeyboardInterrupt

    monkeypatch.setattr("statkit.experiments.train_transfer", spy)
    with pytest.raises(KeyboardInterrupt):
        one.network("stat_staged")
    for name, value in seen.items():
        source = teacher if name.startswith("tam.") else plain
        assert torch.equal(value, source.state_dict()[name])


def test_a_row_with_more_views_has_targets_for_them(dataset):
    one = experiment(dataset)
    assert one.teacher("stat") is one.teacher("sat")
    assert one.teacher("stat_crops") is not one.teacher("stat")
    assert one.result("stat_crops").epochs == 3
