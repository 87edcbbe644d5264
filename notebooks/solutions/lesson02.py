"""Solutions of lesson 2."""

import torch


def attention_map(output: torch.Tensor, p: float) -> torch.Tensor:
    return (output.abs() ** p).sum(0)


def unit_vector(attention: torch.Tensor) -> torch.Tensor:
    vector = attention.flatten()
    length = vector.norm()
    return vector / length if length > 0 else vector


def on_actor(attention: torch.Tensor, actor: torch.Tensor) -> float:
    return (attention[actor].mean() / attention.mean()).item()
