"""The networks: a backbone of four residual blocks, the temporal attention module, one linear
head (paper, Sections 3.1.3 and 4.2). Teacher and student are the same network; only their input
differs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import resnet
from torchvision.models.video import resnet as video_resnet

from .attention import TAMOutput, TemporalAttention, spatial_attention
from .device import through


class NetOutput(NamedTuple):
    """All that a network says of a batch of B clips, K intervals each.

    Attributes:
        logits: ``[B, classes]``.
        block_outputs: four tensors ``[B*K, C_i, H_i, W_i]`` (3-D: ``[B*K, C_i, T_i, H_i, W_i]``).
        attention_maps: Equation 1 of each, float32 ``[B*K, H_i, W_i]`` (``[B*K, T_i, H_i, W_i]``).
        features: ``[B, K, C]``, one vector an interval.
        tam: temporal attention, see :class:`statkit.attention.TAMOutput`.
        embedding: ``[B, C]``, the video-level result sum_k a_k f_k (Section 3.1.2).
    """

    logits: Tensor
    block_outputs: tuple[Tensor, ...]
    attention_maps: tuple[Tensor, ...]
    features: Tensor
    tam: TAMOutput
    embedding: Tensor


@dataclass(frozen=True)
class Architecture:
    """How to build a backbone, and how the paper feeds it.

    ``build(weights)`` returns a torchvision-like network with ``layer1`` to ``layer4``.
    """

    build: Callable[..., nn.Module]
    channels: int
    segments: int
    frames_per_segment: int = 1
    weights: object = None
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def temporal(self) -> bool:
        """Whether the backbone is 3-D: its input then has a time axis."""
        return self.frames_per_segment > 1


def build_model(
    name: str,
    num_classes: int,
    segments: int | None = None,
    *,
    pretrained: bool | str | Path = False,
    small_stem: bool = False,
    shared_tam: bool = False,
) -> STATNet:
    """Build a network by name, one of ``MODELS``.

    Args:
        name: "resnet34", "resnet18", "r2plus1d_18", "r2plus1d_34", or the small "demo" network.
        num_classes: outputs of the head.
        segments: K; the paper's value for that backbone when None.
        pretrained: True for torchvision's weights (or, where $STATKIT_WEIGHTS names a folder with
            a file ``NAME*.pth``, that file, and nothing is downloaded), or a file with a state dict
            of the backbone (its head is ignored).
        small_stem: no striding before the first block, for native 12x16 input (2-D only). Fed as
            they are, 12x16 frames end in 1x1 maps, on which Equation 2 is always 0.
        shared_tam: see :class:`statkit.attention.TemporalAttention`.

    Raises:
        ValueError: unknown name, no such pretrained weights, a file that does not fit.
    """
    if name not in MODELS:
        raise ValueError(f"model {name!r} is not one of {sorted(MODELS)}")
    architecture = MODELS[name]
    weights = None
    if pretrained is True:
        pretrained = _weights_at_hand(name) or True
    if pretrained is True:
        if architecture.weights is None:
            raise ValueError(f"torchvision has no pretrained weights for {name!r}")
        weights = architecture.weights
    backbone = architecture.build(weights=weights)
    if isinstance(pretrained, str | Path):
        _load_backbone(backbone, pretrained)
    if small_stem:
        if architecture.temporal:
            raise ValueError(f"small_stem is for 2-D backbones, {name!r} is 3-D")
        backbone.conv1.stride = (1, 1)
        backbone.maxpool = nn.Identity()
    return STATNet(
        name, backbone, num_classes, segments or architecture.segments, shared_tam=shared_tam
    )


class STATNet(nn.Module):
    """Backbone -> four blocks with attention maps -> K features -> TAM -> head.

    Input: float RGB in 0..1, ``[B, K, 3, H, W]`` for a 2-D backbone, ``[B, K, 3, T, H, W]`` for a
    3-D one; it is normalised inside. ``power`` and ``channels`` say how its attention maps are made
    (p and ``reduction`` of :func:`statkit.attention.spatial_attention`).
    """

    def __init__(
        self,
        name: str,
        backbone: nn.Module,
        num_classes: int,
        segments: int,
        *,
        shared_tam: bool = False,
    ):
        super().__init__()
        architecture = MODELS[name]
        self.name, self.segments, self.temporal = name, segments, architecture.temporal
        self.num_classes = num_classes
        self.batchnorm = "train"
        self.power, self.channels = 1, "sum"
        self.stem = _stem(backbone)
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
            x = through(block, x)
            outputs.append(x)
        features = x.flatten(2).mean(2).float().unflatten(0, (-1, self.segments))
        # Cheap, and what the losses compare: always in float32.
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

    def train(self, mode: bool = True) -> STATNet:
        """As usual, but frozen batch normalisation stays in evaluation mode."""
        super().train(mode)
        for layer in self._frozen_batchnorm():
            layer.eval()
        return self

    def freeze_batchnorm(self, which: str = "partial") -> STATNet:
        """Section 3.1.3: freeze statistics and affine weights of batch normalisation, 2-D and 3-D.

        Args:
            which: "partial" (all but the first layer, as in the paper), "all", or "train" (none).
        """
        if which not in ("partial", "all", "train"):
            raise ValueError(f"which is 'partial', 'all' or 'train', got {which!r}")
        self.batchnorm = which
        for layer in self._batchnorm_layers():
            layer.requires_grad_(True)
        for layer in self._frozen_batchnorm():
            layer.requires_grad_(False)
        return self.train(self.training)

    def backbone_parameters(self) -> list[nn.Parameter]:
        """The pretrained part, which deserves a smaller learning rate than TAM and head."""
        return [*self.stem.parameters(), *self.blocks.parameters()]

    def head_parameters(self) -> list[nn.Parameter]:
        """TAM and head, which start from nothing."""
        return [*self.tam.parameters(), *self.head.parameters()]

    def _batchnorm_layers(self) -> list[_BatchNorm]:
        return [layer for layer in self.modules() if isinstance(layer, _BatchNorm)]

    def _frozen_batchnorm(self) -> list[_BatchNorm]:
        if self.batchnorm == "train":
            return []
        return self._batchnorm_layers()[1 if self.batchnorm == "partial" else 0 :]


def _stem(backbone: nn.Module) -> nn.Module:
    """What comes before the first block: 3-D networks have a ``stem``, 2-D ones four layers."""
    if hasattr(backbone, "stem"):
        return backbone.stem
    return nn.Sequential(backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool)


def _weights_at_hand(name: str) -> Path | None:
    folder = os.environ.get("STATKIT_WEIGHTS")
    return min(Path(folder).glob(f"{name}*.pth"), default=None) if folder else None


def _load_backbone(backbone: nn.Module, path: str | Path) -> None:
    if not Path(path).is_file():
        raise ValueError(f"no weights at {path}")
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        missing, extra = backbone.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit this backbone: {error}") from error
    # Files of older PyTorch lack the batch counters, which nothing here reads.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    wrong = [key for key in [*missing, *extra] if not key.startswith("fc.")]
    if wrong:
        raise ValueError(f"{path} does not fit this backbone: {len(wrong)} keys, e.g. {wrong[:3]}")


class _DemoBackbone(nn.Module):
    """A ResNet with one basic block a stage and 16 to 128 channels, for a laptop's CPU.

    The last stage keeps its size (stride 16 in all), so that small frames leave a map to look at.
    """

    def __init__(self, weights: object = None, width: int = 16):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = resnet.BasicBlock(width, width)
        for stage in (2, 3, 4):
            inputs, outputs = width * 2 ** (stage - 2), width * 2 ** (stage - 1)
            stride = 2 if stage < 4 else 1
            shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
            setattr(self, f"layer{stage}", resnet.BasicBlock(inputs, outputs, stride, shortcut))


def _r2plus1d_34(weights: object = None) -> nn.Module:
    """R(2+1)D with ResNet-34's block counts, which torchvision does not name."""
    return video_resnet.VideoResNet(
        video_resnet.BasicBlock,
        [video_resnet.Conv2Plus1D] * 4,
        [3, 4, 6, 3],
        video_resnet.R2Plus1dStem,
    )


_KINETICS = {"mean": (0.43216, 0.394666, 0.37645), "std": (0.22803, 0.22145, 0.216989)}

MODELS = {
    "demo": Architecture(_DemoBackbone, channels=128, segments=8),
    "resnet18": Architecture(
        resnet.resnet18, channels=512, segments=8, weights=resnet.ResNet18_Weights.DEFAULT
    ),
    "resnet34": Architecture(
        resnet.resnet34, channels=512, segments=8, weights=resnet.ResNet34_Weights.DEFAULT
    ),
    "r2plus1d_18": Architecture(
        video_resnet.r2plus1d_18,
        channels=512,
        segments=4,
        frames_per_segment=5,
        weights=video_resnet.R2Plus1D_18_Weights.DEFAULT,
        **_KINETICS,
    ),
    "r2plus1d_34": Architecture(
        _r2plus1d_34, channels=512, segments=4, frames_per_segment=16, **_KINETICS
    ),
}
