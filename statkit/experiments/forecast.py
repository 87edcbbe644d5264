"""A forecast of the gain of SAT+TAT on a data set, before stage two.

It uses what is known after stage one (:data:`statkit.experiments.conditions.KNOWN`). The model is a
ridge regression, fitted at run time on the conditions of the knob experiment (generated clips
alone); the real sets only test it. Outside the range of these conditions it gives a number with its
interval, and the answer "cannot say".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from statkit.errors import StatkitError
from statkit.shipped import SHIPPED

from .conditions import Summary, summaries, summary
from .knobs import shipped_runs
from .results import Estimate, Result, read_results
from .settings import REAL
from .tables import signed

# The predictors: few, because the conditions are few. The product is hypothesis H7.
PREDICTORS = ("gap", "specific", "spread", "gap x specific")
PENALTIES = (0.1, 1.0, 10.0, 100.0)
LEAST = 8  # conditions; with fewer there is no forecast
WORTH = 2.0  # points: a gain that is certainly smaller is not worth stage two
COARSE = 10.0  # points: a gap that is known less exactly is named

TRAIN_IT, DO_NOT_BOTHER, CANNOT_SAY = "train it", "do not bother", "cannot say"


def predictors(features: dict[str, float]) -> np.ndarray:
    """float64 ``[4]``, in the order of :data:`PREDICTORS`."""
    values = [features[name] for name in PREDICTORS[:3]]
    return np.array([*values, features["gap"] * features["specific"]])


def gap_error(features: dict[str, float], clips: int) -> float:
    """Standard error of the gap, in points, from the number of test clips alone: that of two
    binomial shares, with two right and two wrong answers added to each (Agresti and Coull), as if
    the two networks erred independently."""
    shares = ((features[n] / 100 * clips + 2) / (clips + 4) for n in ("teacher", "student"))
    return 100 * sum(share * (1 - share) / (clips + 4) for share in shares) ** 0.5


@dataclass(frozen=True)
class Forecast:
    """The expected gain with its 95 % prediction interval, in points; ``words`` is one of the three
    answers, ``reasons`` are sentences. ``gain`` is None if there is no forecast."""

    gain: Estimate | None
    words: str
    reasons: tuple[str, ...]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the interval."""
        if self.gain is None:
            return None
        return self.gain.mean - self.gain.half_width, self.gain.mean + self.gain.half_width


def words_for(low: float, high: float) -> str:
    """The answer for the interval of a set inside the fitted range: "train it" if the gain lies
    above 0, "do not bother" if it lies below :data:`WORTH` points, "cannot say" otherwise."""
    if low > 0:
        return TRAIN_IT
    return DO_NOT_BOTHER if high < WORTH else CANNOT_SAY


class ForecastModel:
    """Ridge regression of the gain on the standardised predictors, with a free intercept.

    With Z the predictors, less their means and divided by their spreads, the coefficients are
    ``(Z'Z + penalty I)^-1 Z'(gain - mean gain)``, with the penalty that misses left-out conditions
    least (scikit-learn's RidgeCV). Each condition is left out of all of this once; e is the root
    mean square of these errors. The leverage of a point z is
    ``h = 1/n + z'(Z'Z + penalty I)^-1 z``. The prediction interval is
    ``+- t(n - 2) e sqrt(1 + h)``: it widens for sets that are unlike all conditions. With few test
    clips it widens again, by the binomial error of the gap (:func:`gap_error`) times the model's
    slope along the gap.

    Attributes:
        conditions: the fitted ones: those with all predictors and a measured gain.
        errors: float64 ``[n]``, the absolute error of each condition when it is left out.
        baseline: the same errors for the forecast "the mean gain of the other conditions".
    """

    def __init__(self, conditions: Sequence[Summary]):
        self.conditions = [
            one for one in conditions if one.gain and np.isfinite(predictors(one.features)).all()
        ]
        self.errors, self.baseline = np.zeros(0), np.zeros(0)
        if not self.usable:
            return
        from sklearn.linear_model import RidgeCV
        from sklearn.model_selection import LeaveOneOut, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        x = np.stack([predictors(one.features) for one in self.conditions])
        y = np.array([one.gain.mean for one in self.conditions if one.gain])
        n = len(y)
        self._low, self._high = x.min(0), x.max(0)
        self._mean, self._spread = x.mean(0), x.std(0) + 1e-9
        z = (x - self._mean) / self._spread
        self._ridge = RidgeCV(PENALTIES).fit(z, y)
        self.penalty = float(self._ridge.alpha_)
        whole = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
        self.errors = np.abs(cross_val_predict(whole, x, y, cv=LeaveOneOut()) - y)
        self._inverse = np.linalg.inv(z.T @ z + self.penalty * np.eye(z.shape[1]))
        self.baseline = (y - y.mean()) * n / (n - 1)

    @property
    def usable(self) -> bool:
        """Whether there are enough conditions for a forecast."""
        return len(self.conditions) >= LEAST

    def __call__(self, features: dict[str, float], *, clips: int | None = None) -> Forecast:
        """The forecast for what is known of a set (:attr:`Summary.features`).

        Args:
            clips: test clips that teacher and student were measured on; None adds no error for
                their number.
        """
        if not self.usable:
            return Forecast(None, CANNOT_SAY, ("too few conditions are measured for a forecast",))
        x = predictors(features)
        if not np.isfinite(x).all():
            unknown = [n for n, v in zip(PREDICTORS[:3], x, strict=False) if not np.isfinite(v)]
            return Forecast(None, CANNOT_SAY, (f"not known of this set: {', '.join(unknown)}",))
        z, n = (x - self._mean) / self._spread, len(self.conditions)
        per_point = (predictors({**features, "gap": features["gap"] + 1}) - x) / self._spread
        noise = gap_error(features, clips) if clips else 0.0
        half_width = self._half_width(z, self._ridge.coef_ @ per_point * noise)
        gain = Estimate(float(self._ridge.predict(z[None])[0]), half_width, n)
        outside = [
            f"{name} = {value:.3g} lies outside the fitted range ({low:.3g} to {high:.3g})"
            for name, value, low, high in zip(PREDICTORS, x, self._low, self._high, strict=True)
            if not low <= value <= high
        ]
        words = words_for(gain.mean - gain.half_width, gain.mean + gain.half_width)
        few = f"the gap is known to ± {1.96 * noise:.0f} points from {clips} test clips"
        reasons = (*([few] if 1.96 * noise > COARSE else []), *outside)
        return Forecast(gain, CANNOT_SAY if outside else words, reasons)

    @property
    def least_half_width(self) -> float:
        """Half of the narrowest possible interval, at the mean of all predictors; in points."""
        return self._half_width(np.zeros(len(PREDICTORS)))

    def _half_width(self, z: np.ndarray, noise: float = 0.0) -> float:
        from scipy.special import stdtrit

        n = len(self.conditions)
        leverage = 1 / n + z @ self._inverse @ z
        error = np.sqrt((self.errors**2).mean() * (1 + leverage) + noise**2)
        return float(stdtrit(n - 2, 0.975) * error)

    @property
    def guess(self) -> float:
        """The forecast that knows nothing of a set: the mean gain of the conditions, in points."""
        return float(np.mean([one.gain.mean for one in self.conditions if one.gain]))

    def text(self) -> str:
        """How good the model is, and which answers it can give, in sentences."""
        if not self.usable:
            return (
                f"Measured conditions of generated clips: {len(self.conditions)}; the model needs "
                f"{LEAST}. `statkit tables --table knobs` measures more."
            )
        left_out, simple = (np.abs(e).mean() for e in (self.errors, self.baseline))
        worse = " The model is no better than that guess." if left_out >= simple else ""
        return (
            f"Fitted on {len(self.conditions)} conditions of generated clips. A condition that is "
            f'left out is missed by {left_out:.1f} points on average; the guess "the mean gain of '
            f'the others" misses it by {simple:.1f}.{worse} No interval is narrower than '
            f'± {self.least_half_width:.1f} points. So "{TRAIN_IT}" needs an expected gain above '
            f'{self.least_half_width:.1f}, and "{DO_NOT_BOTHER}" one below '
            f"{WORTH - self.least_half_width:.1f}."
        )


