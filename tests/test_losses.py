import math
from types import SimpleNamespace

import pytest
import torch

from statkit.losses import (
    STATLoss,
    confidence_weights,
    kd_loss,
    sat_loss,
    specific_part,
    tat_loss,
)


def naive(student, teacher, weights, reduction):
    """Equations 2 and 3 with loops over plain numbers."""
    total = 0.0
    for weight, s, t in zip(weights, student, teacher, strict=True):
        per_sample = []
        for a, b in zip(s.flatten(1).tolist(), t.flatten(1).tolist(), strict=True):
            length_a, length_b = (math.sqrt(sum(v * v for v in vec)) or 1.0 for vec in (a, b))
            squares = [(x / length_a - y / length_b) ** 2 for x, y in zip(a, b, strict=True)]
            value = {
                "norm": math.sqrt(sum(squares)),
                "sum": sum(squares),
                "mean": sum(squares) / len(squares),
            }
            per_sample.append(value[reduction])
        total += weight * sum(per_sample) / len(per_sample)
    return total


def maps(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(s, generator=generator, dtype=torch.float64) for s in shapes]


SHAPES = [(3, 8, 11), (3, 4, 6), (3, 2, 5, 3), (3, 1, 2)]


@pytest.mark.parametrize("reduction", ["norm", "sum", "mean"])
@pytest.mark.parametrize("weights", [None, (0.4, 0.3, 0.2, 0.1)])
def test_equation_2_against_loops(reduction, weights):
    student, teacher = maps(*SHAPES, seed=1), maps(*SHAPES, seed=2)
    expected = naive(student, teacher, weights or [0.25] * 4, reduction)
    found = sat_loss(student, teacher, weights, distance=reduction)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_equation_3_against_loops():
    student, teacher = maps((5, 64), (5, 8), seed=1), maps((5, 64), (5, 8), seed=2)
    expected = naive(student, teacher, (2 / 3, 1 / 3), "norm")
    assert tat_loss(student, teacher, (2 / 3, 1 / 3)).item() == pytest.approx(expected, rel=1e-12)


def test_a_number_worked_by_hand():
    # (3, 4) -> (.6, .8) and (1, 0): the difference (-.4, .8) has length sqrt(.8).
    student, teacher = torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[1.0, 0.0]]])
    assert sat_loss([student], [teacher]).item() == pytest.approx(math.sqrt(0.8))
    assert sat_loss([student], [7 * student]).item() == pytest.approx(0, abs=1e-6)


def test_gradients_against_finite_differences():
    student, teacher = maps((2, 4, 5), (2, 3, 3), seed=1), maps((2, 8, 5), (2, 3, 6), seed=2)
    for values in student:
        values.requires_grad_(True)
    for reduction in ("norm", "sum", "mean"):
        assert torch.autograd.gradcheck(
            lambda *s, kind=reduction: sat_loss(s, teacher, distance=kind), student
        )


def test_no_gradient_reaches_the_teacher():
    student, teacher = (torch.rand(2, 3, 3, requires_grad=True) for _ in range(2))
    sat_loss([student], [teacher]).backward()
    assert student.grad.abs().sum() > 0 and teacher.grad is None


def test_the_larger_axis_is_area_pooled_on_either_side():
    student, teacher = maps((2, 4, 6), seed=1)[0], maps((2, 8, 3), seed=2)[0]
    pooled_s = student.reshape(2, 4, 3, 2).mean(3)
    pooled_t = teacher.reshape(2, 4, 2, 3).mean(2)
    expected = sat_loss([pooled_s], [pooled_t])
    assert sat_loss([student], [teacher]).item() == pytest.approx(expected.item())


def test_an_empty_map_stays_empty_and_its_gradient_finite():
    student = torch.zeros(2, 3, 3, requires_grad=True)
    loss = sat_loss([student], [torch.ones(2, 3, 3)])
    loss.backward()
    assert loss.item() == pytest.approx(1) and student.grad.isfinite().all()


def test_one_pixel_maps_teach_nothing():
    student = torch.rand(4, 1, 1, requires_grad=True)
    loss = sat_loss([student], [torch.rand(4, 1, 1)])
    loss.backward()
    assert loss.item() < 1e-6 and student.grad.abs().max() < 1e-6


