"""The low-resolution camera: what a sensor of 12x16 pixels would have recorded (Section 4.1).

Each step of the camera is linear along each axis, so the whole lens and sensor are two small
matrices, one for the rows and one for the columns.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

PAPER_SIZE = (12, 16)


def to_low_res(
    frames: np.ndarray,
    size: tuple[int, int] = PAPER_SIZE,
    *,
    blur: float = 0.25,
    noise: float = 2.0,
    seed: int = 0,
) -> np.ndarray:
    """Degrade whole frames: centre crop, point-spread blur, area average, sensor noise, 8 bits.

    Args:
        frames: uint8 ``[T, H, W, 3]``.
        size: ``(h, w)`` of the result, at most the size of the crop.
        blur: standard deviation of the Gaussian point spread, in low-resolution pixels.
        noise: standard deviation of the sensor noise, in grey levels (of 255).
        seed: seed of the noise; the same seed gives the same noise.

    Returns:
        uint8 ``[T, h, w, 3]``. Without blur and noise, the exact area average, rounded.

    Raises:
        ValueError: wrong dtype or shape, negative blur or noise, a size larger than the crop.
    """
    _check(frames)
    if min(size) < 1 or blur < 0 or noise < 0:
        raise ValueError(
            f"size must be positive, blur and noise at least 0: {size=} {blur=} {noise=}"
        )
    frames = centre_crop(frames, size)
    height, width = frames.shape[1:3]
    if size[0] > height or size[1] > width:
        raise ValueError(
            f"cannot degrade to {size[0]}x{size[1]}: "
            f"the frames have only {height}x{width} pixels at that aspect ratio"
        )
    light = _project(frames, size, blur)
    if noise:
        random = np.random.default_rng(seed)
        light += noise * random.standard_normal(light.shape, dtype=np.float32)
    return _to_bytes(light)


def resize(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 ``[T, H, W, 3]`` -> ``[T, h, w, 3]``: area average to shrink, bilinear to enlarge.

    Nothing is cropped and nothing degraded; this brings HR frames to the network's size.
    """
    _check(frames)
    if frames.shape[1:3] == tuple(size):
        return frames
    return _to_bytes(_project(frames, size, blur=0.0))


def centre_crop(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest centred part of ``[..., H, W, C]`` with the aspect ratio of ``size`` (a view)."""
    height, width = frames.shape[-3:-1]
    crop_h = min(height, round(width * size[0] / size[1]))
    crop_w = min(width, round(height * size[1] / size[0]))
    top, left = (height - crop_h) // 2, (width - crop_w) // 2
    return frames[..., top : top + crop_h, left : left + crop_w, :]


@lru_cache(maxsize=64)
def _camera_matrix(source: int, target: int, blur: float) -> np.ndarray:
    """float32 ``[target, source]``: each row the weights with which one sensor pixel gathers light.

    Row i averages the source interval [i, i + 1) * source / target, with a share of the pixels cut
    by its ends; the point spread is applied before, the border pixels repeated outwards.
    """
    scale = source / target
    if scale < 1:
        return _bilinear_matrix(source, target)
    edges = np.arange(target + 1) * scale
    left = np.maximum(edges[:-1, None], np.arange(source))
    right = np.minimum(edges[1:, None], np.arange(1, source + 1))
    area = np.clip(right - left, 0, None) / scale
    sigma = blur * scale
    if sigma > 0:
        reach = int(np.ceil(4 * sigma))
        offsets = np.arange(-reach, reach + 1)
        kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
        seen = np.clip(np.arange(source)[:, None] + offsets, 0, source - 1)
        spread = np.zeros((source, source))
        np.add.at(spread, (np.arange(source)[:, None], seen), kernel / kernel.sum())
        area = area @ spread
    return area.astype(np.float32)


def _bilinear_matrix(source: int, target: int) -> np.ndarray:
    place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    distance = np.abs(place[:, None] - np.arange(source))
    return np.clip(1 - distance, 0, None).astype(np.float32)


def _project(frames: np.ndarray, size: tuple[int, int], blur: float) -> np.ndarray:
    """float32 ``[T, h, w, 3]``: rows[h, H] @ frames[T, H, W, 3] @ columns[w, W], in grey levels."""
    count, height, width, _ = frames.shape
    rows = _camera_matrix(height, size[0], blur)
    columns = _camera_matrix(width, size[1], blur)
    light = rows @ frames.reshape(count, height, width * 3).astype(np.float32)
    light = columns @ light.reshape(count * size[0], width, 3)
    return light.reshape(count, *size, 3)


def _to_bytes(light: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def _check(frames: np.ndarray) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"frames must be uint8 [T, H, W, 3], got {frames.dtype} {frames.shape}")
