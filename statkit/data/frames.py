"""Which frames of a clip are stored, and at which size. This module does not import PyTorch, so a
process that only decodes starts in a third of a second."""

import zlib
from dataclasses import asdict, dataclass, replace
from typing import Self

import numpy as np

from statkit.lowres import PAPER_SIZE, centre_crop, resize, to_low_res
from statkit.runtime.parameters import SIZE, ParameterError, check_fields, declared
from statkit.sampling import segment_indices
from statkit.video import VideoError

LARGE = (480, 640)  # larger frames are first reduced to this, or to four times the HR size


@dataclass(frozen=True)
class FrameSettings:
    """How stored frames are made: T frames per clip; the HR size; the LR camera
    (see :func:`statkit.lowres.to_low_res`).

    The T frames are T / ``consecutive`` runs, evenly spaced; the frames of a run are
    consecutive frames of the clip. A clip of at most T frames is stored whole.
    """

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
    consecutive: int = declared(1, "consecutive frames per run, of those stored", least=1)

    def __post_init__(self):
        check_fields(self)
        if self.frames_per_clip % self.consecutive:
            raise ParameterError(
                f"frames are whole runs of consecutive ones, got {self.frames_per_clip} frames "
                f"and runs of {self.consecutive}"
            )

    def as_dict(self) -> dict:
        """The fields by name; without ``consecutive`` if it is 1, so that frames stored by older
        versions keep their name."""
        return {k: v for k, v in asdict(self).items() if (k, v) != ("consecutive", 1)}

    def for_network(self, segments: int, frames: int) -> Self:
        """The same settings with one run per interval, if a network takes consecutive frames from
        each of K intervals: a run has four extra frames, for five possible random starts."""
        if frames == 1 or self.serves(segments, frames):
            return self
        run = frames + 4
        return replace(self, frames_per_clip=segments * run, consecutive=run)

    def serves(self, segments: int, frames: int) -> bool:
        """Whether each of K intervals of a clip longer than T has ``frames`` consecutive frames."""
        runs = self.frames_per_clip // self.consecutive
        return frames == 1 or (runs == segments and self.consecutive >= frames)

    def flags(self) -> str:
        """Flags of ``statkit prepare`` that make a set for these settings."""
        height, width = self.hr_size
        runs = f" --consecutive {self.consecutive}" if self.consecutive > 1 else ""
        return f"--frames {self.frames_per_clip}{runs} --hr-size {height}x{width}"

    def hr_side(self) -> dict:
        """The settings of the HR frames: all LR resolutions of one aspect ratio share a teacher."""
        height, width = self.lr_size
        camera = ("lr_size", "blur", "noise", "seed")
        kept = {name: value for name, value in self.as_dict().items() if name not in camera}
        return kept | {"aspect": round(width / height, 3)}


def kept_positions(num_frames: int, settings: FrameSettings) -> np.ndarray:
    """int64 ``[T]``: which frames of a clip are stored; a short clip repeats its last frame."""
    length = settings.frames_per_clip
    if num_frames <= length:
        return np.minimum(np.arange(length), num_frames - 1)
    return segment_indices(num_frames, length // settings.consecutive, settings.consecutive).ravel()


def reduced(picture: np.ndarray, settings: FrameSettings) -> np.ndarray:
    """uint8 ``[H, W, 3]``: a large picture cropped and reduced, any other unchanged. Every reader
    calls this for every frame before :func:`both_sides`, so that many frames fit into memory."""
    largest = [max(n, 4 * size) for n, size in zip(LARGE, settings.hr_size, strict=True)]
    if picture.shape[0] <= largest[0] or picture.shape[1] <= largest[1]:
        return picture
    cropped = centre_crop(picture, settings.lr_size)
    scale = max(size / have for size, have in zip(largest, cropped.shape, strict=False))
    if scale >= 1:
        return picture
    size = tuple(max(1, round(n * scale)) for n in cropped.shape[:2])
    return resize(cropped[None], size)[0]


def too_small(height: int, width: int, settings: FrameSettings) -> str:
    """The reason why frames of this size cannot be degraded; empty if they can."""
    cropped = centre_crop(np.empty((1, height, width, 0)), settings.lr_size).shape[1:3]
    if all(have >= size for have, size in zip(cropped, settings.lr_size, strict=True)):
        return ""
    wanted = "x".join(map(str, settings.lr_size))
    return (
        f"cannot degrade to {wanted}: its {height}x{width} pixels are fewer than the student's "
        "camera has"
    )


def both_sides(
    frames: np.ndarray, settings: FrameSettings, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """The teacher's and the student's frames of a clip, contiguous uint8 ``[T, h, w, 3]`` each, of
    the same field of view: the centred crop at the LR aspect ratio. VideoError if the frames are
    smaller than the LR size.

    Args:
        frames: uint8 ``[T, H, W, 3]``, as decoded and :func:`reduced`.
        name: the clip's name; with the seed of the settings it determines the sensor noise.
    """
    if reason := too_small(*frames.shape[1:3], settings):
        raise VideoError(f"{name}: {reason}")
    hr = resize(centre_crop(frames, settings.lr_size), settings.hr_size)
    seed = zlib.crc32(f"{settings.seed}/{name}".encode(errors="surrogateescape"))
    lr = to_low_res(frames, settings.lr_size, blur=settings.blur, noise=settings.noise, seed=seed)
    return np.ascontiguousarray(hr), np.ascontiguousarray(lr)  # a crop alone is a view
