"""What one run does after point 1, as claims and figures read it: dips, jumps, slopes, periods and what coincides.

Needs NumPy alone, and only what a result stores: any evenly evaluated run with the metrics `gradient_norm` and
`train_mode_accuracy`. The definitions are those of claims.toml.
"""

import dataclasses
import functools
from collections.abc import Container

import numpy as np
from jaxtyping import Bool, Float, Int

from grokjax.analysis import effective, events, periodicity
from grokjax.analysis.events import Events
from grokjax.analysis.statistics import Estimate

DEPTH = 0.05
"""Of a dip of training accuracy, and of a jump of validation accuracy."""

FALL = -np.log(0.95)
"""Of ln effective learning rate in a jump."""

BURST = np.log(2.0)
"""Rise of ln gradient norm in a jump."""

EPOCHS = 10
"""Within which a jump happens."""

LEAST_DIPS = 3
"""Of a run that behaves periodically."""

INVARIANT, WHOLE = (("invariant_norms.weight", "invariant_norms.gradient"), ("weight_norm", "gradient_norm"))
"""Curves of the norms of weights and gradient, of the scale-invariant weights and of all."""


def norms_in(curves: Container[str], whole: bool = False) -> tuple[str, str]:
    """`INVARIANT` where these curves have it, otherwise, or if asked for, `WHOLE`.

    What decay alone does to a norm, and how a norm scales the steps of SGD, is known of scale-invariant weights.
    """
    return WHOLE if whole or INVARIANT[0] not in curves else INVARIANT


@dataclasses.dataclass(frozen=True)
class SawTooth:
    """One run from point 1 on; places are counted from there.

    Attributes:
      step: [evaluations], equally spaced.
      train_accuracy: [evaluations], of the batches since the last evaluation.
      val_accuracy: [evaluations].
      weight_norm, gradient_norm: [evaluations], of the scale-invariant weights where they were measured.
      learning_rate, weight_decay: eta and lambda.
      epoch: steps in an epoch.
    """

    step: Int[np.ndarray, " evaluations"]
    train_accuracy: Float[np.ndarray, " evaluations"]
    val_accuracy: Float[np.ndarray, " evaluations"]
    weight_norm: Float[np.ndarray, " evaluations"]
    gradient_norm: Float[np.ndarray, " evaluations"]
    learning_rate: float
    weight_decay: float
    epoch: float

    @property
    def spacing(self) -> int:
        """Steps between evaluations."""
        return int(self.step[1] - self.step[0])

    @property
    def tolerance(self) -> int:
        """Evaluations within which two things coincide."""
        return max(1, round(self.epoch / self.spacing))

    @property
    def within(self) -> int:
        """Evaluations that a jump may take."""
        return max(1, round(EPOCHS * self.epoch / self.spacing))

    @functools.cached_property
    def effective_rate(self) -> Float[np.ndarray, " evaluations"]:
        """eta/|theta|^2."""
        return effective.effective_learning_rate(self.learning_rate, self.weight_norm)

    @functools.cached_property
    def effective_gradient(self) -> Float[np.ndarray, " evaluations"]:
        """|g| |theta|."""
        return effective.effective_gradient(self.gradient_norm, self.weight_norm)

    @functools.cached_property
    def dips(self) -> Events:
        """Of training accuracy."""
        return events.dips(self.train_accuracy, DEPTH)

    @functools.cached_property
    def falls(self) -> Events:
        """Jumps of the effective learning rate, downwards: the norm grows."""
        return events.jumps(np.log(self.effective_rate), FALL, self.within, upward=False)

    @functools.cached_property
    def growths(self) -> Events:
        """Jumps of the weight norm: the same growth as in `falls`, half as large in its logarithm."""
        return events.jumps(np.log(self.weight_norm), FALL / 2, self.within)

    @functools.cached_property
    def bursts(self) -> Events:
        """Jumps of the effective gradient."""
        return events.jumps(np.log(self.effective_gradient), BURST, self.within)

    @functools.cached_property
    def raw_bursts(self) -> Events:
        """Jumps of the gradient itself."""
        return events.jumps(np.log(self.gradient_norm), BURST, self.within)

    @property
    def dipping(self) -> Bool[np.ndarray, " evaluations"]:
        """Whether the training set is not memorised just now."""
        return self.train_accuracy < 1 - DEPTH

    def val_jumps(self, until: float = np.inf) -> Int[np.ndarray, " jumps"]:
        """Upward jumps of validation accuracy up to a step, between what it was before a dip and after it interpolated.

        Held at what it was before, all that it gains in a dip would come at its end, where it cannot but coincide.
        """
        places, fitted = np.arange(len(self.step)), ~self.dipping
        if not fitted.any():
            return np.array([], int)
        line = np.interp(places, places[fitted], self.val_accuracy[fitted])
        return events.jumps(line[self.step <= until], DEPTH, self.within).index

    def slopes(self) -> effective.Slopes:
        """Of ln effective learning rate between jumps."""
        return effective.slopes_between(self.step, np.log(self.effective_rate), self.falls.start, self.falls.stop)

    def slope(self) -> Estimate:
        """The slope of all stretches together, against what decay alone gives."""
        return effective.common_slope(self.slopes(), effective.decay_slope(self.learning_rate, self.weight_decay))

    def period(self) -> periodicity.Period:
        """Of ln effective learning rate, in steps."""
        return _period(np.log(self.effective_rate).tobytes(), self.spacing)

    def excess(self, which: Int[np.ndarray, " events"], others: Bool[np.ndarray, " evaluations"]) -> float:
        """The share of events near a marked evaluation, less the mean over circular shifts; NaN without events."""
        if not len(which):
            return np.nan
        found = events.coincidence(which, np.flatnonzero(others), len(others), self.tolerance)
        return (found.hits - found.expected) / found.events

    def during(self, happens: Events) -> Bool[np.ndarray, " evaluations"]:
        """[evaluations], which lie in one of some jumps."""
        marked = np.zeros(len(self.step), bool)
        for start, stop in zip(happens.start, happens.stop, strict=True):
            marked[start : stop + 1] = True
        return marked


