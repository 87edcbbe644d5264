import math

import numpy as np
import pytest
import torch

from statkit.data.frames import FrameSettings
from statkit.data.stored import Source, store_frames
from statkit.evaluation import (
    attention_in_action,
    attention_on_actor,
    evaluate,
    forward_eval,
    linear_probe,
    map_distances,
    precision_at_k,
    predict_stored,
    unit_map_sum,
    weight_distances,
)
from statkit.models import build_model
from statkit.sampling import eval_batches


def test_precision_at_k_by_counting():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 12, generator=generator)
    labels = torch.randint(0, 12, (50,), generator=generator)
    for k, found in zip((1, 3, 5), precision_at_k(logits, labels, (1, 3, 5)), strict=True):
        hits = 0
        for scores, label in zip(logits.tolist(), labels.tolist(), strict=True):
            hits += sum(score > scores[label] for score in scores) < k
        assert found == pytest.approx(100 * hits / 50)
    assert precision_at_k(logits[:, :3], labels % 3)[1] == 100


def test_precision_of_nothing_is_refused():
    with pytest.raises(ValueError, match="0 predictions"):
        precision_at_k(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long))


def test_attention_on_actor():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, :4, :4] = True
    blind = torch.ones(1, 4, 4)
    focused = torch.zeros(1, 4, 4)
    focused[0, :2, :2] = 1
    assert attention_on_actor(blind, mask).item() == pytest.approx(1)
    assert attention_on_actor(focused, mask).item() == pytest.approx(4)
    assert attention_on_actor(1 - focused, mask).item() == 0
    assert attention_on_actor(blind, torch.zeros_like(mask)).isnan().all()


def test_attention_in_action():
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    positions, interval = torch.tensor([[1, 5, 9, 13]]), torch.tensor([[5, 13]])
    assert attention_in_action(weights, positions, interval).item() == pytest.approx(0.5)


@pytest.fixture(scope="module")
def seen(dataset):
    store = store_frames(dataset, FrameSettings(hr_size=(24, 32)), progress=False)
    torch.manual_seed(0)
    return store, Source(store.hr, (24, 32)), build_model("demo", 12).eval()


def test_evaluation_does_not_depend_on_batches_and_scores_attention(seen):
    store, source, network = seen
    clips = store.dataset.split(1).test
    one, other = (evaluate(network, source, store, clips, batch_size=n) for n in (5, 24))
    assert torch.allclose(one.logits, other.logits, atol=1e-5) and one.prec1 == other.prec1
    assert one.features.shape == (24, 8, 128) and one.weights.shape == (24, 8)
    assert len(one.on_actor) == 4 and 0 < one.in_action_blind < 1
    intervals = store.dataset.truth.intervals[clips]
    centres = np.arange(8) * 2 + 1
    inside = (centres >= intervals[:, :1]) & (centres < intervals[:, 1:])
    assert one.in_action_blind == pytest.approx(inside.mean())
    assert one.in_action == pytest.approx((one.weights.numpy() * inside).sum(1).mean())


def test_look_at_one_clip(seen):
    store, source, network = seen
    look = predict_stored(network, source, store, 3)
    assert look.frames.shape == (8, 24, 32, 3) and 0 <= look.frames.min() <= look.frames.max() <= 1
    assert [m.shape[0] for m in look.maps] == [8] * 4 and look.weights.sum() == pytest.approx(1)
    assert look.answer in store.dataset.classes and look.inside.dtype == bool


def test_linear_probe_separates_what_is_separable():
    generator = torch.Generator().manual_seed(0)
    labels = np.arange(90) % 3
    features = torch.randn(90, 8, generator=generator)
    assert linear_probe(features[:60], labels[:60], features[60:], labels[60:])[0] < 70
    features[torch.arange(90), torch.from_numpy(labels)] += 6
    assert linear_probe(features[:60], labels[:60], features[60:], labels[60:])[0] > 95


def test_what_maps_say_is_measured_against_a_blind_map_and_against_their_mean():
    """Frames look left or right, half each: u = (1, 0) and (0, 1), m = (1/2, 1/2)."""
    sides = torch.tensor([[[3.0, 0.0]], [[0.0, 5.0]]])
    mean = unit_map_sum(sides) / 2
    assert mean.tolist() == [0.5, 0.5]
    apart = math.sqrt(2 - math.sqrt(2))  # from (1, 0) to (1, 1) / sqrt(2), which is the blind map
    assert map_distances(mean) == pytest.approx((apart, apart))
    same = unit_map_sum(sides[:1].repeat(4, 1, 1)) / 4  # one map for all: specific is 0
    assert map_distances(same) == pytest.approx((apart, 0))
    assert map_distances(unit_map_sum(torch.ones(3, 2, 2)) / 3) == pytest.approx((0, 0), abs=1e-6)


def test_what_weights_say_is_measured_against_equal_ones_and_against_their_mean():
    weights = torch.tensor([[0.9, 0.1], [0.7, 0.3]])
    from_equal, spread = weight_distances(weights)
    assert from_equal == pytest.approx(math.sqrt((0.4**2 + 0.2**2) / 2))
    assert spread == pytest.approx(0.1) and weight_distances(torch.ones(4, 2) / 2) == (0, 0)


def test_the_distances_of_an_evaluation_are_those_of_all_its_frames(seen):
    store, source, network = seen
    clips = store.dataset.split(1).test
    found = evaluate(network, source, store, clips, batch_size=5, precision="float32")
    draw = next(eval_batches(clips, store.lengths, 8, 1, batch_size=len(clips)))
    maps = forward_eval(network, source, draw, precision="float32").attention_maps
    for block, values in enumerate(maps):
        units = torch.nn.functional.normalize(values.flatten(1), dim=1)
        for other, got in ((torch.ones_like(units), found.from_blind), (units, found.specific)):
            centre = torch.nn.functional.normalize(other.mean(0), dim=0)
            far = (units - centre).square().sum(1).mean().sqrt().item()
            assert got[block] == pytest.approx(far, abs=1e-4)
