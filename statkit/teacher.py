"""What the fixed teacher says, computed live or once and kept.

Both give, for a draw, the teacher's attention maps and TAM outputs, which is all that Equations 2
and 3 ask of it. A mirrored map is not the map of the mirrored frame, so each view is computed.

Targets are kept in a folder ``targets/KEY`` of the cache: ``features.npy`` and ``map1.npy`` to
``map4.npy``, half precision, read where they lie (memory-mapped), so that an epoch needs the memory
of its batch, whatever the number of clips. KEY changes with all that they are made of.
"""

from __future__ import annotations

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
    answer ``[B, classes]``."""

    attention_maps: tuple[Tensor, ...]
    tam: TAMOutput
    logits: Tensor


class Teacher(Protocol):
    """A fixed teacher: draw in, target out. What it reads from memory or disk for a draw can be
    gathered beforehand, in a thread."""

    def gather(self, draw: BatchIndex) -> Any: ...

    def __call__(self, draw: BatchIndex, gathered: Any = None) -> Target: ...


class LiveTeacher:
    """Looks at the HR frames of every batch anew.

    With a copy of the network: in channels-last order a 2-D one looks up to twice as fast on a
    processor, and the original goes on giving the very same answers as before.
    """

    def __init__(self, network: STATNet, source: Source, *, precision: str = "auto"):
        self.network, self.source, self.precision = copy.deepcopy(network).eval(), source, precision
        if not network.temporal:
            self.network.to(memory_format=torch.channels_last)
        self.device = next(network.parameters()).device

    def gather(self, draw: BatchIndex) -> Tensor | None:
        """The HR frames of a draw, see :meth:`statkit.data.stored.Source.gather`."""
        return self.source.gather(draw, self.device)

    @torch.no_grad()
    def __call__(self, draw: BatchIndex, gathered: Tensor | None = None) -> Target:
        temporal = self.network.temporal
        pixels = self.source.pixels(draw, temporal=temporal, device=self.device, gathered=gathered)
        with autocast(self.device, self.precision, temporal=temporal):
            output = self.network(pixels)
        return Target(output.attention_maps, output.tam, output.logits)
