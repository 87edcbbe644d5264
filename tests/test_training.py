import json
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep import index_folder
from statkit import training
from statkit.data.frames import FrameSettings
from statkit.data.stored import Source, store_frames
from statkit.experiments.targets import CachedTeacher
from statkit.losses import STATLoss
from statkit.models import build_model
from statkit.recipes import RECIPES, Recipe
from statkit.runtime.processes import computed_ahead
from statkit.sampling import BatchIndex, train_batches
from statkit.schedules import rolling_weights
from statkit.teacher import LiveTeacher
from statkit.training import (
    CheckpointError,
    _micro_batches,
    new_optimizer,
    take_step,
    train_single,
    train_transfer,
)

RECIPE = Recipe(epochs=2, batch_size=8, views=4)
SIZE = (24, 32)


@pytest.fixture(scope="module")
def store(dataset):
    return store_frames(dataset, FrameSettings(hr_size=SIZE), progress=False)


def new_network(seed=0):
    torch.manual_seed(seed)
    return build_model("demo", 12)


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.state_dict().values()]).float()


def train(store, network, recipe=RECIPE, teacher=None, loss=None, **options):
    source, clips = Source(store.lr, SIZE), store.dataset.split(1).train
    options = {"progress": False, "device": "cpu", **options}
    loss = loss or STATLoss(1, 0, 0)
    return train_transfer(network, source, store, clips, recipe, teacher, loss, **options)


def live(store, seed=9):
    return LiveTeacher(new_network(seed), Source(store.hr, SIZE), precision="float32")


def test_the_same_seed_gives_the_same_numbers_and_another_others(store):
    networks = [new_network() for _ in range(3)]
    for network, seed in zip(networks, (5, 5, 6), strict=True):
        train(store, network, seed=seed)
    first, same, other = map(weights, networks)
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_training_learns(store):
    history = train(store, new_network(), replace(RECIPE, epochs=8, views=1))
    losses = [epoch["ce"] for epoch in history.epochs]
    assert len(losses) == 8 and losses[-1] < losses[0] - 0.3


def _train_and_wait_to_be_killed(folder, cache, checkpoint, epochs_done):
    os.environ["STATKIT_CACHE"] = cache
    torch.set_num_threads(1)
    store = store_frames(
        index_folder(folder, progress=False), FrameSettings(hr_size=SIZE), progress=False
    )

    def on_epoch(epoch, _):
        epochs_done.value = epoch + 1
        if epoch == 1:
            time.sleep(60)

    train(store, new_network(), replace(RECIPE, epochs=4), checkpoint=checkpoint, on_epoch=on_epoch)