LEAST_GRADIENT = 1e-30
"""Below it a gradient has no logarithm worth having: in float32 that of a fitted network may be exactly 0."""


@functools.lru_cache(maxsize=1024)
def _period(curve: bytes, spacing: int) -> periodicity.Period:
    """Of a curve in float64, which several claims ask for, each at several levels."""
    return periodicity.find_period(np.frombuffer(curve), seed=0, spacing=spacing)


LEAST_EVALUATIONS = 2 * periodicity.LEAST_EVALUATIONS
"""From point 1 on, of a run of which anything is said."""


def of_run(
    step: Int[np.ndarray, " steps"],
    curves: dict[str, Float[np.ndarray, " steps"]],
    point_1: float,
    last_step: float,
    learning_rate: float,
    weight_decay: float,
    epoch: float,
    whole: bool = False,
) -> SawTooth | None:
    """One run from point 1 on; None where it never memorised, was evaluated unevenly, or ended right after.

    Args:
      step: [steps], evaluated ones.
      curves: 'train_mode_accuracy', 'val_accuracy', and the two of `norms_in`, [steps] each.
      point_1: steps to 99 % training accuracy; +inf if never.
      last_step: up to which the run went.
      learning_rate, weight_decay: eta and lambda.
      epoch: steps in an epoch.
      whole: whether the norms are to be those of all weights in any case.
    """
    weight_norm, gradient_norm = (curves[name] for name in norms_in(curves, whole))
    chosen = (step >= point_1) & (step <= last_step) & np.isfinite(gradient_norm)
    at = np.flatnonzero(chosen)
    if len(at) > 1 and step[at[-1]] - step[at[-2]] != step[at[1]] - step[at[0]]:
        at = at[:-1]  # a budget that is no multiple of the spacing
    if len(at) < LEAST_EVALUATIONS or len(set(np.diff(step[at]))) > 1:
        return None
    return SawTooth(
        step[at],
        curves["train_mode_accuracy"][at].astype(np.float64),
        curves["val_accuracy"][at].astype(np.float64),
        weight_norm[at].astype(np.float64),
        np.maximum(gradient_norm[at].astype(np.float64), LEAST_GRADIENT),
        float(learning_rate),
        float(weight_decay),
        float(epoch),
    )
