import pytest
import torch

from statkit.attention import TemporalAttention, spatial_attention


@pytest.mark.parametrize("shape", [(2, 5, 3, 4), (2, 5, 3, 4, 6)])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
def test_equation_1_against_loops(shape, p, reduction):
    output = torch.randn(shape, dtype=torch.float64)
    flat = output.flatten(2)
    expected = torch.zeros(shape[0], flat.shape[2], dtype=torch.float64)
    for n in range(shape[0]):
        for place in range(flat.shape[2]):
            values = [abs(float(flat[n, c, place])) ** p for c in range(shape[1])]
            total = {"sum": sum(values), "mean": sum(values) / len(values), "max": max(values)}
            expected[n, place] = total[reduction]
    found = spatial_attention(output, p, reduction=reduction)
    assert found.shape == (shape[0], *shape[2:])
    assert torch.allclose(found.flatten(1), expected)


def test_half_precision_does_not_overflow():
    output = torch.full((1, 64, 2, 2), 300.0, dtype=torch.float16)
    assert spatial_attention(output, p=2).isfinite().all()


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got shape \(2, 3, 4\)"):
        spatial_attention(torch.zeros(2, 3, 4))


def test_temporal_attention_is_figure_3():
    torch.manual_seed(0)
    module = TemporalAttention(6, segments=4, hidden=5)
    features = torch.randn(3, 4, 6)
    out = module(features)
    stacked = features.reshape(3, 24)
    fc1 = stacked @ module.fc1.weight.T + module.fc1.bias
    fc2 = fc1.clamp(min=0) @ module.fc2.weight.T + module.fc2.bias
    weights = fc2.exp() / fc2.exp().sum(1, keepdim=True)
    assert torch.allclose(out.fc1, fc1, atol=1e-6) and torch.allclose(out.fc2, fc2, atol=1e-6)
    assert torch.allclose(out.weights, weights, atol=1e-6)
    assert torch.allclose(out.weights.sum(1), torch.ones(3))


def test_another_number_of_segments_is_refused():
    with pytest.raises(ValueError, match=r"takes \[B, 4, 6\], got \[3, 5, 6\]"):
        TemporalAttention(6, 4)(torch.zeros(3, 5, 6))
