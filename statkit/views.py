"""Augmentation without a leak of pixels: the whole frame is degraded, then teacher and student get
the same crop and flip of the frame (paper, Section 4.2).

A crop of the HR frame that is degraded afterwards would give the student more pixels per person.
The views are few and fixed, so that the teacher's outputs for each view can be cached.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = 0.85  # of a corner crop
CROPS = [(0, 0, 1), *((top, left, SCALE) for top in (0, 1 - SCALE) for left in (0, 1 - SCALE))]
VIEWS = np.array([(*crop, flip) for crop in CROPS for flip in (0, 1)], np.float32)
"""float32 ``[10, 4]``: top, left and scale as shares of the frame, and 1 for a mirrored view.

Row 0 is the whole frame as it is, row 1 the whole frame mirrored, then the four corners.
"""


def take_views(frames: Tensor, views: np.ndarray | Tensor, size: tuple[int, int]) -> Tensor:
    """Cut views out of frames, uint8 ``[B, K, F, H, W, 3]``, and resize them to the network's size
    (bilinear), on their device: float32 ``[B, K, 3, F, h, w]`` in 0..1. ``views`` are rows of
    :data:`VIEWS`, int64 ``[B]``: an array, or a tensor on the CPU."""
    batch, segments, count = frames.shape[:3]
    rows = VIEWS[np.asarray(views)]
    if np.any(rows != VIEWS[0]):
        # All frames of a clip share its view: as channels of one image they also share its grid.
        images = frames.permute(0, 1, 2, 5, 3, 4).flatten(1, 3).float() / 255
        affine = _affine(torch.from_numpy(rows)).to(frames.device)
        grid = F.affine_grid(affine, [batch, 1, *size], align_corners=False)
        images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
        return images.unflatten(1, (segments, count, 3)).transpose(2, 3)
    images = frames.flatten(0, 2).permute(0, 3, 1, 2).float() / 255
    if images.shape[-2:] != tuple(size):
        images = F.interpolate(images, size=tuple(size), mode="bilinear", align_corners=False)
    return images.unflatten(0, (batch, segments, count)).transpose(2, 3)


def _affine(table: Tensor) -> Tensor:
    """``[N, 4]`` views -> ``[N, 2, 3]`` maps from output to input coordinates, both in -1..1."""
    top, left, scale, flip = table.unbind(1)
    theta = torch.zeros(len(table), 2, 3, device=table.device)
    theta[:, 0, 0] = torch.where(flip > 0, -scale, scale)
    theta[:, 0, 2] = 2 * left + scale - 1
    theta[:, 1, 1] = scale
    theta[:, 1, 2] = 2 * top + scale - 1
    return theta
