"""The networks: a backbone of four residual blocks, the temporal attention module, one linear
head (paper, Sections 3.1.3 and 4.2). Teacher and student are the same network; only their input
differs."""

from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from statkit.errors import StatkitError

from .attention import TAMOutput, TemporalAttention, spatial_attention
from .backbones import MODELS, _load_backbone, download_weights, find_weights

BATCHNORM = ("train", "partial", "all")  # layers that train: all, the first, none


class NetOutput(NamedTuple):
    """All outputs of a network for a batch of B clips, K intervals each.

    Attributes:
        logits: ``[B, classes]``.
        block_outputs: four tensors ``[B*K, C_i, H_i, W_i]`` (3-D: ``[B*K, C_i, T_i, H_i, W_i]``).
        attention_maps: Equation 1 of each, float32 ``[B*K, H_i, W_i]`` (``[B*K, T_i, H_i, W_i]``).
        features: ``[B, K, C]``, one vector per interval.
        tam: temporal attention, see :class:`statkit.attention.TAMOutput`.
        embedding: ``[B, C]``, the video-level result sum_k a_k f_k (Section 3.1.2).
    """

    logits: Tensor
    block_outputs: tuple[Tensor, ...]
    attention_maps: tuple[Tensor, ...]
    features: Tensor
    tam: TAMOutput
    embedding: Tensor


def build_model(
    name: str,
    num_classes: int,
    segments: int | None = None,
    *,
    pretrained: bool | str | Path = False,
    small_stem: bool = False,
    shared_tam: bool = False,
) -> "STATNet":
    """Build a network by name, one of :data:`statkit.backbones.MODELS`.

    Args:
        segments: K; the paper's value for that backbone when None.
        pretrained: True for torchvision's weights (or, where $STATKIT_WEIGHTS names a folder with
            a file ``NAME*.pth``, that file, and nothing is downloaded), or a file with a state dict
            of the backbone (its head is ignored).
        small_stem: no stride before the first block, for native 12x16 input (2-D only). With the
            normal stem, 12x16 frames end in 1x1 maps, and Equation 2 is always 0 on 1x1 maps.
        shared_tam: see :class:`statkit.attention.TemporalAttention`.

    Raises:
        ValueError: unknown name, no such pretrained weights, a file that does not fit.
    """
    if name not in MODELS:
        raise StatkitError(f"model {name!r} is not one of {sorted(MODELS)}")
    architecture = MODELS[name]
    weights = find_weights(name, pretrained)
    backbone: Any = architecture.build()
    if isinstance(weights, str | Path):
        _load_backbone(backbone, weights)
    elif weights:
        backbone.load_state_dict(download_weights(architecture))
    if small_stem:
        if architecture.temporal:
            raise StatkitError(f"small_stem is for 2-D backbones, {name!r} is 3-D")
        backbone.conv1.stride = (1, 1)
        backbone.maxpool = nn.Identity()
    segments = segments or architecture.segments
    return STATNet(name, backbone, num_classes, segments, shared_tam=shared_tam)


class STATNet(nn.Module):
    """Backbone -> four blocks with attention maps -> K features -> TAM -> head.

    Input: float RGB in 0..1, ``[B, K, 3, H, W]`` for a 2-D backbone, ``[B, K, 3, T, H, W]`` for a
    3-D one; the network normalises it. ``power`` and ``channels`` define the attention maps
    (p and ``reduction`` of :func:`statkit.attention.spatial_attention`).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, backbone: Any, num_classes: int, segments: int, *, shared_tam: bool = False
    ):
        super().__init__()
        architecture = MODELS[name]
        self.name, self.segments, self.temporal = name, segments, architecture.temporal
        self.frames_per_segment = architecture.frames_per_segment
        self.batchnorm = "train"
        self.power, self.channels = 1, "sum"
        if architecture.temporal:
            self.stem = backbone.stem
        else:
            layers = backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool
            self.stem = nn.Sequential(*layers)
        self.blocks = nn.ModuleList(getattr(backbone, f"layer{i}") for i in range(1, 5))
        self.tam = TemporalAttention(architecture.channels, segments, shared=shared_tam)
        self.head = nn.Linear(architecture.channels, num_classes)
        shape = (1, 3) + (1,) * (3 if self.temporal else 2)
        self.register_buffer("mean", torch.tensor(architecture.mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(architecture.std).view(shape), persistent=False)

    def forward(self, clips: Tensor) -> NetOutput:
        axes = 6 if self.temporal else 5
        if clips.ndim != axes or clips.shape[1] != self.segments or clips.shape[2] != 3:
            shape = f"[B, {self.segments}, 3, {'T, ' if self.temporal else ''}H, W]"
            raise ValueError(f"{self.name} takes {shape}, got {list(clips.shape)}")
        x = self.stem((clips.flatten(0, 1) - self.mean) / self.std)
        outputs = []
        for block in self.blocks:
            x = _through(block, x)
            outputs.append(x)
        features = x.flatten(2).mean(2).float().unflatten(0, (-1, self.segments))
        # Always in float32: it costs little, and the losses compare these values.
        with torch.autocast(x.device.type, enabled=False):
            logits, tam, embedding = self.video_level(features)
        maps = tuple(
            spatial_attention(output, self.power, reduction=self.channels) for output in outputs
        )
        return NetOutput(logits, tuple(outputs), maps, features, tam, embedding)

    def video_level(self, features: Tensor) -> tuple[Tensor, TAMOutput, Tensor]:
        """Features ``[B, K, C]`` -> logits, TAM output, embedding (Section 3.1.2, Figure 3)."""
        tam = self.tam(features)
        embedding = (tam.weights.unsqueeze(-1) * features).sum(1)
        return self.head(embedding), tam, embedding

    def train(self, mode: bool = True) -> Self:
        """Like ``nn.Module.train``, but frozen batch normalisation stays in evaluation mode."""
        super().train(mode)
        for layer in self._batchnorm_layers()[1]:
            layer.eval()
        return self

    def freeze_batchnorm(self, which: str = "partial") -> Self:
        """Section 3.1.3: freeze statistics and affine weights of batch normalisation, 2-D and 3-D:
        "partial" (all but the first layer, as in the paper), "all", or "train" (none)."""
        if which not in BATCHNORM:
            raise ValueError(f"which is one of {BATCHNORM}, got {which!r}")
        self.batchnorm = which
        learning, frozen = self._batchnorm_layers()
        for layer in learning + frozen:
            layer.requires_grad_(layer in learning)
        return self.train(self.training)

    def _batchnorm_layers(self) -> tuple[list[_BatchNorm], list[_BatchNorm]]:
        """The layers of batch normalisation that learn, and those that are frozen."""
        layers = [layer for layer in self.modules() if isinstance(layer, _BatchNorm)]
        learning = {"train": len(layers), "partial": 1, "all": 0}[self.batchnorm]
        return layers[:learning], layers[learning:]


def _through(block: nn.Module, values: Tensor) -> Tensor:
    """``block(values)``; on the CPU in float32 if the values ``[N, C, ...]`` have a single pixel.
    The reason: for a strided convolution on one pixel, PyTorch 2.15's bfloat16 gradient is
    uninitialised memory."""
    if values.device.type == "cpu" and values.shape[2:].numel() == 1:
        with torch.autocast("cpu", enabled=False):
            return block(values.float())
    return block(values)
