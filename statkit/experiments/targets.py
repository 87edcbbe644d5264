"""Outputs of the fixed teacher, computed once and cached on disk: attention maps and TAM outputs,
all that Equations 2 and 3 need. A mirrored map is not the map of the mirrored frame, so each view
is computed.

The folder ``targets/KEY`` of the cache holds ``features.npy`` and ``map1.npy`` to ``map4.npy``,
memory-mapped, so an epoch needs the memory of one batch. KEY changes with everything that the
targets depend on.
"""

import hashlib
import math
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from statkit.data.stored import FrameStore
from statkit.errors import StatkitError
from statkit.losses import pool_map
from statkit.models import STATNet
from statkit.runtime.cache import cache_folder, fingerprint, locked, new_array, read_cached
from statkit.runtime.device import autocast, host_tensor, uses_bfloat16
from statkit.runtime.progress import progress_bar
from statkit.sampling import BatchIndex, fixed_frames
from statkit.teacher import LiveTeacher, Target

# Increase VERSION when a code change changes the targets: the networks, Equation 1, the views, the
# sampled frames, or how targets are pooled and stored.
VERSION = 1


class CachedTeacher:
    """Teacher outputs for every frame and view that a batch can contain (or for one fixed set of
    frames per view).

    The cache holds half-precision unit maps, pooled to the student's map sizes, and the frame
    features, from which the teacher's TAM computes its output for any K frames. For 2-D networks.
    A killed computation continues where it stopped; a second process waits for the first.

    Args:
        store: the frames that the teacher's source reads.
        clips: int64, the clips with targets; a batch may contain no other clips.
        views: number of rows of the view table.
        fixed: whether frame sampling is fixed (:class:`statkit.recipes.Recipe`), in batches too.
        map_sizes: ``(h, w)`` of the student's four maps.

    Raises:
        ValueError: a 3-D teacher, too little disk space, or, when called, other fixed frames.
    """

    def __init__(
        self,
        teacher: LiveTeacher,
        store: FrameStore,
        clips: np.ndarray,
        *,
        views: int,
        map_sizes: list[tuple[int, int]],
        fixed: bool = False,
        progress: bool = True,
    ):
        if teacher.network.temporal:
            raise ValueError("targets are kept a frame at a time; use LiveTeacher for 3-D networks")
        self.teacher, self.fixed, self.lengths = teacher, fixed, store.lengths
        self.row = np.full(len(store.dataset), -1, np.int64)
        self.row[clips] = np.arange(len(clips))
        shapes = target_shapes(teacher.network, store, len(clips), views, fixed, map_sizes)
        self.folder = cache_folder("targets") / _key(teacher, store, clips, shapes, fixed)
        arrays = read_cached(self.folder, partial(_read_arrays, shapes=shapes))
        if arrays is None:
            waiting = "another process computes these teacher targets; waiting for it"
            with locked(self.folder.with_name(f".{self.folder.name}.lock"), waiting):
                if not self.folder.is_dir():
                    store.fill(clips)
                    self._look_at_all(clips, shapes, progress)
            arrays = _read_arrays(self.folder, shapes)
        self.features, *self.maps = arrays

    def _look_at_all(self, clips: np.ndarray, shapes: dict, progress: bool) -> None:
        work = self.folder.with_name(f".{self.folder.name}-unfinished")
        kept, done = _open_unfinished(work, shapes)
        views, _, length = shapes["features"][:3]
        steps = np.array([(view, clip) for view in range(views) for clip in clips])
        per_batch = max(1, 256 // length)
        bar = progress_bar(
            label="teacher targets", total=len(steps), initial=int(done[0]), show=progress
        )
        for start in range(int(done[0]), len(steps), per_batch):
            chunk = steps[start : start + per_batch]
            at = chunk[:, 0], self.row[chunk[:, 1]]
            groups = np.stack([self._frames(length, *one) for one in chunk])
            found = _look(self.teacher, chunk, groups, [shape[2:] for shape in shapes.values()])
            for array, values in zip(kept, found, strict=True):
                array[at] = values
                array.flush()
            done[0] = start + len(chunk)
            done.flush()
            bar.update(len(chunk))
        bar.close()
        del kept, array, done  # Windows does not move a folder with open files
        work.rename(self.folder)

    def _frames(self, length: int, view: int, clip: int) -> np.ndarray:
        """int64 ``[n, K, 1]``: the frames of a clip in a view, in groups of K, the network's input.
        The grouping does not change the map and the feature of a frame.
        """
        segments = self.teacher.network.segments
        if self.fixed:
            return fixed_frames(self.lengths[clip], segments, 1, view)[None]
        frames = np.arange(-(-length // segments) * segments).clip(max=length - 1)
        return frames.reshape(-1, segments, 1)

    def _places(self, draw: BatchIndex) -> np.ndarray:
        """Positions of the batch's frames among a clip's cached frames, for each interval."""
        if not self.fixed:
            return draw.frames[..., 0]
        segments = draw.frames.shape[1]
        lengths = self.lengths[draw.clips]
        looks = [fixed_frames(n, segments, 1, v) for n, v in zip(lengths, draw.views, strict=True)]
        if not np.array_equal(np.stack(looks), draw.frames):
            raise ValueError(
                "targets of fixed frames were asked for other frames: use frame_sampling=fixed"
            )
        return np.arange(segments)[None]

    def gather(self, draw: BatchIndex) -> list[Tensor]:
        """float16: features and four maps of a batch, in host memory."""
        at = draw.views[:, None], self.row[draw.clips][:, None], self._places(draw)
        return [host_tensor(kept[at], self.teacher.device) for kept in (self.features, *self.maps)]

    @torch.no_grad()
    def __call__(self, draw: BatchIndex, gathered: list[Tensor] | None = None) -> Target:
        device = self.teacher.device
        features, *maps = (
            values.to(device, non_blocking=True).float() for values in gathered or self.gather(draw)
        )
        logits, tam, _ = self.teacher.network.video_level(features)
        return Target(tuple(values.flatten(0, 1) for values in maps), tam, logits)


@torch.no_grad()
def _look(
    teacher: LiveTeacher, chunk: np.ndarray, groups: np.ndarray, shapes: list
) -> list[np.ndarray]:
    """float16 features ``[n, T, C]`` and four unit maps ``[n, T, h, w]`` of n (view, clip); groups
    int64 ``[n, groups, K, 1]`` are the frames, shapes are ``[T, ...]`` of each array."""
    network, length = teacher.network, shapes[0][0]
    view, clip = (np.repeat(column, groups.shape[1]) for column in chunk.T)
    draw = BatchIndex(clip, groups.reshape(-1, *groups.shape[2:]), view)
    pixels = teacher.source.pixels(draw, temporal=False, device=teacher.device)
    with autocast(teacher.device, teacher.precision):
        output = network(pixels)
    found = [output.features.flatten(0, 1)]
    for values, (_, *size) in zip(output.attention_maps, shapes[1:], strict=True):
        pooled = pool_map(values, size)
        found.append(torch.nn.functional.normalize(pooled.flatten(1), dim=1).view_as(pooled))
    clips = (values.unflatten(0, (len(chunk), -1))[:, :length] for values in found)
    return [values.to("cpu", torch.float16).numpy() for values in clips]


def _read_arrays(folder: Path, shapes: dict) -> list[np.ndarray]:
    """Open memory-mapped arrays; ValueError if a file is incomplete or has another shape."""
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in shapes]
    if [array.shape for array in arrays] != list(shapes.values()):
        raise ValueError("a file has another shape")
    return arrays


def _open_unfinished(work: Path, shapes: dict) -> tuple[list[np.memmap], np.memmap]:
    """The arrays of an unfinished computation, new or left by a killed process, and the number of
    (view, clip) that are done."""
    files, done = [work / f"{name}.npy" for name in shapes], work / "done.npy"
    if not done.is_file():
        shutil.rmtree(work, ignore_errors=True)
        needed = 2 * sum(map(math.prod, shapes.values()))
        free = shutil.disk_usage(work.parent).free
        if needed > free:
            raise StatkitError(
                f"the teacher's targets take {needed / 1e9:.1f} GB and {work.parent} has "
                f"{free / 1e9:.1f} GB free; set STATKIT_CACHE to a folder on a larger disk, "
                "or compute the targets for every batch (--live-teacher)"
            )
        work.mkdir()
        for file, shape in zip(files, shapes.values(), strict=True):
            new_array(file, np.float16, shape).flush()
        new_array(done, np.int64, (1,)).flush()
    return [np.load(file, mmap_mode="r+") for file in files], np.load(done, mmap_mode="r+")


def _key(
    teacher: LiveTeacher, store: FrameStore, clips: np.ndarray, shapes: dict, fixed: bool
) -> str:
    network, weights = teacher.network, hashlib.sha256()
    for name, values in network.state_dict().items():
        weights.update(name.encode() + values.cpu().numpy().tobytes())
    half = uses_bfloat16(teacher.device, teacher.precision)
    made_of = [str(network), network.power, network.channels, weights.hexdigest()]
    made_of += [teacher.source.size, half, teacher.device.type]
    made_of += [store.dataset.fingerprint, store.settings.hr_side(), clips.tolist(), shapes]
    return fingerprint([*made_of, fixed, VERSION, torch.__version__])


def target_shapes(
    network: STATNet,
    store: FrameStore,
    clips: int,
    views: int,
    fixed: bool,
    sizes: Sequence[tuple[int, int]],
) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays that hold a teacher's targets, by name; see :class:`CachedTeacher`."""
    length = network.segments if fixed else store.settings.frames_per_clip
    ends = {"features": (network.tam.features,)}
    ends |= {f"map{block}": tuple(size) for block, size in enumerate(sizes, 1)}
    return {name: (views, clips, length, *end) for name, end in ends.items()}
