"""Which frames of a clip are kept, and how large: the pixels of a store, clip by clip.

No network is needed to make them, so this room does not know PyTorch, and a process that only
decodes starts in a third of a second.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from statkit.lowres import PAPER_SIZE, centre_crop, resize, to_low_res
from statkit.runtime.parameters import SIZE, check_fields, declared
from statkit.sampling import segment_indices
from statkit.video import VideoError

LARGE = (480, 640)  # larger frames are first brought to this, or to four times the HR size


@dataclass(frozen=True)
class FrameSettings:
    """How stored frames are made: T frames per clip, evenly spaced; the HR size; the LR camera
    (see :func:`statkit.lowres.to_low_res`)."""

    frames_per_clip: int = declared(16, "stored frames per clip (T)", least=1, flag="frames")
    hr_size: tuple[int, int] = declared(
        (72, 96), "size of the teacher's frames", kind=SIZE, least=8
    )
    lr_size: tuple[int, int] = declared(
        PAPER_SIZE, "low resolution, the student's frames", kind=SIZE, least=1
    )
    blur: float = declared(0.25, "lens blur, standard deviation in LR pixels", least=0)
    noise: float = declared(2.0, "sensor noise, standard deviation in grey levels", least=0)
    seed: int = declared(0, "seed of the sensor noise", least=0, flag="noise-seed")

    def __post_init__(self):
        check_fields(self)

    def hr_side(self) -> dict:
        """What the HR frames depend on: one teacher serves every resolution of one aspect."""
        height, width = self.lr_size
        kept = {name: getattr(self, name) for name in ("frames_per_clip", "hr_size")}
        return kept | {"aspect": round(width / height, 3)}


def kept_positions(num_frames: int, settings: FrameSettings) -> np.ndarray:
    """int64 ``[T]``: which frames of a clip are kept; a short clip repeats its last."""
    length = settings.frames_per_clip
    if num_frames <= length:
        return np.minimum(np.arange(length), num_frames - 1)
    return segment_indices(num_frames, length)[:, 0]


def reduced(picture: np.ndarray, settings: FrameSettings) -> np.ndarray:
    """uint8 ``[H, W, 3]``: a large picture cropped and reduced, any other as it is.

    Every reader does this to every frame before :func:`both_sides`, so that many frames of a large
    clip fit into memory. To do it again changes nothing.
    """
    largest = [max(n, 4 * size) for n, size in zip(LARGE, settings.hr_size, strict=True)]
    if picture.shape[0] <= largest[0] or picture.shape[1] <= largest[1]:
        return picture
    cropped = centre_crop(picture, settings.lr_size)
    scale = max(size / have for size, have in zip(largest, cropped.shape, strict=False))
    if scale >= 1:
        return picture
    size = tuple(max(1, round(n * scale)) for n in cropped.shape[:2])
    return resize(cropped[None], size)[0]


def both_sides(
    frames: np.ndarray, settings: FrameSettings, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """A clip as the teacher's and as the student's camera see it.

    Args:
        frames: uint8 ``[T, H, W, 3]``, as decoded and :func:`reduced`.
        name: of the clip; together with the settings' seed it decides the sensor noise.

    Returns:
        HR and LR frames, contiguous uint8 ``[T, h, w, 3]`` each, of the same field of view: the
        centred crop at the LR aspect ratio.

    Raises:
        VideoError: the frames are smaller than the LR size.
    """
    cropped = centre_crop(frames, settings.lr_size)
    if any(have < size for have, size in zip(cropped.shape[1:], settings.lr_size, strict=False)):
        (height, width), wanted = frames.shape[1:3], "x".join(map(str, settings.lr_size))
        raise VideoError(
            f"{name}: cannot degrade to {wanted}: its {height}x{width} pixels are fewer than the "
            "student's camera has"
        )
    hr = resize(cropped, settings.hr_size)
    seed = zlib.crc32(f"{settings.seed}/{name}".encode(errors="surrogateescape"))
    lr = to_low_res(frames, settings.lr_size, blur=settings.blur, noise=settings.noise, seed=seed)
    return np.ascontiguousarray(hr), np.ascontiguousarray(lr)  # a crop alone is a view
