import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from statkit.evaluation import evaluate, linear_probe, start_as_probe
from statkit.experiments import Experiment
from statkit.experiments.results import (
    Result,
    estimate,
    gain,
    read_results,
    write_results,
)
from statkit.experiments.rows import ROWS, TABLE_3
from statkit.experiments.settings import DEMO
from statkit.experiments.targets import CachedTeacher
from statkit.recipes import RECIPES
from statkit.teacher import LiveTeacher

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
    assert all(0 < r.specific <= r.from_blind and 0 < r.spread <= r.from_equal for r in results)
    again = experiment(dataset)
    assert [again.result(row) for row in TABLE_3] == results
    assert again.trained("stat") and not experiment(dataset, seed=1).trained("stat")
    output = again.predict("stat", 0)
    assert again.predict("stat", 0) is output


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
    monkeypatch.setattr("statkit.experiments.networks.train_transfer", spy)
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


def test_files_without_the_columns_of_attention_are_read(tmp_path):
    [whole] = runs("stat", [50])
    file = write_results(tmp_path / "runs.csv", [whole])
    with file.open(newline="") as lines:
        table = [line[:-4] for line in csv.reader(lines)]
    with file.open("w", newline="") as old:
        csv.writer(old).writerows(table)
    assert "spread" not in file.read_text() and read_results(file) == [whole]


def test_the_probe_on_pixels_knows_the_scene_alone(dataset):
    """Frames that tell nothing, then frames in which one white pixel tells the class."""
    one = experiment(dataset)
    vars(one.store)["lr"] = np.zeros_like(one.store.lr)
    assert one.probe("pixels").prec1 == pytest.approx(100 / 12, abs=0.01)
    one.store.lr[np.arange(72), :, dataset.labels, 0] = 255
    told = one.probe("pixels")
    assert told.prec1 == 100 and told.row == "pixel_probe" and told.epochs == 0


def test_the_second_stage_goes_on_from_the_first(dataset, monkeypatch):
    one = experiment(dataset)
    plain, teacher = one.network("student"), one.network("teacher")
    seen = {}

    def spy(student, *_, **__):
        seen.update({k: v.clone() for k, v in student.state_dict().items()})
        raise KeyboardInterrupt

    monkeypatch.setattr("statkit.experiments.networks.train_transfer", spy)
    with pytest.raises(KeyboardInterrupt):
        one.network("stat_staged")
    for name, value in seen.items():
        source = teacher if name.startswith("tam.") else plain
        assert torch.equal(value, source.state_dict()[name])


def test_from_scratch_leaves_the_pretrained_weights_and_what_they_need(
    dataset, tmp_path, monkeypatch
):
    torch.manual_seed(5)
    torch.save(resnet18().state_dict(), tmp_path / "weights.pth")
    gentle = replace(RECIPES["finetune"], epochs=2, views=2)
    config = replace(
        QUICK, backbone="resnet18", pretrained=str(tmp_path / "weights.pth"), recipe=gentle
    )
    one, seen = Experiment(dataset, config, device="cpu", progress=False), {}

    def spy(student, source, store, clips, recipe, *_, **__):
        seen[len(seen)] = recipe, {k: v.clone() for k, v in student.state_dict().items()}
        raise KeyboardInterrupt

    monkeypatch.setattr("statkit.experiments.networks.train_transfer", spy)
    for row in ("student", "student_scratch"):
        with pytest.raises(KeyboardInterrupt):
            one.network(row)
    (tuned, pretrained), (recipe, scratch) = seen.values()
    assert tuned.start == "probe" and tuned.batchnorm == "all" and tuned.epochs == 2
    assert recipe.start == "random" and recipe.batchnorm == "train" and recipe.epochs == 6
    assert recipe.backbone_rate is None and recipe.rate > tuned.rate
    convolutions = [name for name, value in pretrained.items() if value.ndim == 4]
    assert len(convolutions) == 20
    for name in convolutions:
        assert not torch.equal(scratch[name], pretrained[name])
    with pytest.raises(KeyError, match="no such row"):
        replace(ROWS["stat"], start="no such row").before(ROWS)


def test_rows_alike_share_their_targets(dataset):
    one = experiment(dataset)
    assert one.teacher("stat") is one.teacher("sat") is not one.teacher("at")


def test_every_row_trains_and_is_measured(dataset):
    one = experiment(dataset)
    for row in ROWS:
        found = one.result(row)
        assert 0 <= found.prec1 <= 100 and json.loads(found.parameters)["row"]["title"]
    assert one.result("two_stream").seconds == pytest.approx(
        one.result("student").seconds + one.result("flow").seconds, abs=0.11
    )


def test_the_unlabelled_stage_reads_no_label(dataset):
    """Labels permuted among the unlabelled clips: the same weights."""
    shuffled = replace(dataset, labels=np.roll(dataset.labels, 7), fingerprint="shuffled")
    found = []
    for clips in (dataset, shuffled):
        one = Experiment(dataset, QUICK, unlabelled=clips, device="cpu", progress=False)
        found.append(one.network("ut").state_dict())
        assert len(one.training_clips("ut")) == len(dataset)
        assert not one.trained("stat_ut")
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_formal_training_goes_on_from_the_unlabelled_stage(dataset, monkeypatch):
    one = experiment(dataset, seed=5)
    before = one.network("ut").state_dict()
    seen = {}

    def spy(student, *_, **__):
        seen.update({k: v.clone() for k, v in student.state_dict().items()})
        raise KeyboardInterrupt

    monkeypatch.setattr("statkit.experiments.networks.train_transfer", spy)
    with pytest.raises(KeyboardInterrupt):
        one.network("stat_rc_ut")
    assert all(torch.equal(seen[name], before[name]) for name in before)


