import numpy as np
import pytest
import torch

from statkit.data.frames import FrameSettings
from statkit.data.stored import Source, store_frames
from statkit.evaluation import (
    attention_in_action,
    attention_on_actor,
    evaluate,
    linear_probe,
    precision_at_k,
    predict_stored,
)
from statkit.models import build_model


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