def output(seed):
    generator = torch.Generator().manual_seed(seed)
    fc2 = torch.randn(4, 8, generator=generator)
    tam = SimpleNamespace(
        fc1=torch.randn(4, 64, generator=generator), fc2=fc2, weights=fc2.softmax(1)
    )
    return SimpleNamespace(
        logits=torch.randn(4, 12, generator=generator, requires_grad=True),
        attention_maps=[torch.rand(32, 3, 4, generator=generator) for _ in range(4)],
        tam=tam,
    )


def test_equation_4_is_the_weighted_sum_and_reports_its_parts():
    student, teacher, labels = output(1), output(2), torch.arange(4)
    parts = STATLoss(ce=0.5, sat=0.3, tat=0.2)(student, labels, teacher)
    ce = torch.nn.functional.cross_entropy(student.logits, labels)
    sat = sat_loss(student.attention_maps, teacher.attention_maps)
    tat = tat_loss([student.tam.fc1, student.tam.fc2], [teacher.tam.fc1, teacher.tam.fc2])
    assert parts.total.item() == pytest.approx((0.5 * ce + 0.3 * sat + 0.2 * tat).item())
    assert parts.values() == pytest.approx(
        {
            "total": parts.total.item(),
            "ce": ce.item(),
            "sat": sat.item(),
            "tat": tat.item(),
            "kd": 0,
        }
    )


def test_the_control_compares_with_the_next_clip_of_the_batch():
    student, teacher, labels = output(1), output(2), torch.arange(4)
    parts = STATLoss(other_clip=True)(student, labels, teacher)
    frames = [8 * clip + k for clip in (1, 2, 3, 0) for k in range(8)]
    sat = sat_loss(student.attention_maps, [maps[frames] for maps in teacher.attention_maps])
    theirs = [values[[1, 2, 3, 0]] for values in (teacher.tam.fc1, teacher.tam.fc2)]
    tat = tat_loss([student.tam.fc1, student.tam.fc2], theirs)
    assert (parts.sat.item(), parts.tat.item()) == pytest.approx((sat.item(), tat.item()))
    own = STATLoss()(student, labels, teacher)
    assert own.sat.item() != pytest.approx(sat.item())
    assert own.tat.item() != pytest.approx(tat.item())


def test_distillation_by_hand():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[4 * math.log(3), 0.0]])
    # At temperature 4 the teacher says 3/4 and 1/4, the student 1/2 and 1/2.
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert kd_loss(student, teacher).item() == pytest.approx(16 * divergence, rel=1e-5)
    assert kd_loss(teacher, teacher).item() == pytest.approx(0, abs=1e-6)
    alone = STATLoss(ce=0, sat=0, tat=0, kd=1)
    fake = [
        SimpleNamespace(**{**vars(output(1)), "logits": values}) for values in (student, teacher)
    ]
    assert alone(fake[0], None, fake[1]).total.item() == pytest.approx(16 * divergence, rel=1e-5)


