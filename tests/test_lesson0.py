"""Lesson 0 holds the whole method in its cells: each of its functions is compared with the
library."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from statkit.attention import TemporalAttention, spatial_attention
from statkit.losses import STATLoss, sat_loss, tat_loss
from statkit.lowres import centre_crop, to_low_res
from statkit.models import build_model
from statkit.video import read_frames

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks/00_the_method_on_one_page.ipynb"
BY_NAME = ("def ", "class ", "@")


@pytest.fixture(scope="module")
def lesson(dataset):
    """The lesson's own functions, defined by its own cells; nothing is trained."""
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    space = {"seed": 3, "epochs": 1}
    for cell in cells:
        code = "".join(cell["source"])
        if "import torch.nn.functional" in code:
            exec(code.split("easy = ")[0], space)
        elif code.startswith(BY_NAME):
            definitions = code.split("\n\n\nclip = ")[0]  # one cell also draws
            exec(definitions, space)
    space["data"] = dataset
    return space


def test_it_is_short_and_has_no_options_beyond_its_parameters():
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    code = [c for c in cells if "guard" not in c["metadata"].get("tags", [])]
    lines = [line.strip() for cell in code for line in "".join(cell["source"]).splitlines()]
    assert len([line for line in lines if line and not line.startswith('"""')]) < 150
    assert not any("explore(" in line for line in lines)


def test_the_camera_is_the_library_s(lesson, clip):
    frames = read_frames(clip)
    exact = to_low_res(frames, blur=0.25, noise=2.0, seed=7)
    ours = lesson["camera"](frames, seed=7).numpy()
    assert np.abs(ours.astype(int) - exact).max() <= 1 and (ours == exact).mean() > 0.99


def test_the_crop_is_the_library_s_where_whole_pixels_fit(lesson):
    frames = np.random.default_rng(0).integers(0, 256, (1, 72, 130, 3), np.uint8)
    assert np.array_equal(lesson["crop"](frames), centre_crop(frames, (12, 16)))


def test_the_maps_and_the_losses_are_the_library_s(lesson):
    draw = torch.Generator().manual_seed(1)
    output = torch.randn(4, 6, 5, 7, generator=draw)
    assert torch.allclose(lesson["spatial_attention"](output), spatial_attention(output))
    student, teacher = ([torch.rand(4, 5, 6, generator=draw) for _ in range(4)] for _ in "st")
    expected = sat_loss(student, teacher)
    assert torch.allclose(lesson["attention_loss"](student, teacher), expected, atol=1e-6)
    student, teacher = ([torch.randn(4, n, generator=draw) for n in (64, 8)] for _ in "st")
    expected = tat_loss(student, teacher)
    assert torch.allclose(lesson["attention_loss"](student, teacher), expected, atol=1e-6)


def test_the_temporal_attention_is_the_library_s(lesson):
    library = TemporalAttention(128, 8)
    ours = lesson["TemporalAttention"](128, 8)
    ours.load_state_dict(library.state_dict())
    features = torch.randn(3, 8, 128)
    weights, layers = ours(features)
    expected = library(features)
    assert torch.allclose(weights, expected.weights)
    assert all(map(torch.equal, layers, (expected.fc1, expected.fc2)))


def test_the_network_is_the_library_s_and_so_is_equation_4(lesson):
    clips, labels = torch.rand(2, 8, 3, 72, 96), torch.tensor([1, 4])
    sides = []
    for _ in range(2):
        library = build_model("demo", 12).eval()
        ours = lesson["Network"](12).eval()
        ours.load_state_dict(library.state_dict())
        sides.append((ours(clips), library(clips)))
    (student, expected), (teacher, expected_teacher) = sides
    logits, maps, _, weights = student
    assert torch.allclose(logits, expected.logits, atol=1e-5)
    assert all(
        torch.allclose(*pair, atol=1e-4) for pair in zip(maps, expected.attention_maps, strict=True)
    )
    assert torch.allclose(weights, expected.tam.weights, atol=1e-6)
    total = lesson["stat_loss"](student, teacher, labels)
    assert torch.allclose(total, STATLoss()(expected, labels, expected_teacher).total, atol=1e-5)
    alone = lesson["stat_loss"](student, None, labels, (1, 0, 0))
    assert torch.allclose(alone, STATLoss(1, 0, 0)(expected, labels).total, atol=1e-5)


def test_both_stages_train_and_the_teacher_stays_as_it_is(lesson, dataset):
    clips = dataset.split(1).train[:8]
    lesson["train_hr"], lesson["train_lr"], lesson["train_labels"] = lesson["load"](clips)
    assert lesson["train_hr"].shape == (8, 16, 3, 36, 48)
    teacher = lesson["train"](lesson["train_hr"])
    before = {name: values.clone() for name, values in teacher.state_dict().items()}
    student = lesson["train"](lesson["train_lr"], teacher)
    assert all(torch.equal(values, before[name]) for name, values in teacher.state_dict().items())
    assert not torch.equal(student.tam.fc1.weight, teacher.tam.fc1.weight)
    assert lesson["look"](student, lesson["train_lr"])[0].shape == (8, len(dataset.classes))
