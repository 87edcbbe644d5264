"""The backbones (paper, Section 4.2): ResNets, R(2+1)D, the small demo networks, and the
sources of their pretrained weights."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models import resnet
from torchvision.models.video import resnet as video_resnet

from statkit.errors import StatkitError
from statkit.runtime.cache import read_cached
from statkit.runtime.contents import digest_of
from statkit.runtime.parameters import pasted_path


@dataclass(frozen=True)
class Architecture:
    """How to build a backbone (like torchvision's, with ``layer1`` to ``layer4``), and which input
    the paper gives it. ``weights`` are torchvision's; where it has none, ``wants`` names a file
    that others publish."""

    build: Callable[..., nn.Module]
    channels: int
    segments: int
    frames_per_segment: int = 1
    weights: Any = None
    wants: str = ""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def temporal(self) -> bool:
        """Whether the backbone is 3-D: its input then has a time axis."""
        return self.frames_per_segment > 1


def find_weights(name: str, pretrained: bool | str | Path) -> Any:
    """The pretrained weights of a backbone, as in :func:`statkit.models.build_model`: a file,
    torchvision's weights, or None; StatkitError if they do not exist."""
    file = _weights_file(name, pretrained)
    if file and not file.is_file():
        raise StatkitError(f"no weights at {file}")
    found = file or (MODELS[name].weights if pretrained else None)
    if pretrained and not found:
        wants = MODELS[name].wants
        raise StatkitError(
            f"torchvision has no pretrained weights for {name!r}"
            + (f". It wants a file: {wants}" if wants else "")
            + f". Name a file (--pretrained FILE), or put it as {name}*.pth into the folder "
            "that $STATKIT_WEIGHTS names, or start from random weights (--pretrained no)"
        )
    return found


def weights_key(name: str, pretrained: bool | str | Path) -> bool | str:
    """The part of a run's name that stands for its pretrained weights: the SHA-256 of a file; True
    for the published weights, whose name holds the first digits of theirs."""
    file = _weights_file(name, pretrained)
    if file is None:
        return pretrained if isinstance(pretrained, bool) else str(pretrained)
    digest = digest_of(file)
    published = MODELS[name].wants or getattr(MODELS[name].weights, "url", "")
    return True if digest and digest[:8] in published else digest or str(file)


def _weights_file(name: str, pretrained: bool | str | Path) -> Path | None:
    """The file that is named, or a file in ``$STATKIT_WEIGHTS``; None if there is neither."""
    if pretrained is True:
        folder = os.environ.get("STATKIT_WEIGHTS")
        return min(Path(folder).glob(f"{name}*.pth"), default=None) if folder else None
    return pasted_path(pretrained) if pretrained else None


NESTED = ("state_dict", "model_state_dict", "model")  # keys of the weights in checkpoints
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY: list[Any] = [  # numbers that training scripts store beside the weights
    np.dtype,
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    *(type(np.dtype(code)) for code in "?bhilefd"),
]


def _load_backbone(backbone: nn.Module, path: str | Path) -> None:
    state = _read_weights(Path(path))
    state = {key: values for key, values in state.items() if not key.startswith("fc.")}
    try:
        missing, extra = backbone.load_state_dict(state, strict=False)
    except RuntimeError as error:
        first = " ".join(str(error).splitlines()[1:2]).strip()
        raise StatkitError(f"{path} does not fit this backbone: {first}") from error
    # Files of older PyTorch versions lack the batch counters; no code here reads these counters.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    wrong = [key for key in [*missing, *extra] if not key.startswith("fc.")]
    if wrong:
        raise StatkitError(
            f"{path} does not fit this backbone: {len(wrong)} keys, e.g. {wrong[:3]}"
        )


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A state dict, alone or inside a checkpoint, without the prefixes that wrappers add."""
    try:
        with torch.serialization.safe_globals(_NUMPY):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise StatkitError(
            f"{path} holds more than weights (a whole model?), or is no file of PyTorch: save "
            "model.state_dict() with torch.save"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise StatkitError(f"{path} is not a whole file of weights: it may be cut short") from error
    for name in NESTED:
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state = state[name]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise StatkitError(f"{path} has no weights by name; save model.state_dict()")
    for prefix in 2 * PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): values for name, values in state.items()}
    return state


def download_weights(architecture: Architecture) -> dict[str, torch.Tensor]:
    """torchvision's weights; StatkitError if they cannot be downloaded. A broken file of an earlier
    download is renamed first."""
    url = architecture.weights.url
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    state = read_cached(file, partial(torch.load, map_location="cpu", weights_only=True))
    try:
        return state or architecture.weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise StatkitError(
            f"pretrained weights cannot be downloaded from {url} ({error}). Without internet: "
            "name a file of them (pretrained), or a folder of such files in STATKIT_WEIGHTS"
        ) from error


class _DemoBackbone(nn.Module):
    """A ResNet with one basic block per stage and 16 to 128 channels, for a laptop's CPU.

    The last stage keeps its size (total stride 16), so that maps of small frames are not 1x1.
    """

    def __init__(self):
        super().__init__()
        width = 16
        self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = resnet.BasicBlock(width, width)
        for stage, stride in ((2, 2), (3, 2), (4, 1)):
            inputs, outputs = width * 2 ** (stage - 2), width * 2 ** (stage - 1)
            shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
            setattr(self, f"layer{stage}", resnet.BasicBlock(inputs, outputs, stride, shortcut))


class _DemoR2Plus1D(nn.Module):
    """The demo network in three dimensions: R(2+1)D with one basic block per stage.

    As in torchvision's R(2+1)D, stages two to four halve the time axis; the last stage keeps its
    height and width.
    """

    def __init__(self):
        super().__init__()
        width = 8
        self.stem = nn.Sequential(
            nn.Conv3d(3, width, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        )
        builder = video_resnet.Conv2Plus1D
        self.layer1 = video_resnet.BasicBlock(width, width, builder)
        for stage, side in ((2, 2), (3, 2), (4, 1)):
            inputs, outputs = width * 2 ** (stage - 2), width * 2 ** (stage - 1)
            stride = (2, side, side)
            shortcut = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs)
            )
            block = video_resnet.BasicBlock(inputs, outputs, builder, 1, shortcut)
            spatial, temporal = block.conv1[0][0], block.conv1[0][3]
            spatial.stride, temporal.stride = (1, side, side), (2, 1, 1)
            setattr(self, f"layer{stage}", block)


def _r2plus1d_34() -> nn.Module:
    """R(2+1)D with ResNet-34's block counts, which torchvision lacks. Some widths and epsilon
    follow the published weights (Facebook's VMZ) and differ from torchvision's R(2+1)D-18."""
    network = video_resnet.VideoResNet(
        video_resnet.BasicBlock,
        [video_resnet.Conv2Plus1D] * 4,
        [3, 4, 6, 3],
        video_resnet.R2Plus1dStem,
    )
    for stage, planes in ((network.layer2, 128), (network.layer3, 256), (network.layer4, 512)):
        stage[0].conv2[0] = video_resnet.Conv2Plus1D(planes, planes, planes * 9 // 4)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.eps = 1e-3
    return network


_KINETICS: dict[str, Any] = {
    "mean": (0.43216, 0.394666, 0.37645),
    "std": (0.22803, 0.22145, 0.216989),
}

MODELS = {
    "demo": Architecture(_DemoBackbone, channels=128, segments=8),
    "demo_r2plus1d": Architecture(_DemoR2Plus1D, channels=64, segments=4, frames_per_segment=4),
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
        _r2plus1d_34,
        channels=512,
        segments=4,
        frames_per_segment=16,
        wants="R(2+1)D-34 of VMZ, fine-tuned on Kinetics-400, such as r2plus1d_34_clip8_ft_kinetics"
        "_from_ig65m-0aa0550b.pth of github.com/moabitcoin/ig65m-pytorch, release v1.0.0",
        **_KINETICS,
    ),
}