def test_trust_follows_the_teachers_answer_and_its_temporal_weights():
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
    weights = torch.tensor([[0.75, 0.25, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    trust = confidence_weights(logits, weights, torch.tensor([0, 0]))
    assert trust.clips.tolist() == pytest.approx([0.9, 0.2])
    assert trust.frames.tolist() == pytest.approx([2.7, 0.9, 0, 0, 0.2, 0.2, 0.2, 0.2])
    without_label = confidence_weights(logits, weights)
    assert without_label.clips.tolist() == pytest.approx([0.9, 0.8])
    sure = confidence_weights(
        torch.tensor([[99.0, 0.0]]), torch.full((1, 4), 0.25), torch.tensor([0])
    )
    assert sure.clips.tolist() == [1] and sure.frames.tolist() == [1] * 4


def test_a_sample_without_trust_teaches_nothing():
    student, teacher = maps((4, 3, 4), seed=1), maps((4, 3, 4), seed=2)
    trust = torch.tensor([1.0, 0, 2, 0], dtype=torch.float64)
    one = [sat_loss([student[0][i : i + 1]], [teacher[0][i : i + 1]]) for i in (0, 2)]
    found = sat_loss(student, teacher, sample_weights=trust)
    assert found.item() == pytest.approx((one[0] + 2 * one[1]).item() / 4)
    confident = STATLoss(confident=True)
    fair = STATLoss()
    pupil, sure = output(1), output(2)
    sure.logits = 99 * torch.nn.functional.one_hot(torch.arange(4), 12).float()
    sure.tam.weights = torch.full((4, 8), 1 / 8)
    labels = torch.arange(4)
    assert confident(pupil, labels, sure).total.item() == pytest.approx(
        fair(pupil, labels, sure).total.item()
    )


def test_the_softmax_reading_ignores_a_shift_of_fc2():
    student, teacher = output(1), output(1)
    teacher.tam.fc2 = teacher.tam.fc2 + 5
    labels = torch.arange(4)
    assert STATLoss(tat_targets="softmax")(student, labels, teacher).tat.item() < 1e-6
    assert STATLoss(tat_targets="paper")(student, labels, teacher).tat.item() > 0.1


def test_unlabelled_video_needs_no_labels_and_the_rest_is_refused_in_words():
    student, teacher = output(1), output(2)
    assert STATLoss(ce=0, sat=0.5, tat=0.5)(student, None, teacher).total > 0
    with pytest.raises(ValueError, match="no labels"):
        STATLoss()(student, None, teacher)
    with pytest.raises(ValueError, match="no teacher"):
        STATLoss()(student, torch.arange(4))
    with pytest.raises(ValueError, match="negative"):
        STATLoss(ce=-1)
    with pytest.raises(ValueError, match="3 weights for 4 pairs"):
        sat_loss(student.attention_maps, teacher.attention_maps, (1, 1, 1))


def test_what_is_specific_to_a_clip_by_hand():
    """Unit maps (1, 0) and (0, 1) less their mean (1/2, 1/2): (1, -1) and (-1, 1), scaled."""
    student = torch.tensor([[[3.0, 0.0]], [[0.0, 5.0]]])
    assert specific_part(torch.eye(2)).tolist() == [[0.5, -0.5], [-0.5, 0.5]]
    alike = torch.tensor([[[3.0, 1.0]], [[1.0, 3.0]]])  # the same on a constant ground
    assert sat_loss([student], [alike]).item() > 0.3
    assert sat_loss([student], [alike], specific=True).item() == pytest.approx(0, abs=1e-6)
    opposite = alike.flip(0)
    assert sat_loss([student], [opposite], specific=True).item() == pytest.approx(2)
    outputs = [values.flatten(1) for values in (student, alike, opposite)]
    assert tat_loss(outputs[:1], outputs[1:2], specific=True).item() == pytest.approx(0, abs=1e-6)
    assert tat_loss(outputs[:1], outputs[2:], specific=True).item() == pytest.approx(2)


def test_the_specific_loss_against_loops():
    student, teacher = maps(*SHAPES, seed=1), maps(*SHAPES, seed=2)

    def centred(values):
        units = [
            [v / math.sqrt(sum(x * x for x in row)) for v in row]
            for row in values.flatten(1).tolist()
        ]
        mean = [sum(column) / len(units) for column in zip(*units, strict=True)]
        rows = [[v - m for v, m in zip(row, mean, strict=True)] for row in units]
        return torch.tensor(rows, dtype=torch.float64)

    pairs = [[centred(values) for values in side] for side in (student, teacher)]
    expected = naive(*pairs, [0.25] * 4, "norm")
    assert sat_loss(student, teacher, specific=True).item() == pytest.approx(expected, rel=1e-12)


def test_equal_maps_have_nothing_specific():
    """Rounding errors of equal maps must not become a direction; a single clip has no mean."""
    same = torch.rand(1, 4, 5).repeat(7, 1, 1).requires_grad_()
    other = torch.rand(7, 4, 5)
    found = sat_loss([same], [other], specific=True)
    assert found.item() == pytest.approx(1, abs=0.02)  # zero against unit vectors
    assert sat_loss([same], [other[:1].repeat(7, 1, 1)], specific=True).item() < 0.1
    alone = sat_loss([same[:1]], [other[:1]], specific=True)
    alone.backward()
    assert alone.item() == 0 and torch.isfinite(same.grad).all()