def shipped_model() -> ForecastModel:
    """The model of the committed runs of the knob experiment."""
    return ForecastModel(summaries(shipped_runs()))


# Names of the real sets whose runs ship, by the name of their folder.
REAL_SETS = {"clips_160x120": "ucf101_8"}


def real_runs(folder: Path = SHIPPED) -> dict[str, list[Result]]:
    """The committed runs of each real set with all labels (Table 3). Runs of another recipe or
    another choice than the defaults of real clips are a set of their own, such as "NAME, tam
    shared": they have their own teacher and their own plain student. The number of epochs may
    differ between sets, and makes no set of its own."""
    groups: dict[str, list[Result]] = {}
    for file in sorted(folder.glob("*.csv")):
        for run in read_results(file):
            if run.table == "3" and run.backbone == "resnet18" and run.labelled is None:
                name = json.loads(run.parameters).get("dataset", "")
                name = ", ".join([REAL_SETS.get(name, name), *_changed(run.config)])
                groups.setdefault(name, []).append(run)
    for name, runs in groups.items():
        [(place, count), *_] = Counter((r.row, r.seed, r.split) for r in runs).most_common(1)
        if count > 1:
            raise StatkitError(f"{name}: {count} runs of {place[0]} with seed {place[1]}")
    return groups


def _changed(config: dict) -> list[str]:
    """What differs from the defaults of real clips, as words: "tam shared"."""
    default, found = asdict(REAL), []
    for part in ("choices", "recipe"):
        for name, value in config.get(part, {}).items():
            if name != "epochs" and value != default[part].get(name, value):
                found.append(f"{name} {value}")
    return found


def real_sets() -> list[Summary]:
    """The summaries of :func:`real_runs`."""
    return [summary(name, runs) for name, runs in real_runs().items()]


def forecasts(model: ForecastModel, sets: Sequence[Summary]) -> tuple[list[list[str]], str]:
    """Head and rows of a table of the forecasts beside the measured gains; and, in sentences, how
    often the forecasts were right, and how far two forecasts that know nothing of a set miss."""
    rows, errors, gains, inside = [["set", "forecast", "answer", "measured gain"]], [], [], 0
    for one in sets:
        found = model(one.features)
        reason = f" ({'; '.join(found.reasons)})" if found.reasons else ""
        gain = signed(one.gain) if one.gain else "not measured"
        cell = signed(found.gain) if found.gain else ""
        rows.append([one.name, cell, found.words + reason, gain])
        if one.gain and found.gain:
            gains.append(one.gain.mean)
            errors.append(found.gain.mean - one.gain.mean)
            inside += abs(errors[-1]) <= found.gain.half_width
    if not errors:
        return rows, "No forecast can be compared with a measured gain yet."
    return rows, (
        f"The measured mean gain lies in the interval of the forecast on {inside} of {len(errors)} "
        f"sets. The forecast misses it by {np.abs(errors).mean():.1f} points on average; the "
        f'forecast "no gain" misses it by {np.abs(gains).mean():.1f}, and "the mean gain of the '
        f'conditions" ({model.guess:+.1f}) by {np.abs(np.array(gains) - model.guess).mean():.1f}.'
    )
