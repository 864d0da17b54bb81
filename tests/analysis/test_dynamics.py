"""The classifier of dynamics on curves of each kind, at each boundary."""

import numpy as np
import pytest
import xarray as xr

from grokjax import results
from grokjax.analysis.crossings import crossing
from grokjax.analysis.dynamics import LABELS, classify, final, of_grid, shares

STEPS = np.arange(0, 10_001, 50)
HOLD = 200


def rising(at, to=1.0, start=0.0, steps=STEPS):
    """A curve at `start` until step `at`, and at `to` from then on."""
    return np.where(steps >= at, to, start).astype(np.float32)


def kind(train, val, diverged=False):
    reached = [crossing(STEPS, curve, 0.99, HOLD)[0] for curve in (train, val)]
    return classify(STEPS, train, val, *reached, diverged=diverged)


NEVER = np.inf
CURVES = {
    "diverged": (rising(500), rising(500)),
    "confusion": (rising(500, 0.6), rising(500, 0.05)),
    "progression": (rising(3000), rising(2000, 0.3)),
    "memorisation": (rising(500), rising(500, 0.05)),
    "semi-grokking": (rising(500), rising(3000, 0.6)),
    "comprehension": (rising(500), rising(900)),
    "grokking": (rising(500), rising(3000)),
}


@pytest.mark.parametrize("label", LABELS)
def test_a_curve_of_each_kind_gets_its_name(label):
    assert kind(*CURVES[label], diverged=label == "diverged") == label


@pytest.mark.parametrize(
    ("label", "train", "val"),
    [
        ("confusion", rising(500, 0.98), rising(500, 0.09)),
        ("memorisation", rising(500, 0.99), rising(600, 0.09)),
        ("progression", rising(500, 0.98), rising(500, 0.1)),  # .1 reached, .99 never
        ("progression", rising(550), rising(500, 0.1)),
        ("semi-grokking", rising(500), rising(500, 0.1)),  # in one evaluation is not before
        ("semi-grokking", rising(500), rising(550, 0.1)),
        ("semi-grokking", rising(500), rising(550, 0.94)),
        ("grokking", rising(500), rising(550, 0.95)),  # final .95, .99 never
        ("comprehension", rising(500), rising(1000)),  # exactly twice
        ("grokking", rising(500), rising(1050)),
        ("memorisation", rising(500), np.where(STEPS < 5000, 0.9, 0.05).astype(np.float32) * (STEPS > 500)),
        ("comprehension", rising(500) - 0.5 * (STEPS > 600), rising(900, 0.97)),  # neither held: no delay to see
    ],
)
def test_boundaries_belong_where_the_definition_says(label, train, val):
    assert kind(train.astype(np.float32), val.astype(np.float32)) == label


def test_a_touch_of_99_percent_ends_the_time_for_progression():
    touched = rising(8000)
    touched[STEPS == 1000] = 0.99
    assert kind(touched, rising(2000)) == "comprehension"
    assert kind(rising(8000), rising(2000)) == "progression"


def test_the_final_accuracy_is_the_mean_of_the_last_hundredth_of_the_steps():
    accuracy = np.linspace(0, 1, 201)
    assert final(STEPS, accuracy) == pytest.approx(accuracy[-2:].mean())  # steps 9,950 and 10,000; 9,900 is outside
    assert final(np.array([0, 10, 1000]), np.array([0.1, 0.2, np.nan])) == 0.2
    assert np.isnan(final(STEPS, np.full(201, np.nan)))


def test_a_whole_result_is_classified_run_by_run_whatever_the_order_of_its_axes():
    labels = list(CURVES)
    curves = {
        part: np.stack([CURVES[label][i] for label in labels]).reshape(7, 1, -1)
        for i, part in enumerate(("train_accuracy", "val_accuracy"))
    }
    ends = np.full((7, 1), STEPS[-1])
    ends[-1] = 5000
    for curve in curves.values():  # what an early end leaves, filled or not
        curve[-1, 0, STEPS > 5000] = np.nan
    status = np.array([["diverged"], *[["finished"]] * 5, ["stopped"]])
    crossings = {
        f"steps_to_{part}_99": np.array([[crossing(STEPS, c[0], 0.99, HOLD)[0]] for c in curves[f"{part}_accuracy"]])
        for part in ("train", "val")
    }
    axes = ("width", "seed")
    grid = xr.Dataset(
        {name: ((*axes, "step"), curve) for name, curve in curves.items()}
        | {name: (axes, values) for name, values in crossings.items()}
        | {"status": (axes, status), "last_step": (axes, ends)},
        {"step": STEPS},
    )
    found = of_grid(grid)
    assert found.dims == axes and found.values[:, 0].tolist() == labels
    turned = of_grid(grid.assign(val_accuracy=grid["val_accuracy"].transpose("step", "seed", "width")))
    assert turned.values.tolist() == found.values.tolist()
    waiting = of_grid(grid.assign(status=grid["status"].copy(data=np.full((7, 1), "under way"))))
    assert set(waiting.values.ravel()) == {""}


def test_filling_a_run_that_stopped_early_changes_nothing():
    val = rising(3000)
    val[STEPS == 9000] = 0.92  # with the evaluation before, a mean of .96 over its last hundredth
    curves = {
        name: (("seed", "step"), np.where(STEPS <= 9000, curve, np.nan)[None])
        for name, curve in (("train_accuracy", rising(500)), ("val_accuracy", val))
    }
    per_run = {"steps_to_train_99": 500.0, "steps_to_val_99": 3000.0, "last_step": 9000, "status": "stopped"}
    grid = xr.Dataset(curves | {name: ("seed", [value]) for name, value in per_run.items()}, {"step": STEPS})
    assert of_grid(grid).item() == of_grid(results.filled(grid)).item() == "grokking"


def test_shares_are_of_the_runs_that_ended():
    found = shares(["grokking", "grokking", "memorisation", ""])
    assert found["grokking"].value == pytest.approx(2 / 3) and found["grokking"].runs == 3
    assert found["confusion"].value == 0 and set(found) == set(LABELS)