def test_a_killed_run_goes_on_to_the_same_weights(store, demo_folder, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    recipe = replace(RECIPE, epochs=4)
    alone = new_network()
    whole = train(store, alone, recipe)
    context = multiprocessing.get_context("spawn")
    done, checkpoint = context.Value("i", 0), tmp_path / "run.pt"
    arguments = (demo_folder, os.environ["STATKIT_CACHE"], checkpoint, done)
    process = context.Process(target=_train_and_wait_to_be_killed, args=arguments)
    process.start()
    deadline = time.monotonic() + 120
    while done.value < 2 and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert done.value == 2 and process.exitcode != 0
    kept = torch.load(checkpoint, weights_only=True)
    torch.save(kept | {"seconds": kept["seconds"] + 1000}, checkpoint)
    resumed = new_network(seed=77)
    seen = []
    history = train(
        store, resumed, recipe, checkpoint=checkpoint, on_epoch=lambda epoch, _: seen.append(epoch)
    )
    torch.set_num_threads(threads)
    assert seen == [0, 1, 2, 3]  # the first two as the checkpoint holds them
    assert torch.equal(weights(resumed), weights(alone))  # which seed 77 alone does not lead to
    assert history.epochs == whole.epochs
    assert 0 < kept["seconds"] < 1000 < history.seconds < 1000 + 120  # of both processes


def test_a_checkpoint_of_other_settings_or_none_at_all_is_refused(store, tmp_path):
    checkpoint = tmp_path / "run.pt"
    train(store, new_network(), checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="other settings"):
        train(store, new_network(), checkpoint=checkpoint, seed=1)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        train(store, new_network(), checkpoint=checkpoint)


def test_student_training_leaves_the_teacher_alone_and_brings_the_maps_closer(store):
    teacher = live(store)
    before = weights(teacher.network)
    student = new_network(1)
    loss = STATLoss(ce=0, sat=1, tat=0)
    history = train(store, student, replace(RECIPE, epochs=6), teacher, loss)
    assert torch.equal(weights(teacher.network), before)
    assert history.epochs[-1]["sat"] < 0.8 * history.epochs[0]["sat"]


def test_without_a_weight_for_the_labels_they_do_not_matter(store):
    teacher, loss = live(store), STATLoss(ce=0, sat=0.5, tat=0.5)
    networks = [new_network(1), new_network(1)]
    train(store, networks[0], teacher=teacher, loss=loss)
    shuffled = replace(store.dataset, labels=store.dataset.labels[::-1].copy())
    train(replace(store, dataset=shuffled), networks[1], teacher=teacher, loss=loss)
    assert torch.equal(weights(networks[0]), weights(networks[1]))


def test_a_mirrored_view_has_its_own_targets(store):
    """The map of the mirrored frame is not the mirrored map."""
    teacher, clip = live(store), store.dataset.split(1).train[:1]
    frames = np.arange(8)[None, :, None]
    plain, mirrored = (
        teacher(BatchIndex(clip, frames, np.array([view]))).attention_maps[0] for view in (0, 1)
    )
    assert not torch.allclose(plain.flip(-1), mirrored, rtol=1e-3)


def test_rolling_weights_change_the_loss_with_the_epoch(store):
    used = []

    def loss(epoch):
        rolling = rolling_weights(epoch, period=1)
        used.append(rolling.sat)
        return STATLoss(sat_blocks=rolling.sat, tat_layers=rolling.tat)

    train(store, new_network(), replace(RECIPE, epochs=3), live(store), loss)
    assert len(set(used)) == 3


def test_a_3d_network_takes_the_same_path(store):
    torch.manual_seed(0)
    student = build_model("r2plus1d_18", 12, 2)
    torch.manual_seed(1)
    teacher = LiveTeacher(build_model("r2plus1d_18", 12, 2), Source(store.hr, SIZE))
    recipe = replace(RECIPE, epochs=1, batchnorm="partial")
    clips = store.dataset.split(1).train[:8]
    history = train_transfer(
        student,
        Source(store.lr, SIZE),
        store,
        clips,
        recipe,
        teacher,
        STATLoss(),
        device="cpu",
        progress=False,
    )
    assert history.epochs[0]["sat"] > 0 and np.isfinite(history.epochs[0]["total"])


def test_a_loss_that_is_no_number_stops_with_a_word(store):
    with pytest.raises(FloatingPointError, match="lower rate"):
        train(store, new_network(), replace(RECIPE, rate=1e30, clip_norm=1e30))


def test_stage_one_is_cross_entropy_alone(store):
    history = train_single(
        new_network(),
        Source(store.hr, SIZE),
        store,
        store.dataset.split(1).train,
        replace(RECIPE, epochs=1),
        device="cpu",
        progress=False,
    )
    epoch = history.epochs[0]
    assert epoch["total"] == epoch["ce"] > 0 and epoch["sat"] == epoch["tat"] == 0


def test_the_papers_recipe_is_the_papers():
    paper = RECIPES["paper"]
    assert (paper.optimizer, paper.batch_size, paper.rate, paper.epochs) == ("sgd", 256, 1e-3, 50)
    assert paper.rate_at(0) == pytest.approx(0.2) and paper.rate_at(25) == pytest.approx(0.1)
    assert json.dumps(paper.batchnorm) == '"partial"'


def gradients(store, most, *, recipe, loss, teacher):
    """Those of one batch, and its loss parts, taken at most so many clips at a time."""
    student = new_network(1).freeze_batchnorm(recipe.batchnorm).train()
    optimizer = new_optimizer(student, replace(recipe, clip_norm=1e9))
    clips, shape = store.dataset.split(1).train, (8, 1)
    draw = next(
        train_batches(clips, store.lengths, *shape, batch_size=23, views=4, seed=0, epoch=0)
    )
    labels, source = torch.from_numpy(store.dataset.labels), Source(store.lr, SIZE)
    batch = _micro_batches(draw, most)
    sizes = [len(part.draw.clips) for part in batch]
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= (most or 23)
    recipe = replace(recipe, clip_norm=1e9)
    parts = take_step(student, source, batch, labels, teacher, loss, optimizer, recipe)
    found = [p.grad.flatten() for p in student.parameters() if p.grad is not None]
    return torch.cat(found), parts.values()


def test_the_temporal_module_can_have_its_own_rate():
    network = new_network()
    for recipe, wanted in ((RECIPE, {3e-3}), (replace(RECIPE, tam_rate=0.05), {3e-3, 0.05})):
        groups = new_optimizer(network, recipe).param_groups
        rates = {id(p): group["rate"] for group in groups for p in group["params"]}
        assert set(rates.values()) == wanted and len(rates) == len(list(network.parameters()))
        assert {rates[id(p)] for p in network.tam.parameters()} == {max(wanted)}


@pytest.mark.parametrize("most", [1, 5, 8, 22])
def test_micro_batches_have_the_gradients_of_the_batch(store, most):
    """With frozen normalisation: every loss is a mean over samples, in slices of unequal size."""
    recipe = replace(RECIPE, batchnorm="all", precision="float32")
    how = {
        "recipe": recipe,
        "loss": STATLoss(0.25, 0.25, 0.25, kd=0.25, confident=True),
        "teacher": live(store),
    }
    (whole, parts), (split, sums) = (gradients(store, size, **how) for size in (None, most))
    assert whole.norm() > 0.05
    assert torch.allclose(split, whole, rtol=0, atol=1e-5)
    assert sums == pytest.approx(parts, abs=1e-5)


def test_live_statistics_of_the_first_layer_are_what_differs(store):
    how = {"loss": STATLoss(1, 0, 0), "teacher": None}
    partial, frozen = (
        [
            gradients(
                store, size, recipe=replace(RECIPE, batchnorm=which, precision="float32"), **how
            )[0]
            for size in (None, 8)
        ]
        for which in ("partial", "all")
    )
    off = [(split - whole).norm() / whole.norm() for whole, split in (partial, frozen)]
    assert off[1] < 1e-4 < off[0] < 1


def test_out_of_memory_halves_and_goes_on_with_the_same_step(store):
    """A device that holds 3 clips: batches of 8 come to the weights that micro-batches of 2 do."""
    sizes = []

    def holds_three(module, inputs):
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > 3 * 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    recipe = replace(RECIPE, batchnorm="partial")
    halved, given = new_network(), new_network()
    handle = halved.stem.register_forward_pre_hook(holds_three)
    train(store, halved, recipe)
    handle.remove()
    train(store, given, recipe, micro_batch=2)
    assert sizes[:4] == [64, 32, 16, 16] and max(sizes[2:]) == 16
    assert torch.equal(weights(halved), weights(given))
    handle = halved.stem.register_forward_pre_hook(lambda *_: holds_three(None, [range(99)]))
    with pytest.raises(ValueError, match="1 clips at a time do not fit into memory.*--micro-batch"):
        train(store, halved, recipe)
    handle.remove()
    with pytest.raises(ValueError, match="micro_batch is a number of clips from 1, got 0"):
        train(store, given, recipe, micro_batch=0)


@pytest.mark.parametrize("where", ["live", "cached", "on the device"])
def test_gathered_ahead_are_the_same_numbers_bit_for_bit(store, where, monkeypatch):
    """As without the thread, and as with all frames on the device."""
    found = []
    for ahead in (True, False):
        teacher, source = live(store), Source(store.lr, SIZE)
        if where == "cached":
            sizes, clips = [(6, 8), (3, 4), (2, 2), (2, 2)], store.dataset.split(1).train
            options = {"views": 4, "map_sizes": sizes, "progress": False}
            teacher = CachedTeacher(teacher, store, clips, **options)
        if where == "on the device" and ahead:
            source.on_device = torch.from_numpy(np.array(store.lr))
        if not ahead:
            monkeypatch.setattr(training, "computed_ahead", map_lazily)
        student = new_network(1)
        clips = store.dataset.split(1).train
        how = {"device": "cpu", "progress": False}
        train_transfer(student, source, store, clips, RECIPE, teacher, STATLoss(), **how)
        found.append(weights(student))
    assert torch.equal(*found)


def map_lazily(function, items):
    yield from ()
    for item in items:
        function(item)
        yield item  # not what was gathered: it is gathered again in the step


def test_a_thread_works_ahead_in_order_and_stops_when_asked():
    started, threads = [], set()

    def work(item):
        started.append(item)
        threads.add(threading.current_thread())
        if item == 7:
            raise ValueError("seven")
        return -item

    results = computed_ahead(work, range(100), depth=2)
    assert next(results) == 0
    assert [next(results) for _ in range(3)] == [-1, -2, -3]
    results.close()
    assert len(started) <= 7 and len(threads) == 1
    assert threading.current_thread() not in threads
    with pytest.raises(ValueError, match="seven"):
        list(computed_ahead(work, range(9)))
