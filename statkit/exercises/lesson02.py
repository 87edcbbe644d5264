"""Checks of lesson 2, spatial attention."""

from __future__ import annotations

from collections.abc import Callable

import torch


def attention_map(answer: Callable) -> str:
    """``attention_map(output, p)``: ``[C, H, W]`` -> ``[H, W]`` (Equation 1 with a power)."""
    output = torch.tensor([[[1.0, 0.0], [2.0, -1.0]], [[0.0, 3.0], [-2.0, 0.0]]])
    found = answer(output, 1)
    assert tuple(found.shape) == (2, 2), (
        f"channels are summed, rows and columns stay: (2, 2), not {tuple(found.shape)}"
    )
    assert found[1, 0] == 4, f"|2| + |-2| is 4, not {found[1, 0]:g}: take absolute values"
    assert torch.equal(found, torch.tensor([[1.0, 3.0], [4.0, 1.0]])), f"not {found.tolist()}"
    squared = answer(output, 2)
    assert torch.equal(squared, torch.tensor([[1.0, 9.0], [8.0, 1.0]])), (
        f"with p = 2 each |O| is squared before the sum: [[1, 9], [8, 1]], not {squared.tolist()}"
    )
    return "Right. spatial_attention does so for a batch, in float32."


def unit_vector(answer: Callable) -> str:
    """``unit_vector(attention)``: ``[H, W]`` -> ``[H * W]`` of length 1, or zeros."""
    found = answer(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    assert tuple(found.shape) == (4,), f"a vector of 4 is asked for, not {tuple(found.shape)}"
    assert torch.allclose(found, torch.tensor([0.6, 0.0, 0.0, 0.8])), (
        f"3 and 4 have length 5, so 0.6 and 0.8, not {found.tolist()}"
    )
    nothing = answer(torch.zeros(2, 3))
    assert torch.equal(nothing, torch.zeros(6)), f"a map of zeros stays zero, not {nothing[0]:g}"
    assert answer(torch.tensor([[7.0]])).item() == 1
    return "Right. And of a map of one cell nothing is left but a 1."


def on_actor(answer: Callable) -> str:
    """``on_actor(attention, actor)``: mean attention on the actor over mean in the frame."""
    actor = torch.zeros(4, 4, dtype=torch.bool)
    actor[1:3, 1:3] = True
    found = answer(torch.ones(4, 4), actor)
    assert abs(found - 1) < 1e-6, f"attention that is equal everywhere scores 1, not {found:.3f}"
    found = answer(actor.float(), actor)
    assert abs(found - 4) < 1e-6, (
        f"all attention on an actor that covers a quarter of the frame scores 4, not {found:.3f}"
    )
    attention = torch.rand(4, 4, generator=torch.Generator().manual_seed(1))
    right = attention[actor].mean() / attention.mean()
    found = answer(attention, actor)
    assert abs(found - right) < 1e-5, f"one map scores {right:.3f}, your answer is {found:.3f}"
    return "Right. attention_on_actor does so, with the mask pooled to the map's size."
