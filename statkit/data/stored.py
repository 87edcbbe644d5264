"""A data set's stored frames, and the pixels of a batch."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from statkit.runtime import cache
from statkit.runtime.cache import cache_folder, fingerprint, read_cached
from statkit.runtime.contents import Contents
from statkit.runtime.device import fits_on, host_tensor
from statkit.runtime.processes import cores
from statkit.runtime.progress import progress_bar
from statkit.sampling import BatchIndex
from statkit.video import READING, VideoError, read_frames
from statkit.views import take_views

from .clips import DatasetError, VideoDataset, load_frames
from .flow import VERSION as FLOW_VERSION
from .flow import flow_frames
from .frames import FrameSettings, both_sides, kept_positions, reduced

MISSING = "missing.npy"  # bool [N] in a store's folder: clips without frames; absent if none
FEW = 32  # clips that are decoded without a progress bar and without waiting for other processes


@dataclass(frozen=True)
class FrameStore:
    """Frames decoded once: ``hr`` and ``lr`` are uint8 ``[N, T, H, W, 3]``, memory-mapped from the
    files of the same names in ``folder`` at first use: a student needs no HR file. A clip that is
    drawn on demand is drawn and decoded when its frames are first used (:class:`FramesOnDemand`).

    ``lengths`` int64 ``[N]``: number of real frames among the T; short clips repeat the last frame.
    ``positions`` int64 ``[N, T]``: frame numbers in the file.
    """

    dataset: VideoDataset
    settings: FrameSettings
    folder: Path
    progress: bool = True

    hr = cached_property(lambda self: self._frames("hr"))
    lr = cached_property(lambda self: self._frames("lr"))

    def _frames(self, side: str) -> "np.ndarray | FramesOnDemand":
        frames = load_frames(self.folder, side)
        return frames if self.missing is None else FramesOnDemand(self, frames)

    def has(self, side: str) -> bool:
        """Whether the frames of a side, "hr" or "lr", are there: students need no HR frames."""
        return (self.folder / f"{side}.npy").is_file()

    @cached_property
    def missing(self) -> np.ndarray | None:
        """bool ``[N]``, shared by all processes: which clips have no frames yet; None if all do."""
        with suppress(FileNotFoundError):
            return np.load(self.folder / MISSING, mmap_mode="r+")

    def fill(self, clips: object = ...) -> None:
        """Decode the clips (an index of ``[N]``; all by default) whose frames are missing."""
        if self.missing is None:
            return
        clips = np.unique(np.arange(len(self.dataset))[clips])
        many = self.missing[clips].sum() > FEW
        with _alone(self.dataset, self.folder) if many else nullcontext():
            clips = clips[self.missing[clips]]
            if not len(clips):
                return
            self.dataset.require(clips)
            sides = [np.load(self.folder / f"{side}.npy", mmap_mode="r+") for side in ("hr", "lr")]
            _decode_into(*sides, self.dataset, clips, self.settings, self.progress)
            self.missing[clips] = False
            if not self.missing.any():
                (self.folder / MISSING).unlink(missing_ok=True)

    @cached_property
    def flow(self) -> np.ndarray:
        """Optical flow of the LR frames as pictures (:func:`statkit.data.flow.flow_frames`), uint8
        ``[N, T, h, w, 3]``: computed from ``lr`` alone at first use, and stored in the cache."""
        name = fingerprint([self.fingerprint, READING, FLOW_VERSION])
        file = cache_folder("flow") / f"{name}.npy"
        found = read_cached(file, partial(np.load, mmap_mode="r"))
        if found is None:
            self.fill()
            with ThreadPoolExecutor(cores()) as pool:
                jobs = pool.map(self.flow_of, range(len(self.lr)))
                about = {"total": len(self.lr), "show": self.progress}
                found = np.stack([*progress_bar(jobs, label="optical flow", **about)])
            cache.write_atomically(file, lambda path: np.save(path, found))
        return found

    def flow_of(self, clip: int) -> np.ndarray:
        """The optical flow of one clip, uint8 ``[T, h, w, 3]``, computed now."""
        runs = np.split(self.lr[clip], len(self.lr[clip]) // self.run_length(clip))
        return np.concatenate([flow_frames(run) for run in runs])  # runs share no motion

    @cached_property
    def lengths(self) -> np.ndarray:
        return np.minimum(self.dataset.num_frames, self.settings.frames_per_clip)

    @cached_property
    def positions(self) -> np.ndarray:
        return np.stack([kept_positions(n, self.settings) for n in self.dataset.num_frames])

    @property
    def fingerprint(self) -> str:
        return fingerprint([self.dataset.fingerprint, self.settings.as_dict()])

    def run_length(self, clip: int) -> int:
        """Number of stored frames that belong together: the frames of a run, or all frames if the
        clip is stored whole or its frames are evenly spaced."""
        length, run = self.settings.frames_per_clip, self.settings.consecutive
        return length if run == 1 or self.dataset.num_frames[clip] <= length else run

    def require_consecutive(self, segments: int, frames: int) -> None:
        """Raise DatasetError unless each of K intervals has ``frames`` consecutive frames of the
        clip, which a 3-D network needs."""
        settings = self.settings
        whole = self.dataset.num_frames.max() <= settings.frames_per_clip
        if whole or settings.serves(segments, frames):
            return
        runs = settings.frames_per_clip // settings.consecutive
        raise DatasetError(
            f"the network takes {frames} consecutive frames from each of {segments} intervals, and "
            f"of {self.dataset.name} {runs} x {settings.consecutive} consecutive frames per clip "
            f"are stored; store them with {settings.for_network(segments, frames).flags()}"
            + (", by statkit prepare" if self.dataset.prepared else "")
        )


class FramesOnDemand:
    """The frames of a store whose clips are drawn on demand: an array that first decodes the clips
    that its index names and that are missing."""

    def __init__(self, store: FrameStore, frames: np.ndarray):
        self.store, self.frames = store, frames
        self.shape, self.dtype, self.nbytes = frames.shape, frames.dtype, frames.nbytes

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index) -> np.ndarray:
        self.store.fill(index[0] if isinstance(index, tuple) else index)
        return self.frames[index]

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self[...], dtype, copy=copy)


class Source:
    """The pixels for one network: stored frames of one resolution, uint8 ``[N, T, h, w, 3]`` (a
    store's ``hr``, ``lr`` or ``flow``), resized to its input size (bilinear)."""

    def __init__(self, frames: np.ndarray, size: tuple[int, int]):
        self.frames = frames
        self.size = (size[0], size[1])
        self.on_device: Tensor | None = None

    def keep_on(self, device: torch.device) -> None:
        """Copy all frames to a GPU if they fit (LR frames do); the GPU then cuts the batches."""
        if fits_on(device, self.frames.nbytes):
            self.on_device = host_tensor(self.frames, device).to(device)

    def gather(self, draw: BatchIndex, device: torch.device) -> Tensor | None:
        """uint8 ``[B, K, F, h, w, 3]``: a batch's frames, ready for the copy to the device; None if
        the device has all frames."""
        if self.on_device is not None:
            return None
        return host_tensor(self.frames[draw.clips[:, None, None], draw.frames], device)

    def pixels(
        self,
        draw: BatchIndex,
        *,
        temporal: bool,
        device: torch.device | str = "cpu",
        gathered: Tensor | None = None,
    ) -> Tensor:
        """float32 ``[B, K, 3, h, w]``, or ``[B, K, 3, F, h, w]`` for a 3-D network, in 0..1, from
        the result of :meth:`gather` for this batch; None gathers the frames now."""
        device = torch.device(device)
        if self.on_device is not None:
            clips = torch.from_numpy(draw.clips).to(device)[:, None, None]
            chosen = self.on_device[clips, torch.from_numpy(draw.frames).to(device)]
        else:
            gathered = self.gather(draw, device) if gathered is None else gathered
            chosen = gathered.to(device, non_blocking=True)
        images = take_views(chosen, draw.views, self.size)
        return images if temporal else images[:, :, :, 0]


def store_frames(
    dataset: VideoDataset, settings: FrameSettings | None = None, *, progress: bool = True
) -> FrameStore:
    """Decode and degrade every clip once, or open the frames of an earlier call.

    The frames of a prepared set are used unchanged if they were made with the same settings;
    otherwise they are reduced further, without decoding, and all of a clip are used.

    Raises:
        DatasetError: a prepared set has smaller frames than requested.
        statkit.video.VideoError: a clip can no longer be read.
    """
    settings = _fit(settings or FrameSettings(), dataset)
    if dataset.prepared and dataset.prepared.settings == settings:
        return FrameStore(dataset, settings, dataset.prepared.folder, progress)
    folder = _folder(dataset, settings)
    if folder.is_symlink() and (folder / MISSING).exists():  # unfinished in a shared cache
        folder.unlink()
    if read_cached(folder, partial(_check_store, shapes=frame_shapes(dataset, settings))) is None:
        with _alone(dataset, folder):
            if not folder.is_dir():
                _build_store(dataset, settings, folder, progress)
    return FrameStore(dataset, settings, folder, progress)


def _alone(dataset: VideoDataset, folder: Path) -> AbstractContextManager:
    waiting = f"another process stores frames of {dataset.name}; waiting for it"
    return cache.locked(cache_folder("locks") / f"frames-{folder.name}", waiting)


def frame_shapes(dataset: VideoDataset, settings: FrameSettings) -> dict[str, tuple[int, ...]]:
    """``[N, T, H, W, 3]`` of the HR and the LR frames."""
    shape = len(dataset), settings.frames_per_clip
    return {"hr": (*shape, *settings.hr_size, 3), "lr": (*shape, *settings.lr_size, 3)}


def _check_store(folder: Path, shapes: dict) -> Path:
    """The folder; DatasetError if a file in it is incomplete. The HR file may be missing."""
    for side, shape in shapes.items():
        if (folder / f"{side}.npy").exists() and load_frames(folder, side).shape != shape:
            raise DatasetError(f"{side}.npy has other frames")
    return folder


def stored_frames(dataset: VideoDataset, settings: FrameSettings) -> FrameStore | None:
    """The result of :func:`store_frames` if all frames exist already; otherwise None."""
    fitted = _fit(settings, dataset)
    ready = dataset.prepared and dataset.prepared.settings == fitted
    if not (ready or _folder(dataset, fitted).is_dir()):
        return None
    store = store_frames(dataset, settings)
    return store if store.missing is None else None


def _folder(dataset: VideoDataset, settings: FrameSettings) -> Path:
    reading = [] if dataset.generated else [READING]  # generated clips always gave the same frames
    made_of = [dataset.fingerprint, settings.as_dict(), *reading]
    return cache_folder("frames") / fingerprint(made_of)


def _fit(settings: FrameSettings, dataset: VideoDataset) -> FrameSettings:
    """Store at most the frames of the longest clip; of a prepared set, its stored frames."""
    if not dataset.prepared:
        most = int(dataset.num_frames.max())
        if settings.frames_per_clip < most:
            return settings
        return replace(settings, frames_per_clip=most, consecutive=1)
    made = dataset.prepared.settings
    if any(asked > have for asked, have in zip(settings.hr_size, made.hr_size, strict=True)):
        have = "x".join(map(str, made.hr_size))
        raise DatasetError(
            f"{dataset.name} was prepared at {have}, which is smaller than what is asked for; "
            f"prepare it again with {settings.flags()}"
        )
    stored = {"frames_per_clip": made.frames_per_clip, "consecutive": made.consecutive}
    return replace(settings, **stored)


def _build_store(dataset, settings, folder: Path, progress: bool) -> None:
    work = folder.with_name(f".{folder.name}-unfinished")
    shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
    work.mkdir()
    try:
        shapes = frame_shapes(dataset, settings).items()
        sides = [cache.new_array(work / f"{side}.npy", np.uint8, shape) for side, shape in shapes]
        if dataset.draw:
            np.save(work / MISSING, np.ones(len(dataset), bool))
        else:
            try:
                _decode_into(*sides, dataset, np.arange(len(dataset)), settings, progress)
            except VideoError:  # perhaps because the clip is another one now
                _require_unchanged(dataset)
                raise
            _require_unchanged(dataset)
        described = {"dataset": dataset.fingerprint, **settings.as_dict()}
        cache.save_text(work / "store.json", json.dumps(described, indent=1))
        try:
            work.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was first, with the same bytes
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _require_unchanged(dataset: VideoDataset) -> None:
    """Raise DatasetError if a clip was replaced since the set was opened: its frames would be kept
    under the name of the earlier content. A clip that is gone has an error of its own."""
    if not dataset.digests or dataset.prepared:
        return
    now = Contents(dataset.root).digests(dataset.names, progress=False)
    pairs = zip(dataset.names, dataset.digests, strict=True)
    if other := [name for name, digest in pairs if now[name] not in ("", digest)]:
        raise DatasetError(
            f"{dataset.root / other[0]} was changed after {dataset.name} was opened (clips "
            f"changed: {len(other)}); open the set again, or run the same command again"
        )


def _decode_into(hr, lr, dataset, clips: np.ndarray, settings, progress: bool) -> None:
    def one_clip(clip: int) -> None:
        hr[clip], lr[clip] = decode_clip(dataset, clip, settings)

    with ThreadPoolExecutor(cores()) as pool:
        jobs = pool.map(one_clip, clips.tolist())
        about = {"label": f"frames of {dataset.name}", "show": progress and len(clips) > FEW}
        for _ in progress_bar(jobs, total=len(clips), **about):
            pass
    hr.flush()
    lr.flush()


def decode_clip(
    dataset: VideoDataset, clip: int, settings: FrameSettings
) -> tuple[np.ndarray, np.ndarray]:
    """The stored HR and LR frames of one clip."""
    if dataset.prepared:
        frames = dataset.prepared.hr[clip]
    else:
        frames = read_frames(
            dataset.path(clip),
            kept_positions(dataset.num_frames[clip], settings),
            backend="pyav",
            each=lambda picture: reduced(picture, settings),
        )
    return both_sides(frames, settings, dataset.names[clip])
