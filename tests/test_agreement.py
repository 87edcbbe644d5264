"""The agreement of two networks' attention: by hand, and of networks with themselves."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data_prep import open_dataset
from statkit.analysis.agreement import agreement
from statkit.experiments import Experiment
from statkit.experiments.settings import DEMO


def output(maps, weights):
    return SimpleNamespace(attention_maps=maps, tam=SimpleNamespace(weights=weights))


def some(seed, size=(4, 6), frames=40):
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.rand(frames, *size, generator=generator) for _ in range(4)]
    return output(maps, torch.randn(frames // 4, 4, generator=generator).softmax(1))


def test_it_is_the_correlation_of_what_is_specific():
    ours, theirs = some(0), some(1)
    ours.attention_maps[2] += 0.3 * theirs.attention_maps[2]
    found = agreement([(ours, theirs)])

    def by_numpy(one, other):
        one, other = (side - side.mean(0) for side in (one, other))
        return (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())

    for one, other, got in zip(ours.attention_maps, theirs.attention_maps, found.maps, strict=True):
        flat = (values.flatten(1).double().numpy() for values in (one, other))
        units = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in flat)
        assert got == pytest.approx(by_numpy(*units), abs=1e-6)
    assert found.maps[2] > 0.2 > max(found.maps[0], found.maps[1], found.maps[3])
    weights = (one.tam.weights.double().numpy() for one in (ours, theirs))
    assert found.weights == pytest.approx(by_numpy(*weights), abs=1e-6)


def test_batches_make_no_difference():
    ours, theirs = some(0), some(1)
    whole = agreement([(ours, theirs)])
    halves = []
    for start in (0, 5):
        clips, frames = slice(start, start + 5), slice(4 * start, 4 * start + 20)
        halves.append(
            tuple(
                output([maps[frames] for maps in side.attention_maps], side.tam.weights[clips])
                for side in (ours, theirs)
            )
        )
    found = agreement(halves)
    assert found.maps == pytest.approx(whole.maps) and found.weights == pytest.approx(whole.weights)


def test_equal_maps_say_nothing_and_opposite_weights_disagree():
    ours, theirs = some(1), some(1)
    assert agreement([(ours, theirs)]).maps == pytest.approx([1] * 4)
    smaller = [torch.ones(40, 2, 3)] * 4  # of another size: the larger maps are pooled
    found = agreement([(output(smaller, 1 - ours.tam.weights), theirs)])
    assert all(map(math.isnan, found.maps)) and found.weights == pytest.approx(-1)


def test_shipped_students_copied_their_teachers_attention():
    """Maps and weights of the student with SAT+TAT agree more with the teacher's than those of the
    plain student; a result holds both."""
    experiment = Experiment(open_dataset("demo", progress=False), DEMO, progress=False)
    experiment.split = experiment.split._replace(test=experiment.split.test[::12])
    plain, transfer = (experiment.agreement(row) for row in ("student", "stat"))
    assert all(a < b for a, b in zip(plain.maps, transfer.maps, strict=True))
    assert plain.weights < transfer.weights
    result = experiment.measure("stat")
    assert result.map_agreement == pytest.approx(sum(transfer.maps) / 4, abs=1e-3)
    assert experiment.measure("teacher").map_agreement is None
