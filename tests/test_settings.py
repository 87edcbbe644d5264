"""What the paper leaves open, read another way: each choice by name, from the name to the loss."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from statkit.attention import TemporalAttention, spatial_attention
from statkit.experiments import Experiment
from statkit.experiments.rows import TABLE_3
from statkit.experiments.settings import DEMO, PARTS, REAL, ExperimentConfig, PaperChoices, change
from statkit.losses import sat_loss
from statkit.runtime.parameters import SIZE, ParameterError, parameters_of
from statkit.sampling import segment_indices
from statkit.schedules import SAT_PHASES, inner_weights

QUICK = replace(
    DEMO,
    frames=replace(DEMO.frames, hr_size=(24, 32)),
    student_size=(12, 16),
    recipe=replace(DEMO.recipe, epochs=1, views=2, batch_size=16),
)


def experiment(dataset, *changes):
    return Experiment(dataset, change(QUICK, changes), device="cpu", progress=False)


def weights_of(one, row):
    return torch.cat([p.flatten() for p in one.network(row).state_dict().values()])


def test_every_name_can_be_changed_and_nothing_else():
    for part, kind in PARTS.items():
        for name, parameter in parameters_of(kind).items():
            value = getattr(getattr(REAL, part), name)
            other = next((c for c in parameter.choices if c != value), value)
            other = 0.5 if other is None else other
            changed = change(REAL, [f"{name}={parameter.words(other)}"])
            assert getattr(getattr(changed, part), name) == other
    assert change(REAL, []) == REAL
    assert change(DEMO, ["tat_targets=softmax", "blur=0", "batchnorm=all"]).frames.blur == 0.0
    assert change(DEMO, ["flips=1"]).choices.flips is True


@pytest.mark.parametrize("part", [*PARTS.values(), ExperimentConfig])
def test_a_field_and_its_declaration_agree(part):
    """Each default is in its own range, and what is out of the range is refused by name."""
    for name, parameter in parameters_of(part).items():
        parameter.check(name, getattr(part(), name))
        wrong = (parameter.least or parameter.above or 0) - 1
        if parameter.choices:
            wrong = "no such choice"
        elif parameter.kind == SIZE:
            wrong = (12, wrong)
        elif parameter.least is None and parameter.above is None:
            wrong = "many"
        with pytest.raises(ParameterError, match=f"{name} is "):
            part(**{name: wrong})


@pytest.mark.parametrize(
    "words",
    [
        "tat_targets",
        "tat_targets=",
        "tat_targets=both",
        "power=3",
        "power=two",
        "offsets=0",
        "phase=-1",
        "nothing=1",
    ]
    + ["rate=fast", "optimizer=lion", "flips=maybe", "views=True"],
)
def test_what_cannot_be_read_is_refused_in_words(words):
    with pytest.raises(ValueError, match=words.partition("=")[0]):
        change(DEMO, [words])


@pytest.mark.parametrize(
    "words", ["channels=max", "power=2", "sizes=upsample", "distance=sum", "tat_targets=softmax"]
)
def test_a_reading_of_the_losses_changes_transfer_and_nothing_before_it(dataset, words):
    ours, other = experiment(dataset), experiment(dataset, words)
    folders = [{row: one.folder(row) for row in TABLE_3} for one in (ours, other)]
    apart = {row for row in TABLE_3 if folders[0][row] != folders[1][row]}
    assert apart == {"sat", "tat", "stat"}
    assert not torch.equal(weights_of(ours, "stat"), weights_of(other, "stat"))
    kept = {one.result("teacher").parameters for one in (ours, other)}
    assert len(kept) == 2  # the same network, told with the choices it was scored under


def test_a_shared_scorer_is_another_network(dataset):
    other = experiment(dataset, "tam=shared")
    assert other.folder("teacher") != experiment(dataset).folder("teacher")
    assert other.network("stat").tam.fc2.out_features == 1
    assert other.result("stat").prec1 >= 0


def test_the_shared_scorer_scores_every_interval_alike():
    tam = TemporalAttention(5, 3, shared=True)
    features = torch.randn(2, 3, 5)
    found, turned = tam(features), tam(features.flip(1))
    assert found.fc1.shape == (2, 3 * 64) and found.fc2.shape == found.weights.shape == (2, 3)
    assert torch.allclose(found.weights.flip(1), turned.weights, atol=1e-6)
    alone = tam.fc2(F.relu(tam.fc1(features[1, 2])))
    assert torch.allclose(found.fc2[1, 2], alone[0], atol=1e-6)


def test_maps_over_time_against_loops():
    rng = torch.Generator().manual_seed(0)
    student, teacher = (torch.rand(2, 3, 4, 5, generator=rng) for _ in range(2))

    def distance(s, t):
        return (s / s.norm() - t / t.norm()).norm()

    pairs = list(zip(student, teacher, strict=True))
    steps = [distance(s[t], q[t]) for s, q in pairs for t in range(3)]
    assert torch.allclose(sat_loss([student], [teacher], time="step"), sum(steps) / 6)
    means = [distance(s.mean(0), q.mean(0)) for s, q in pairs]
    assert torch.allclose(sat_loss([student], [teacher], time="mean"), sum(means) / 2)
    trust = torch.tensor([2.0, 0.5])
    wanted = (2 * sum(steps[:3]) + 0.5 * sum(steps[3:])) / 6
    assert torch.allclose(sat_loss([student], [teacher], time="step", sample_weights=trust), wanted)


def test_the_students_map_is_brought_to_the_teachers_size():
    student, teacher = torch.rand(2, 2, 3), torch.rand(2, 4, 6)
    larger = F.interpolate(student[:, None], size=(4, 6), mode="bilinear")[:, 0]
    wanted = sat_loss([larger], [teacher])
    assert torch.allclose(sat_loss([student], [teacher], sizes="upsample"), wanted)
    assert not torch.allclose(sat_loss([student], [teacher]), wanted)
    with pytest.raises(ValueError, match="sizes"):
        sat_loss([student], [teacher], sizes="square")


def test_mean_over_channels_is_the_sum_after_normalising():
    output, target = torch.randn(2, 7, 3, 4), torch.rand(2, 3, 4)
    maps = [spatial_attention(output, reduction=way) for way in ("sum", "mean", "max")]
    losses = [sat_loss([found], [target]) for found in maps]
    assert torch.allclose(losses[0], losses[1]) and not torch.allclose(losses[0], losses[2])


def test_rolling_cycles_and_its_phase_can_be_set():
    assert inner_weights("rolling", 8, 50, phase=2).sat == SAT_PHASES[3]
    assert inner_weights("rolling", 8, 50, phase=2, cycle=True).sat == SAT_PHASES[0]


def test_more_looks_at_a_test_clip_are_averaged(dataset):
    centre, more = experiment(dataset), experiment(dataset, "flips=1", "offsets=2")
    assert more.folder("student") == centre.folder("student")
    plain, averaged = centre.evaluate("student"), more.evaluate("student")
    assert not torch.allclose(plain.logits, averaged.logits)
    assert torch.equal(plain.weights, averaged.weights)
    mirrored = experiment(dataset, "flips=1").evaluate("student").logits
    store, clips = centre.store, centre.split.test
    turned = store.lr[:, :, :, ::-1]
    assert centre.result("student").parameters != more.result("student").parameters
    one = centre.network("student")
    with torch.no_grad():
        draws = [segment_indices(store.lengths[clip], one.segments)[:, 0] for clip in clips]
        seen = [
            torch.from_numpy(frames[clip][draw].copy()).permute(0, 3, 1, 2)[None] / 255
            for frames in (store.lr, turned)
            for clip, draw in zip(clips, draws, strict=True)
        ]
        logits = one(torch.cat(seen)).logits
    wanted = (logits[: len(clips)] + logits[len(clips) :]) / 2
    assert torch.allclose(mirrored, wanted, atol=0.1)  # half precision where the processor has it


def test_the_flow_streams_weight(dataset):
    one = experiment(dataset, "flow_weight=1.5")
    rgb, flow = (one.evaluate(row).logits.softmax(1) for row in ("student", "flow"))
    fused = one.evaluate("two_stream").logits.softmax(1)
    assert torch.allclose(fused, (rgb + 1.5 * flow) / 2.5, atol=1e-5)


def test_the_defaults_are_the_papers_or_argued():
    assert PaperChoices().non_default() == {}
    assert PaperChoices(tat_targets="softmax", flips=True).non_default(("tat_targets", "tam")) == {
        "tat_targets": "softmax"
    }
