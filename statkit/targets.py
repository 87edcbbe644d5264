"""What the fixed teacher says, computed live or once and kept.

Both give, for a draw, the teacher's attention maps and TAM outputs, which is all that Equations 2
and 3 ask of it. A mirrored map is not the map of the mirrored frame, so each view is computed.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from .attention import TAMOutput
from .datasets import FrameStore, Source
from .device import autocast
from .losses import pool_map
from .models import STATNet
from .progress import progress_bar
from .sampling import Draw


class Target(NamedTuple):
    """Four attention maps ``[B*K, h, w]`` (3-D: ``[B*K, T, h, w]``) and the TAM's outputs."""

    attention_maps: tuple[Tensor, ...]
    tam: TAMOutput


class Teacher(Protocol):
    """A fixed teacher: draw in, target out."""

    def __call__(self, draw: Draw) -> Target: ...


class LiveTeacher:
    """Looks at the HR frames of every batch anew."""

    def __init__(self, network: STATNet, source: Source, *, precision: str = "auto"):
        self.network, self.source, self.precision = network.eval(), source, precision
        self.device = next(network.parameters()).device

    @torch.no_grad()
    def __call__(self, draw: Draw) -> Target:
        temporal = self.network.temporal
        pixels = self.source.pixels(draw, temporal=temporal, device=self.device)
        if not temporal:
            pixels = pixels.contiguous()
        with autocast(self.device, self.precision):
            output = self.network(pixels)
        return Target(output.attention_maps, output.tam)


class KeptTargets:
    """Has looked once at every stored frame of its clips in every view, and remembers.

    Keeps half-precision unit maps, pooled to the student's map sizes, and the frame features, from
    which the teacher's TAM answers for any K frames. For 2-D networks.
    """

    def __init__(
        self,
        teacher: LiveTeacher,
        store: FrameStore,
        clips: np.ndarray,
        *,
        views: int,
        map_sizes: list[tuple[int, int]],
        progress: bool = True,
    ):
        if teacher.network.temporal:
            raise ValueError("targets are kept a frame at a time; use LiveTeacher for 3-D networks")
        self.teacher = teacher
        self.row = np.full(len(store.dataset), -1, np.int64)
        self.row[clips] = np.arange(len(clips))
        length = store.settings.frames_per_clip
        self.maps = [
            torch.zeros(views, len(clips), length, *size, dtype=torch.float16) for size in map_sizes
        ]
        channels = teacher.network.tam.features
        self.features = torch.zeros(views, len(clips), length, channels, dtype=torch.float16)
        self._look(clips, length, views, progress)

    def _look(self, clips: np.ndarray, length: int, views: int, progress: bool) -> None:
        network, segments = self.teacher.network, self.teacher.network.segments
        # The network takes K frames at a time; which ones it takes together does not matter here.
        frames = np.arange(-(-length // segments) * segments).clip(max=length - 1)
        groups = frames.reshape(-1, segments, 1)
        steps = [(view, clip) for view in range(views) for clip in clips]
        per_batch = max(1, 256 // frames.size)
        bar = progress_bar(label="teacher targets", total=len(steps), show=progress)
        for start in range(0, len(steps), per_batch):
            chunk = steps[start : start + per_batch]
            view, clip = (np.repeat(column, len(groups)) for column in np.array(chunk).T)
            draw = Draw(clip, np.tile(groups, (len(chunk), 1, 1)), view)
            pixels = self.teacher.source.pixels(draw, temporal=False, device=self.teacher.device)
            with torch.no_grad(), autocast(self.teacher.device, self.teacher.precision):
                output = network(pixels)
            at = np.array(chunk)[:, 0], self.row[np.array(chunk)[:, 1]]
            self.features[at] = output.features.reshape(len(chunk), -1, network.tam.features)[
                :, :length
            ].to("cpu", torch.float16)
            for kept, found in zip(self.maps, output.attention_maps, strict=True):
                pooled = pool_map(found, kept.shape[-2:])
                unit = torch.nn.functional.normalize(pooled.flatten(1), dim=1).view_as(pooled)
                unit = unit.unflatten(0, (len(chunk), -1))[:, :length]
                kept[at] = unit.to("cpu", torch.float16)
            bar.update(len(chunk))
        bar.close()

    @torch.no_grad()
    def __call__(self, draw: Draw) -> Target:
        device = self.teacher.device
        at = draw.views[:, None], self.row[draw.clips][:, None], draw.frames[..., 0]
        maps = tuple(kept[at].flatten(0, 1).to(device).float() for kept in self.maps)
        features = self.features[at].to(device).float()
        return Target(maps, self.teacher.network.tam(features))
