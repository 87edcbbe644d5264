"""Every forward path on a GPU that is not there: PyTorch's fake CUDA tensors have a shape, a type
and a device and no values, so a tensor on the wrong device fails here. What a GPU computes, how
fast, and what its backward pass does is not tested by them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from statkit.attention import REDUCTIONS
from statkit.data.frames import FrameSettings
from statkit.data.stored import Source, store_frames
from statkit.evaluation import evaluate, forward_eval, predict_stored
from statkit.experiments.targets import CachedTeacher, _look
from statkit.losses import STATLoss
from statkit.models import build_model
from statkit.recipes import RECIPES
from statkit.sampling import BatchIndex
from statkit.teacher import LiveTeacher
from statkit.training import MicroBatch, new_optimizer, take_step

CUDA = torch.device("cuda")
SIZE = (24, 32)
NETWORKS = [("demo", 8, 1), ("resnet18", 4, 1), ("r2plus1d_18", 2, 5)]
READINGS = [
    {"distance": "sum"},
    {"tat_targets": "softmax"},
    {"confident": True},
    {"kd": 1.0, "sizes": "upsample"},
    {"time": "step", "confident": True},
    {"time": "mean"},
]


@pytest.fixture(scope="module")
def store(dataset):
    return store_frames(dataset, FrameSettings(hr_size=SIZE), progress=False)


@pytest.fixture
def gpu(monkeypatch):
    """Fake tensors, and zeros wherever a program reads them, which it may do on the CPU alone."""

    def read(values: torch.Tensor):
        assert values.device.type == "cpu", "numbers are read on the CPU: .cpu() first"
        return np.zeros(tuple(values.shape), str(values.dtype).removeprefix("torch."))

    monkeypatch.setattr(torch.Tensor, "numpy", read)
    monkeypatch.setattr(torch.Tensor, "tolist", lambda values: np.zeros(values.shape).tolist())
    monkeypatch.setattr(torch.Tensor, "item", lambda values: 0.0)
    # The engine of the backward pass asks for a real GPU. Modules of fake tensors cannot be moved.
    monkeypatch.setattr(torch.Tensor, "backward", lambda values: None)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, *_, **__: module)
    # PyTorch 2.15's copy of a fake tensor reads and writes memory that it does not have.
    monkeypatch.setattr("statkit.teacher.copy", SimpleNamespace(deepcopy=lambda network: network))
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield CUDA


def network(name, segments, **how):
    with CUDA:
        return build_model(name, 12, segments, **how)


def draw_of(segments, frames, count=3, views=(0, 1, 2)):
    shown = np.tile(np.arange(segments * frames).reshape(1, segments, frames), (count, 1, 1))
    return BatchIndex(np.arange(count), shown, np.array(views[:count]))


def test_a_tensor_on_the_wrong_device_fails(gpu):
    with pytest.raises(RuntimeError, match="device"):
        torch.zeros(2, device=gpu) + torch.zeros(2)
    with pytest.raises(AssertionError, match="read on the CPU"):
        torch.zeros(2, device=gpu).numpy()


@pytest.mark.parametrize("name, segments, frames", NETWORKS)
@pytest.mark.parametrize("kept", [False, True])
def test_a_step_of_stage_two(gpu, store, name, segments, frames, kept):
    """Views, student, live teacher, all losses, in micro-batches and whole; frames from this
    machine's memory, and from the GPU's (``kept``)."""
    student, hr = network(name, segments), Source(store.hr, SIZE)
    source, teacher = Source(store.lr, SIZE), LiveTeacher(network(name, segments), hr)
    if kept:
        source.on_device = torch.from_numpy(np.array(store.lr)).to(gpu)
    recipe, labels = RECIPES["paper"], torch.zeros(len(store.dataset), dtype=int, device=gpu)
    student.freeze_batchnorm(recipe.batchnorm).train()
    optimizer = new_optimizer(student, recipe)
    draw = draw_of(segments, frames)
    targets = teacher.gather(draw)
    for batch in (
        [MicroBatch(draw)],
        [MicroBatch(draw, 0.5, source.gather(draw, gpu), targets), MicroBatch(draw, 0.5)],
    ):
        loss = STATLoss(0.25, 0.25, 0.25, kd=0.25)
        parts = take_step(student, source, batch, labels, teacher, loss, optimizer, recipe)
        assert parts.total.device.type == "cuda"


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_every_reading_of_the_losses(gpu, reading):
    """Maps of unequal sizes, with the time axis of a 3-D network."""
    student, teacher = network("r2plus1d_18", 2).eval(), network("r2plus1d_18", 2).eval()
    found = [
        net(torch.zeros(2, 2, 3, 5, *size, device=gpu))
        for net, size in ((student, SIZE), (teacher, (48, 64)))
    ]
    labels = torch.zeros(2, dtype=int, device=gpu)
    parts = STATLoss(**reading)(found[0], labels, found[1])
    assert all(getattr(parts, name).device.type == "cuda" for name in ("total", "sat", "tat"))


@pytest.mark.parametrize("channels", REDUCTIONS)
@pytest.mark.parametrize("power", (1, 2))
@pytest.mark.parametrize("shared", [False, True])
def test_every_reading_of_the_maps_and_the_module(gpu, store, channels, power, shared):
    one = network("demo", 8, shared_tam=shared)
    one.channels, one.power = channels, power
    output = forward_eval(one, Source(store.lr, SIZE), draw_of(8, 1))
    assert {values.device.type for values in output.attention_maps} == {"cuda"}


def test_targets_computed_and_kept(store, request):
    clips = np.arange(3)
    real = LiveTeacher(build_model("demo", 12), Source(store.hr, SIZE))
    sizes = [(6, 8), (3, 4), (2, 2), (2, 2)]
    options = {"views": 3, "map_sizes": sizes, "progress": False}
    kept = CachedTeacher(real, store, clips, **options)
    request.getfixturevalue("gpu")
    kept.teacher = SimpleNamespace(
        network=network("demo", 8).eval(), device=CUDA, source=real.source, precision="auto"
    )
    draw = draw_of(8, 1)
    for target in (kept(draw), kept(draw, kept.gather(draw))):
        assert target.logits.device.type == target.attention_maps[0].device.type == "cuda"
    groups = np.arange(16).reshape(1, 2, 8, 1)
    shapes = [(16, 128), *((16, *size) for size in sizes)]
    found = _look(kept.teacher, np.array([[1, 0]]), groups, shapes)
    assert [values.shape for values in found] == [(1, *shape) for shape in shapes]


@pytest.mark.parametrize("name, segments, frames", NETWORKS)
def test_evaluation(gpu, store, name, segments, frames):
    one, source = network(name, segments), Source(store.lr, SIZE)
    found = evaluate(one, source, store, np.arange(4), batch_size=2, flips=True, offsets=2)
    assert found.logits.device.type == found.features.device.type == "cpu"


def test_prediction(gpu, store):
    look = predict_stored(network("demo", 8), Source(store.lr, SIZE), store, 0)
    assert look.probabilities.shape == (12,)


def test_a_row_of_the_paper_at_its_own_size(gpu):
    """256x340 in, K = 8, without the memory that it takes."""
    one = network("resnet34", 8)
    frames = np.broadcast_to(np.zeros((1, 1, 12, 16, 3), np.uint8), (2, 8, 12, 16, 3))
    source = Source(frames, (256, 340))
    output = forward_eval(one, source, draw_of(8, 1, 2))
    assert output.attention_maps[0].shape == (16, 64, 85)
