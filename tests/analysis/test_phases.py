import numpy as np
import pytest
import xarray as xr

from grokjax.analysis import in_context, phases

STEPS = np.array([0, 100, 200, 300, 400, 500, 600, 700])
LOSS = np.array([4.7, 9.0, 10.0, 9.6, 5.0, 0.4, 0.29, 0.2])
ACCURACY = np.array([0.0, 0.5, 0.995, 1, 1, 1, 1, 1])


def test_the_phases_of_a_run_end_where_the_definition_says():
    found = phases.phases(STEPS, ACCURACY, LOSS)
    ends = {name: float(found[name]) for name in found}
    # 9.6 is within 5 % of the peak of 10; 0.29 is the first within 1.5 times 0.2.
    assert ends == {"memorisation_end": 200, "circuit_formation_end": 300, "cleanup_end": 600}


def test_a_run_that_stopped_early_ends_where_its_numbers_do():
    loss = np.where(STEPS > 500, np.nan, LOSS)
    found = phases.phases(STEPS, ACCURACY, loss)
    assert float(found.cleanup_end) == 500


def test_a_phase_that_has_not_ended_is_infinite_and_what_was_not_measured_is_unknown():
    rising = xr.DataArray([np.arange(8.0), np.full(8, np.nan)], dims=("seed", "step"), coords={"seed": [4, 5]})
    found = phases.phases(STEPS, np.stack([ACCURACY / 2, np.full(8, np.nan)]), rising)
    assert found.seed.values.tolist() == [4, 5]
    assert all(found[name].values[0] == np.inf and np.isnan(found[name].values[1]) for name in found)


def test_a_touch_of_the_accuracy_that_does_not_hold_does_not_end_memorisation():
    touch = np.array([0.0, 1.0, 0.2, 0.2, 1, 1, 1, 1])
    assert float(phases.phases(STEPS, touch, LOSS, hold_steps=250).memorisation_end) == 400


def test_the_in_context_score_is_the_late_loss_less_the_early_one():
    losses = np.arange(20.0).reshape(2, 10) ** 2
    found = in_context.in_context_score(losses, early=1, late=-2, width=2)
    np.testing.assert_allclose(found, [(64 + 81) / 2 - (1 + 4) / 2, (18**2 + 19**2) / 2 - (11**2 + 12**2) / 2])
    with pytest.raises(ValueError, match="early=5 and late=5 with width=1 are not two stretches"):
        in_context.in_context_score(losses, 5, 5)


@pytest.mark.parametrize("count", [60, 400])
def test_the_phase_change_is_where_the_score_falls_at_least_half_as_fast_as_at_its_steepest(count):
    # A logistic fall of 2 around ln(1000), of width s: half the steepest slope at a distance of s ln(3 + sqrt 8).
    steps = np.unique(np.geomspace(10, 100_000, count).astype(int))
    width = 0.5
    score = -2 / (1 + np.exp(-(np.log(steps) - np.log(1000)) / width))
    found = in_context.phase_change(np.append(0, steps), np.append(np.nan, score))
    reach = width * np.log(3 + np.sqrt(8))
    np.testing.assert_allclose(np.log([found.start, found.end]), np.log(1000) + np.array([-reach, reach]), atol=0.2)
    np.testing.assert_allclose(found.share, np.tanh(reach / width / 2), atol=0.05)
    np.testing.assert_allclose(found.fall, 2 * found.share, rtol=1e-3)


def test_a_score_that_falls_but_not_below_where_it_began_has_no_share():
    found = in_context.phase_change(STEPS, np.interp(STEPS, [STEPS[0], STEPS[len(STEPS) // 2], STEPS[-1]], [0, 1, 0.5]))
    assert found["fall"] > 0 and np.isnan(found["share"])


def test_a_score_that_never_falls_has_no_phase_change():
    for score in (np.zeros(8), np.arange(8.0)):
        found = in_context.phase_change(STEPS, score)
        assert all(np.isnan(found[name]) for name in found)
