"""The low-resolution camera: the picture that a sensor of 12x16 pixels would record (Section 4.1).

Each step of the camera is linear along each axis, so two small matrices describe the lens and the
sensor: one for the rows and one for the columns.
"""

from functools import lru_cache

import numpy as np

from statkit.errors import StatkitError

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
        seed: of the noise.

    Returns:
        uint8 ``[T, h, w, 3]``. Without blur and noise, the exact area average, rounded.

    Raises:
        ValueError: wrong dtype or shape, negative blur or noise, a size larger than the crop.
    """
    _check(frames)
    if min(size) < 1 or blur < 0 or noise < 0:
        raise StatkitError(
            f"size must be positive, blur and noise at least 0: {size=} {blur=} {noise=}"
        )
    frames = centre_crop(frames, size)
    height, width = frames.shape[1:3]
    if size[0] > height or size[1] > width:
        raise StatkitError(
            f"cannot degrade to {size[0]}x{size[1]}: "
            f"the frames have only {height}x{width} pixels at that aspect ratio"
        )
    if not blur and not noise:
        return _area_average(frames, size)
    light = _project(frames, size, blur)
    if noise:
        random = np.random.default_rng(seed)
        light += noise * random.standard_normal(light.shape, dtype=np.float32)
    return _to_bytes(light)


def resize(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 ``[T, H, W, 3]`` -> ``[T, h, w, 3]``: area average to shrink, bilinear to enlarge."""
    _check(frames)
    height, width = frames.shape[1:3]
    if (height, width) == tuple(size):
        return frames
    if size[0] <= height and size[1] <= width:
        return _area_average(frames, size)
    return _to_bytes(_project(frames, size, blur=0.0))


def variance_kept(frames: np.ndarray, size: tuple[int, int]) -> tuple[float, float]:
    """The shares of a clip's variance, from 0 to 1, that an area average to ``size`` preserves, of
    frames uint8 ``[T, H, W, 3]``: of the picture (the differences between the pixels of a frame)
    and of the movement (between a pixel's values over time); NaN where there are none.

    The variance of the HR pixels is the variance between LR pixels plus the variance inside them.
    The share is the first part. For white noise, it equals the ratio of the numbers of pixels.
    """
    _check(frames)
    frames = centre_crop(frames, size).astype(np.float32)
    parts = (frames - frames.mean((1, 2), keepdims=True), frames - frames.mean(0, keepdims=True))
    energy = [(_project(part, size, 0.0).var(), part.var()) for part in parts]
    picture, movement = (float(low / high) if high else float("nan") for low, high in energy)
    return picture, movement


def centre_crop(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest centred part of ``[..., H, W, C]`` with the aspect ratio of ``size`` (a view)."""
    height, width = frames.shape[-3:-1]
    crop_h = min(height, round(width * size[0] / size[1]))
    crop_w = min(width, round(height * size[1] / size[0]))
    top, left = (height - crop_h) // 2, (width - crop_w) // 2
    return frames[..., top : top + crop_h, left : left + crop_w, :]


def _camera_matrix(source: int, target: int, blur: float) -> np.ndarray:
    """float32 ``[target, source]``: each row holds the weights of one sensor pixel.

    Row i averages the source interval [i, i + 1) * source / target, with partial weights for
    pixels at its ends; the point spread is applied first, with the border pixels repeated.
    """
    scale = source / target
    if scale < 1:  # enlarged: bilinear
        place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
        distance = np.abs(place[:, None] - np.arange(source))
        return np.clip(1 - distance, 0, None).astype(np.float32)
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


@lru_cache(maxsize=64)
def _camera(source: int, target: int, blur: float) -> list[tuple[slice, np.ndarray]]:
    """One axis of the camera: the source pixels that each sensor pixel sees, and their weights."""
    rows = _camera_matrix(source, target, blur)
    seen = [slice(where[0], where[-1] + 1) for where in map(np.flatnonzero, rows)]
    return [(part, row[part]) for part, row in zip(seen, rows, strict=True)]


def _gather(camera: list[tuple[slice, np.ndarray]], light: np.ndarray) -> np.ndarray:
    """float32 ``matrix [target, source] @ light [source, n]``."""
    out = np.empty((len(camera), light.shape[1]), np.float32)
    # One product per row: fewer operations than with all the zeros, and nothing that a BLAS would
    # spread over threads, so the bytes do not depend on the number of threads.
    for (seen, weights), place in zip(camera, out, strict=True):
        np.dot(weights, light[seen], out=place)
    return out


def _project(frames: np.ndarray, size: tuple[int, int], blur: float) -> np.ndarray:
    """float32 ``[T, h, w, 3]``: rows[h, H] @ frames[T, H, W, 3] @ columns[w, W], in grey levels."""
    count, height, width, _ = frames.shape
    rows, columns = _camera(height, size[0], blur), _camera(width, size[1], blur)
    light = np.empty((width, count, size[0], 3), np.float32)
    for number, frame in enumerate(frames):  # one by one, so that a frame fits in the cache
        seen = _gather(rows, frame.reshape(height, width * 3).astype(np.float32))
        light[:, number] = seen.reshape(size[0], width, 3).swapaxes(0, 1)
    light = _gather(columns, light.reshape(width, -1)).reshape(size[1], count, size[0], 3)
    return np.ascontiguousarray(light.transpose(1, 2, 0, 3))


def _area_average(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Average all frames as one tall picture; each frame border is a border of sensor pixels."""
    import cv2  # takes 0.2 s, and most users of this module do not need it

    count, height, width, _ = frames.shape
    tall = np.ascontiguousarray(frames).reshape(count * height, width, 3)
    small = cv2.resize(tall, (size[1], count * size[0]), interpolation=cv2.INTER_AREA)
    return small.reshape(count, *size, 3)


def _to_bytes(light: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def _check(frames: np.ndarray) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"frames must be uint8 [T, H, W, 3], got {frames.dtype} {frames.shape}")
