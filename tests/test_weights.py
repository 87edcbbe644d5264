"""Files of backbone weights: those that people bring, broken files, no internet."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from statkit.backbones import _read_weights
from statkit.errors import StatkitError
from statkit.experiments.rows import ROWS
from statkit.experiments.runs import run_name
from statkit.experiments.settings import DEMO
from statkit.models import build_model

QUICK = replace(
    DEMO,
    frames=replace(DEMO.frames, hr_size=(24, 32)),
    student_size=(12, 16),
    recipe=replace(DEMO.recipe, epochs=1, views=2, batch_size=16),
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    model = resnet18(weights=None)
    state = model.state_dict()
    forms = {
        "good": state,
        "nested": {"state_dict": state, "epoch": 3},
        "module": {f"module.{key}": values for key, values in state.items()},
        "both": {"model": {f"module.{key}": values for key, values in state.items()}},
        "numpy": {"state_dict": state, "best": np.float64(1.5)},
        "whole": model,
        "numbers": {"epoch": 3},
    }
    for name, value in forms.items():
        torch.save(value, folder / f"{name}.pt")
    (folder / "cut.pt").write_bytes((folder / "good.pt").read_bytes()[:100_000])
    (folder / "text.pt").write_text("no weights at all\n" * 9)
    (folder / "empty.pt").write_bytes(b"")
    torch.save({k: v for k, v in state.items() if "layer4" not in k}, folder / "part.pt")
    torch.save({k: v[..., :1] if v.ndim else v for k, v in state.items()}, folder / "shapes.pt")
    return folder


@pytest.mark.parametrize("form", ["nested", "module", "both", "numpy"])
def test_plain_checkpoints_are_taken(weights, form):
    wanted, found = (_read_weights(weights / f"{name}.pt") for name in ("good", form))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], values) for key, values in wanted.items())
    built = build_model("resnet18", 3, pretrained=str(weights / f"{form}.pt"))
    assert torch.equal(built.stem[0].weight, wanted["conv1.weight"])


@pytest.mark.parametrize("field", ["pretrained", "student_pretrained"])
@pytest.mark.parametrize("row", ["student", "stat"])
def test_weights_that_were_replaced_in_place_give_another_run(
    weights, tmp_path, monkeypatch, row, field
):
    def name(start):
        return run_name(row, ROWS, replace(QUICK, **{field: start}), 0, clips="abc")

    file = tmp_path / "w.pt"
    shutil.copy(weights / "good.pt", file)
    before, copy = name(str(file)), name(str(weights / "good.pt"))
    shutil.copy(weights / "nested.pt", file)
    assert before == copy != name(str(file))
    monkeypatch.setenv("STATKIT_WEIGHTS", str(tmp_path))
    published = name(True)
    shutil.copy(weights / "good.pt", tmp_path / "demo.pth")
    assert name(True) == before != published


@pytest.mark.parametrize(
    "form", ["cut", "whole", "numbers", "text", "empty", "part", "shapes", "not/here"]
)
def test_other_files_of_weights_are_one_line_with_their_name(weights, form):
    file = weights / f"{form}.pt"
    with pytest.raises(StatkitError) as error:
        build_model("resnet18", 3, pretrained=str(file))
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_no_internet_for_pretrained_weights_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("STATKIT_WEIGHTS", raising=False)
    with pytest.raises(StatkitError, match="without internet|Without internet") as error:
        build_model("resnet18", 3, pretrained=True)
    assert "\n" not in str(error.value)


def test_half_a_download_of_weights_is_set_aside(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("STATKIT_WEIGHTS", raising=False)
    file = tmp_path / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir()
    file.write_bytes(b"PK\3\4half")
    with pytest.raises(StatkitError, match="downloaded"):
        build_model("resnet18", 3, pretrained=True)
    assert f"{file} is broken" in capsys.readouterr().err
