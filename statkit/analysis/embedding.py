"""Pictures of embeddings by t-SNE (Figure 6), and numbers that test these pictures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from statkit.data.clips import Split
from statkit.errors import StatkitError
from statkit.runtime.cache import cache_folder, fingerprint, read_cached, write_atomically

STEPS = 500  # 1000 steps take twice as long and hardly change the neighbourhoods


def tsne(
    points: np.ndarray, perplexity: float = 30, *, start: str = "pca", seed: int = 0
) -> np.ndarray:
    """Place points, float ``[N, C]``, in two dimensions, float32 ``[N, 2]``, so that near points
    stay near; the result is cached. Only neighbourhoods have a meaning; axes, sizes and gaps have
    none. If all points are equal, all results are 0.

    Args:
        perplexity: about the number of neighbours that stay near; see :func:`clip_perplexity`.
        start: "pca" starts from the two main directions, so that every seed gives nearly the same
            picture; "random" starts from random places.

    Raises:
        StatkitError: fewer than 4 points, another number of axes, or numbers that are not finite.
    """
    points = np.ascontiguousarray(points, np.float32)
    if points.ndim != 2 or len(points) < 4 or not np.isfinite(points).all():
        raise StatkitError(f"t-SNE takes finite points [N, C], N at least 4, got {points.shape}")
    if perplexity <= 0:
        raise StatkitError(f"perplexity is a number above 0, got {perplexity}")
    # The compiled steps crash on distances that are all 0 or overflow; a scale changes no picture.
    extent = float(np.ptp(points.astype(np.float64), axis=0).max())
    if extent <= 1e-7 * float(np.abs(points).max()):
        return np.zeros((len(points), 2), np.float32)
    if not 1e-9 < extent < 1e9:
        points = np.ascontiguousarray(points / extent, np.float32)
    if points.shape[1] == 1:
        points = np.pad(points, ((0, 0), (0, 1)))
    perplexity = clip_perplexity(perplexity, len(points))
    made_of = [fingerprint(points.tobytes().hex()), perplexity, start, seed, STEPS]
    file = cache_folder("tsne") / f"{fingerprint(made_of)}.npy"
    found = read_cached(file, np.load)
    if found is None:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits

        method = TSNE(perplexity=perplexity, init=start, random_state=seed, max_iter=STEPS)
        # The steps are short: on a busy machine, several threads mostly wait for each other.
        with threadpool_limits(1):
            found = method.fit_transform(points).astype(np.float32)
        write_atomically(file, lambda path: np.save(path, found))
    return found


def clip_perplexity(perplexity: float, count: int) -> float:
    """The perplexity that :func:`tsne` uses for ``count`` points: at most ``(count - 1) // 3``."""
    return min(perplexity, (count - 1) // 3)


@dataclass(frozen=True)
class Separation:
    """How well points separate into classes. nearest: per cent of points that their nearest
    neighbours classify correctly; silhouette: from -1 to 1, 0 where classes overlap; same_scene:
    per cent of the nearest neighbours that come from the point's own scene, None if unknown."""

    nearest: float
    silhouette: float
    same_scene: float | None = None


def separation(
    points: np.ndarray, labels: np.ndarray, scenes: np.ndarray | None = None
) -> Separation:
    """Measure how points ``[N, C]`` separate into their labels ``[N]`` (and scenes ``[N]``)."""
    from sklearn.metrics import silhouette_score

    if not 1 < len(np.unique(labels)) < len(points):
        raise StatkitError("separation needs two classes, and two points of one of them")
    near = neighbours(points)
    share = None if scenes is None else float(100 * (scenes[near] == scenes[:, None]).mean())
    return Separation(knn_accuracy(near, labels), float(silhouette_score(points, labels)), share)


def neighbours(points: np.ndarray, count: int = 5) -> np.ndarray:
    """int64 ``[N, count]``: the nearest other points of each point of ``[N, C]``."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=min(count, len(points) - 1)).fit(points).kneighbors()[1]


def knn_accuracy(near: np.ndarray, labels: np.ndarray) -> float:
    """Per cent of points for which most neighbours ``[N, k]`` have the point's class; on a tie, the
    class with the nearer neighbours wins."""
    weights = 1 + 1e-3 * np.arange(near.shape[1])[::-1]
    votes = (np.eye(labels.max() + 1)[labels[near]] * weights[:, None]).sum(1)
    return float(100 * (votes.argmax(1) == labels).mean())


def clark_evans_ratio(points: np.ndarray) -> float:
    """Mean distance of points, float ``[N, 2]``, to the nearest other point, divided by its value
    for the same number of random points on the same area, their convex hull (Clark and Evans,
    1954): 1 at random, less for clumps, more for a grid."""
    from scipy.spatial import ConvexHull

    if np.linalg.matrix_rank(points - points.mean(0)) < 2:
        return 0.0  # points in one place or on one line have no area
    nearest = np.linalg.norm(points - points[neighbours(points, 1)[:, 0]], axis=1).mean()
    area = ConvexHull(points).volume  # in two dimensions the volume is the area
    return float(nearest / (0.5 * np.sqrt(area / len(points))))


def pick_clips(split: Split, which: str = "test", *, most: int = 9000, seed: int = 0) -> np.ndarray:
    """int64 numbers of the clips to draw, in order: ``most`` at most, of the "test" split, or, as
    "paper", also training clips, drawn at random; the paper's 9,000 clips must include training
    clips, because no test split of UCF101 has 9,000. StatkitError if ``which`` is another."""
    if which not in ("test", "paper"):
        raise StatkitError(f"clips are of the 'test' split or as in the 'paper', got {which!r}")
    clips = split.test if which == "test" else np.concatenate(split)
    if len(clips) > most:
        clips = np.random.default_rng(seed).choice(clips, most, replace=False)
    return np.sort(clips)


def scenes_of(names: Sequence[str], *, generated: bool = False) -> np.ndarray | None:
    """int64 ``[N]``, a number per scene: clips of a group, ``_g07_`` in their names, share their
    scene. Every class has groups of its own, but generated clips have the same groups in all
    classes. None where a name has no group."""
    found = [re.search(r"_g(\d+)_", name) for name in names]
    if not all(found):
        return None
    pairs = zip(names, found, strict=True)
    scenes = [("" if generated else name.split("/")[0], group[1]) for name, group in pairs if group]
    return np.unique(scenes, axis=0, return_inverse=True)[1].reshape(-1)
