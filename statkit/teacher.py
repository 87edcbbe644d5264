"""The outputs of the fixed teacher for a batch: attention maps and TAM outputs, all that Equations
2 and 3 need. Here they are computed live; :mod:`statkit.experiments.targets` caches them."""

import copy
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from .attention import TAMOutput
from .data.stored import Source
from .models import STATNet
from .runtime.device import autocast
from .sampling import BatchIndex


class Target(NamedTuple):
    """Four attention maps ``[B*K, h, w]`` (3-D: ``[B*K, T, h, w]``), the TAM's outputs, and the
    logits ``[B, classes]``."""

    attention_maps: tuple[Tensor, ...]
    tam: TAMOutput
    logits: Tensor


class Teacher(Protocol):
    """``gather`` reads the data of a batch from memory or disk; a thread can call it beforehand."""

    def gather(self, draw: BatchIndex) -> Any: ...

    def __call__(self, draw: BatchIndex, gathered: Any = None) -> Target: ...


class LiveTeacher:
    """A teacher that processes the HR frames of every batch again, with a copy of the network: in
    channels-last order a 2-D network is up to twice as fast on a CPU."""

    def __init__(self, network: STATNet, source: Source, *, precision: str = "auto"):
        self.network, self.source, self.precision = copy.deepcopy(network).eval(), source, precision
        if not network.temporal:
            self.network.to(memory_format=torch.channels_last)
        self.device = next(network.parameters()).device

    def gather(self, draw: BatchIndex) -> Tensor | None:
        """The HR frames of a batch, see :meth:`statkit.data.stored.Source.gather`."""
        return self.source.gather(draw, self.device)

    @torch.no_grad()
    def __call__(self, draw: BatchIndex, gathered: Tensor | None = None) -> Target:
        temporal = self.network.temporal
        pixels = self.source.pixels(draw, temporal=temporal, device=self.device, gathered=gathered)
        with autocast(self.device, self.precision, temporal=temporal):
            output = self.network(pixels)
        return Target(output.attention_maps, output.tam, output.logits)
