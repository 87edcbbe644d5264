"""Two costs side by side: the calls take turns, and each ratio is of neighbours in time, so that a
machine whose speed drifts still gives the same answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

UNAVAILABLE = (ImportError, OSError, RuntimeError)  # a peer that is missing, or lacks a library


@dataclass(frozen=True)
class Comparison:
    """One line of the table.

    Attributes:
        what, other: ours, and what it is compared with.
        ratio: median of the paired ratios: our cost over the other's, or where ``goal`` begins
            with "at least", our speed over the other's.
        low, high: their quartiles.
        ours, theirs: medians of both, in ``unit``.
        goal: what the ratio should be, such as "at most 1.10"; empty where there is no goal.
        detail: more of the measurement in words.
    """

    what: str
    other: str
    ratio: float
    low: float
    high: float
    ours: float
    theirs: float
    unit: str = "ms"
    goal: str = ""
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the ratio is what it should be; None without a goal."""
        if not self.goal:
            return None
        kind, bound = self.goal.rsplit(" ", 1)
        return self.ratio <= float(bound) if kind == "at most" else self.ratio >= float(bound)


@dataclass(frozen=True)
class Missing:
    """A comparison that could not be made, and why."""

    what: str
    other: str
    reason: str


Line = Comparison | Missing


def take_turns(calls: dict[str, Callable], repeats: int, warm: int = 1) -> dict[str, np.ndarray]:
    """Milliseconds of each call, ``[repeats]``, after ``warm`` unmeasured rounds. Every other round
    goes backwards, so that no call always finds the caches as the same other one left them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-warm, repeats):
        for name, call in list(calls.items())[:: -1 if turn % 2 else 1]:
            _wait()
            start = time.perf_counter()
            call()
            _wait()
            if turn >= 0:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: np.array(values) for name, values in times.items()}


def compare(
    what: str,
    ours: Callable,
    others: dict[str, Callable],
    *,
    repeats: int = 15,
    warm: int = 1,
    goals: dict[str, str] | None = None,
    detail: str = "",
) -> list[Comparison]:
    """Time ``ours`` in turn with each of ``others``; ``goals`` by the name of the other."""
    rows = []
    for name, call in others.items():
        times = take_turns({"ours": ours, "other": call}, repeats, warm)
        goal = (goals or {}).get(name, "")
        rows.append(paired(what, name, times["ours"], times["other"], goal=goal, detail=detail))
    return rows


def paired(
    what: str, other: str, mine: np.ndarray, theirs: np.ndarray, *, goal: str = "", **more
) -> Comparison:
    """The line for two series of times that were measured in turn."""
    ratios = theirs / mine if goal.startswith("at least") else mine / theirs
    low, ratio, high = np.percentile(ratios, [25, 50, 75]).tolist()
    ours, theirs = float(np.median(mine)), float(np.median(theirs))
    return Comparison(what, other, ratio, low, high, ours, theirs, goal=goal, **more)


def build_peers(
    what: str, factories: dict[str, Callable[[], Callable]]
) -> tuple[dict[str, Callable], list[Missing]]:
    """Make the calls of other libraries; those that are not installed are named and left out."""
    calls, missing = {}, []
    for name, factory in factories.items():
        try:
            call = factory()
            call()
            calls[name] = call
        except UNAVAILABLE as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            advice = "; pip install -e .[peers]" if isinstance(error, ImportError) else ""
            missing.append(Missing(what, name, reason + advice))
    return calls, missing


def peak_rate(device: torch.device, dtype: torch.dtype, size: int = 2048) -> float:
    """Floating-point operations a second of the device at what it does best: the best of several
    large matrix products."""
    size = size if device.type == "cpu" else 4 * size
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    times = take_turns({"": lambda: a @ b}, repeats=7, warm=2)[""]
    return 2 * size**3 / (times.min() / 1000)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
