"""(g) t-SNE of as many videos as the paper shows, with scikit-learn, which the kit takes, against
openTSNE."""

from collections.abc import Iterator

import numpy as np

from .measure import Line, build_peers, compare
from .workload import Workload

VIDEOS, FEATURES, GROUPS = 9000, 512, 101


def bench_tsne(work: Workload) -> Iterator[Line]:
    """(g) 9,000 x 512 to the plane; three turns, minutes each on a small machine."""
    from sklearn.manifold import TSNE

    rng = np.random.default_rng(0)
    middles = 3 * rng.standard_normal((GROUPS, FEATURES))
    points = middles[rng.integers(0, GROUPS, VIDEOS)] + rng.standard_normal((VIDEOS, FEATURES))
    points = points.astype(np.float32)

    def ours():
        TSNE(init="pca", random_state=0, n_jobs=-1).fit_transform(points)

    def open_tsne():
        import openTSNE

        turn = {"first": True}

        def fit():
            # The first call only shows that the library is there.
            chosen = points[:300] if turn.pop("first", False) else points
            openTSNE.TSNE(n_jobs=-1, random_state=0).fit(chosen)

        return fit

    what = f"t-SNE of {VIDEOS:,} x {FEATURES}, scikit-learn"
    peers, missing = build_peers(what, {"openTSNE": open_tsne})
    yield from compare(what, ours, peers, repeats=3, warm=0)
    yield from missing
