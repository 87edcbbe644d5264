import pytest

from statkit.schedules import rolling_weights, warmup_step_rate


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
