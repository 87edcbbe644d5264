import pytest

from statkit.schedules import SCHEDULES, inner_weights, rolling_weights, warmup_step_rate


def test_the_papers_four_phases_of_ten_epochs():
    expected = [(40, 30, 20, 10), (30, 40, 20, 10), (20, 30, 40, 10), (10, 20, 30, 40)]
    for epoch in range(40):
        found = rolling_weights(epoch)
        assert [round(100 * w) for w in found.sat] == list(expected[epoch // 10])
        assert sum(found.sat) == pytest.approx(1) and sum(found.tat) == pytest.approx(1)
        first = 2 / 3 if epoch // 10 % 2 == 0 else 1 / 3
        assert found.tat == pytest.approx((first, 1 - first))


def test_the_last_phase_is_held_or_the_phases_cycle():
    assert rolling_weights(77) == rolling_weights(39)
    assert rolling_weights(40, cycle=True) == rolling_weights(0)
    assert rolling_weights(5, period=2) == rolling_weights(25)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="epoch=-1"):
        rolling_weights(-1)


def test_the_papers_learning_rate():
    rates = [warmup_step_rate(epoch) for epoch in range(50)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:20] == pytest.approx([1.0] * 15)
    assert rates[20:40] == pytest.approx([0.1] * 20) and rates[40:] == pytest.approx([0.01] * 10)


def test_the_rows_of_table_1():
    for schedule in SCHEDULES:
        for epoch in (0, 13, 49):
            found = inner_weights(schedule, epoch, 50)
            assert sum(found.sat) == pytest.approx(1) and sum(found.tat) == pytest.approx(1)
    assert inner_weights("rolling", 13, 50) == rolling_weights(13)
    assert inner_weights("rolling", 5, 20) == rolling_weights(13)
    assert inner_weights("last", 3, 20).sat == (0, 0, 0, 1)
    assert inner_weights("increasing", 0, 20).sat == pytest.approx([n / 15 for n in (1, 2, 4, 8)])
    with pytest.raises(ValueError, match="'sideways'"):
        inner_weights("sideways", 0, 20)


def test_a_schedule_of_ones_own():
    phases = ((2, 0, 0, 0), (1, 1, 1, 1))
    assert inner_weights(phases, 9, 20).sat == (1, 0, 0, 0)
    assert inner_weights(phases, 10, 20).sat == (0.25,) * 4
    assert inner_weights(phases, 19, 20).tat == (0.5, 0.5)
    with pytest.raises(ValueError, match="four weights"):
        inner_weights(((1, 2, 3),), 0, 20)
