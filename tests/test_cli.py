import json

import pytest

from data_prep.demo import make_demo
from statkit.backbones import MODELS
from statkit.cli.commands import main
from statkit.experiments.results import read_results
from statkit.experiments.settings import PARTS, ExperimentConfig
from statkit.runtime.cache import REPOSITORY
from statkit.runtime.parameters import parameters_of

QUICK = ["--epochs", "1", "--hr-size", "24x32", "--student-size", "24x32", "--device", "cpu"]


def test_prepare_train_and_evaluate_on_a_folder(demo_folder, tmp_path, capsys):
    data = ["--data", str(demo_folder), *QUICK]
    assert main(["prepare", *data[:2], "--hr-size", "24x32"]) == 0
    assert "48 train, 24 test" in capsys.readouterr().out
    rows = ["--rows", "teacher", "stat"]
    assert main(["evaluate", *data, *rows]) == 1
    assert "run statkit train" in capsys.readouterr().err
    file = tmp_path / "runs.csv"
    assert main(["train", *data, *rows, "--seeds", "0", "1", "--out", str(file)]) == 0
    results = read_results(file)
    assert [(r.row, r.seed) for r in results] == [
        ("teacher", 0),
        ("stat", 0),
        ("teacher", 1),
        ("stat", 1),
    ]
    capsys.readouterr()
    assert main(["evaluate", *data, *rows, "--seeds", "1"]) == 0
    assert f"prec@1 {results[3].prec1:5.1f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["train", "--data", "no/such/folder"], "no such folder"),
        (["figures", "--only", "77"], "there is no 77"),
        (["figures", "--only", "1", "99"], "there is no 99"),
        (["figures", "--only", "1", "--out", "."], "would be overwritten"),
        (["figures", "-p", "figures", "x"], "--out names the folder"),
    ],
)
def test_what_went_wrong_is_one_line(arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip()
    assert words in error and len(error.splitlines()) == 1


def test_a_wrong_size_is_explained(capsys):
    with pytest.raises(SystemExit):
        main(["prepare", "--lr-size", "12"])
    assert "HEIGHTxWIDTH" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["train", "--lr-size", "0x0"], "lr-size is HEIGHTxWIDTH (12x16), each from 1, got '0x0'"),
        (["train", "--labelled", "0"], "labelled is a whole number from 1, got '0'"),
        (["train", "--power", "3"], "power is 1 or 2 or 4, got '3'"),
        (["train", "--rate", "fast"], "rate is a number above 0, got 'fast'"),
        (["tables", "--splits", "0"], "splits is a whole number from 1"),
        (["tables", "--workers", "0"], "workers is a whole number from 1"),
        (["prepare", "--limit", "0"], "limit is a number above 0"),
        (["figures", "--workers", "-1"], "workers is a whole number from 1"),
    ],
)
def test_an_option_out_of_its_range_is_one_line_with_the_range(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    error = capsys.readouterr().err
    assert end.value.code == 2 and message in error and len(error.splitlines()) == 1


def test_help_names_every_field_with_its_values_and_its_default(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for part in (*PARTS.values(), ExperimentConfig):
        for name, parameter in parameters_of(part).items():
            flag = "--" + (parameter.flag or name.replace("_", "-"))
            assert f"{flag} " in said or f"{flag}," in said
            assert parameter.meaning in said
    assert "--tat-targets {paper,softmax}" in said and "default: 50, 6 for real clips" in said


def test_real_clips_go_the_same_way(real_data, tmp_path, capsys):
    """A few clips of two classes of UCF101, its official lists, one epoch of the demo network."""
    for label in ("JumpingJack", "PushUps"):
        (tmp_path / label).mkdir()
        clips = sorted((real_data / "clips_160x120" / label).glob("*.avi"))
        for clip in clips[::8]:
            (tmp_path / label / clip.name).symlink_to(clip)
    options = ["--data", str(tmp_path), "--lists", str(real_data / "splits" / "ucf101")]
    options += ["--backbone", "demo", "--rows", "teacher", "stat", *QUICK]
    assert main(["train", *options]) == 0
    said = capsys.readouterr().out
    assert "matched" in said and "of 9537 train" in said
    assert main(["evaluate", *options]) == 0


@pytest.mark.parametrize(
    "backbone, segments, frames",
    [("resnet34", 8, 1), ("r2plus1d_18", 4, 5), ("r2plus1d_34", 4, 16)],
)
def test_the_papers_networks_train_by_its_recipe(
    tmp_path_factory, tmp_path, capsys, backbone, segments, frames
):
    """SGD with warm-up and partly frozen batch normalisation; 64 frames a clip for the largest."""
    folder = tmp_path_factory.getbasetemp() / "long"
    make_demo(folder, train=12, test=12, frames=64, workers=1)
    network = MODELS[backbone]
    assert (network.segments, network.frames_per_segment) == (segments, frames)
    words = ["train", "--data", str(folder), "--backbone", backbone, "--recipe", "paper", *QUICK]
    words += ["--hr-size", "12x16", "--student-size", "12x16"]
    words += ["--frames", "64", "--rows", "teacher", "stat", "--out", str(tmp_path / "runs.csv")]
    assert main(words) == 0, capsys.readouterr().err
    teacher, student = read_results(tmp_path / "runs.csv")
    made = json.loads(student.parameters)["config"]
    assert made["recipe"]["optimizer"] == "sgd" and made["recipe"]["batchnorm"] == "partial"
    assert made["frames"]["frames_per_clip"] == 64 and student.backbone == backbone
    for run in (teacher, student):  # a network that is no longer of numbers ranks no class first
        assert 0 <= run.prec1 <= run.prec5 and 0 < run.in_action < 1