def test_few_labels_are_so_many_a_class_and_the_teacher_keeps_all(dataset):
    few = Experiment(dataset, replace(QUICK, labelled=2), device="cpu", progress=False)
    chosen = few.training_clips("student")
    assert (np.bincount(dataset.labels[chosen]) == 2).all()
    assert set(chosen) <= set(few.split.train)
    assert len(few.training_clips("teacher")) == len(few.training_clips("ut")) == 48
    assert few.folder("teacher") == experiment(dataset).folder("teacher")
    assert few.folder("student") != experiment(dataset).folder("student")


def test_one_teacher_serves_every_resolution(dataset):
    def folder(row, size):
        frames = replace(QUICK.frames, lr_size=size)
        return Experiment(dataset, replace(QUICK, frames=frames), device="cpu").folder(row)

    assert folder("teacher", (6, 8)) == folder("teacher", (12, 16)) != folder("teacher", (12, 12))
    assert folder("student", (6, 8)) != folder("student", (12, 16))


def test_a_fitted_head_answers_as_the_probe(dataset):
    one = experiment(dataset)
    network = one.new_network("teacher", pretrained=False)
    source, train = one.source("teacher"), one.split.train
    start_as_probe(network, source, one.store, train)
    found = evaluate(network, source, one.store, one.split.test)
    assert torch.allclose(found.weights, torch.full_like(found.weights, 1 / 8))
    features = [evaluate(network, source, one.store, c).features.mean(1) for c in one.split]
    labels = [dataset.labels[clips] for clips in one.split]
    probe = linear_probe(features[0], labels[0], features[1], labels[1])
    assert (found.prec1, found.prec5) == pytest.approx(probe)


@pytest.mark.parametrize("start, row", [("ut", "stat_ut"), (None, "stat"), (None, "student_tam")])
def test_whatever_attention_a_student_starts_with_its_head_is_fitted_to_it(dataset, start, row):
    one = experiment(dataset)
    hardly = replace(QUICK.recipe, epochs=1, start="probe", rate=1e-9, weight_decay=0.0)
    one.config = replace(QUICK, recipe=replace(hardly, batchnorm="all"))
    torch.manual_seed(9)
    teacher = one.new_network("teacher", pretrained=False).eval()
    with torch.no_grad():
        teacher.tam.fc2.weight.mul_(20)  # far from equal weights
    one._networks["teacher"] = teacher
    after = one.network(row)
    if start:
        before = one.network(start)
    else:
        torch.manual_seed(one.seed)
        before = one.new_network(row, pretrained=False).eval()
        before.tam.load_state_dict(teacher.tam.state_dict())
    for name, values in before.tam.state_dict().items():
        assert torch.allclose(after.tam.state_dict()[name], values, atol=1e-6)
    source, store, (train, test) = one.source(row), one.store, one.split
    seen = [evaluate(before, source, store, clips).embedding for clips in (train, test)]
    labels = [dataset.labels[clips] for clips in (train, test)]
    probe = linear_probe(seen[0], labels[0], seen[1], labels[1], seed=one.seed)
    assert one.result(row).prec1 == pytest.approx(probe[0], abs=0.01)


def test_an_lr_teacher_is_the_plain_student(dataset):
    one = experiment(dataset)
    live, student = one.teacher("stat_lr_teacher"), one.network("student")
    assert live.source.frames is one.store.lr
    for name, values in live.network.state_dict().items():
        assert torch.equal(values, student.state_dict()[name])


def test_the_fused_answer_is_the_mean_of_the_probabilities(dataset):
    one = experiment(dataset)
    parts = [one.evaluate(row).logits.softmax(1) for row in ("student", "flow")]
    other = Experiment(dataset, QUICK, seed=99, device="cpu", progress=False)
    assert one.trained("two_stream") and not other.trained("two_stream")
    fused = one.evaluate("two_stream").logits
    assert torch.allclose(fused.softmax(1), (parts[0] + parts[1]) / 2, atol=1e-5)


def test_a_live_teacher_is_one_switch_and_its_runs_are_kept_apart(dataset):
    kept = experiment(dataset)
    live = experiment(dataset, live_teacher=True)
    epochs = replace(QUICK.recipe, epochs=20)
    kept.config = live.config = replace(QUICK, recipe=epochs)
    kept.network = live.network = lambda row: kept.new_network(row, pretrained=False)
    assert isinstance(kept.teacher("stat"), CachedTeacher)
    assert isinstance(live.teacher("stat"), LiveTeacher)
    folders = [{row: of.folder(row) for row in TABLE_3} for of in (kept, live)]
    apart = {row for row in TABLE_3 if folders[0][row] != folders[1][row]}
    assert apart == {"sat", "tat", "stat"}
