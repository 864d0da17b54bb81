"""How often each kind of rule covers the truth, and how often it finds an effect that is not there, at six seeds.

Runs are simulated: each arrives at a log-normal time, is evaluated at some steps, and is seen up to its budget.
Intervals are nominally of 95 %; what has no effect may come out "reproduced" in 2.5 % of all studies at most. Both are
measured on `STUDIES` studies, and may miss by three standard errors of that measurement.
"""

import dataclasses
import functools

import numpy as np
import pytest
from scipy import stats

from grokjax.analysis.statistics import Between, difference, log_ratio
from grokjax.claims import registry
from grokjax.claims.verdicts import effect, majority, no_more

SEEDS, STUDIES = 6, 1000
RULE = dataclasses.replace(registry("pku")["PKU-2"], seeds=SEEDS)
INF = np.inf


def allowed(share):
    """Three standard errors of a share that is measured on all studies."""
    return 3 * np.sqrt(share * (1 - share) / STUDIES)


def seen(times, budget, grid):
    """Crossings and brackets of runs that arrive at these times, evaluated at powers of `grid` up to their budget."""
    steps = grid ** np.ceil(np.log(times) / np.log(grid))
    last = grid ** np.floor(np.log(budget) / np.log(grid)) if np.isfinite(budget) else INF
    never = steps > last
    return np.where(never, INF, steps), np.where(never, last, steps / grid)


def ratio(rng, truth, budgets, grid=1.01):
    """[studies, seeds], what is known of ln(a / b), whose median is `truth`, with budgets of a and of b."""
    shared, *own = rng.normal(0, 0.4, (3, STUDIES, SEEDS))
    given = zip(own, (truth, 0), budgets, strict=True)
    sides = [seen(np.exp(6 + shared + z + more), limit, grid) for z, more, limit in given]
    (one, one_bracket), (other, other_bracket) = [(t.ravel(), bracket.ravel()) for t, bracket in sides]
    known = log_ratio(one, other, one_bracket, other_bracket)
    return Between(*(bound.reshape(STUDIES, SEEDS) for bound in known))


def times_of(truth, budgets, **more):
    return lambda rng: ratio(rng, truth, budgets, **more)


def delays_of(truth, budgets):
    """The ratio of two delays, each of a run whose training may not be seen to end either."""
    return lambda rng: difference(ratio(rng, truth + 1, (budgets[0], INF)), ratio(rng, 1, (budgets[1], INF)))


def points_of(truth):
    """Differences of accuracies, all of them known."""
    return lambda rng: Between.of(truth + rng.normal(0, 0.5, (STUDIES, SEEDS)))


M = np.exp(6)  # the median time of b, and of a where nothing makes it slower
KINDS = {
    "times, all seen": lambda t: times_of(t, (INF, INF)),
    "times, evaluated seldom": lambda t: times_of(t, (INF, INF), grid=1.3),
    "times, few never seen": lambda t: times_of(t, (4 * M, 4 * M)),
    "times, half never seen": lambda t: times_of(t, (M, M)),
    "times, most never seen": lambda t: times_of(t, (0.6 * M, 0.6 * M)),
    "times, the slower seen shorter": lambda t: times_of(t, (4 * M, 20 * M)),
    "times, the faster seen shorter": lambda t: times_of(t, (20 * M, 4 * M)),
    "delays, few never seen": lambda t: delays_of(t, (20 * M, 20 * M)),
    "delays, half of one never seen": lambda t: delays_of(t, (3 * M, 20 * M)),
    "points": points_of,
}


def studies(kind, truth):
    """What is known of each study's values."""
    known = KINDS[kind](truth)(np.random.default_rng(0))
    return [Between(*bounds) for bounds in zip(known.least, known.most, strict=True)]


@functools.cache
def judged(kind, truth):
    """What the rule of an effect says of each study."""
    return [effect(RULE, "", values) for values in studies(kind, truth)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("truth", [0.0, np.log(2)])
def test_an_interval_covers_the_truth_as_often_as_it_says(kind, truth):
    found = [part.estimate for part in judged(kind, truth)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.95 - allowed(0.95)


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_effect_is_seldom_reproduced(kind):
    found = [part.verdict for part in judged(kind, 0.0)]
    assert found.count("reproduced") / STUDIES <= 0.025 + allowed(0.025)
    assert found.count("refuted") / STUDIES <= 0.025 + allowed(0.025)


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_effect_is_found_where_enough_of_it_is_seen(kind):
    found = [part.verdict for part in judged(kind, np.log(8))]
    blind = any(word in kind for word in ("half", "most"))
    assert (found.count("reproduced") / STUDIES > 0.6) != blind and "refuted" not in found


@pytest.mark.parametrize("kind", KINDS)
def test_an_effect_of_the_smallest_size_seldom_passes_for_none(kind):
    found = [no_more(RULE, "", values).verdict for values in studies(kind, RULE.smallest)]
    assert found.count("reproduced") / STUDIES <= 0.025 + allowed(0.025)
    about = [no_more(RULE, "", values, about=True).verdict for values in studies(kind, RULE.smallest)]
    assert about.count("reproduced") / STUDIES <= 0.025 + allowed(0.025)


@pytest.mark.parametrize("ended_early", [0.0, 0.1, 0.5])
def test_a_share_of_one_half_is_seldom_found_to_be_most(ended_early):
    """Exactly: summed over how many runs do it, and how many of those are not seen to."""
    reproduced = covered = 0.0
    for hits in range(SEEDS + 1):
        for hidden in range(hits + 1):
            chance = stats.binom.pmf(hits, SEEDS, 0.5) * stats.binom.pmf(hidden, hits, ended_early)
            seen_to, unseen = (np.arange(SEEDS) < n for n in (hits - hidden, hits))
            part = majority(RULE, "", seen_to, unseen & ~seen_to)
            reproduced += chance * (part.verdict == "reproduced")
            covered += chance * (part.estimate.low <= 0.5 <= part.estimate.high)
    assert reproduced <= 0.025 and covered >= 0.95


def test_skewed_values_are_covered_less_often_by_students_interval():
    # Of exponential values, far more skewed than any that is judged, a mean is covered in 87 to 90 % at six seeds.
    rng = np.random.default_rng(0)
    found = [effect(RULE, "", row).estimate for row in rng.exponential(1, (STUDIES, SEEDS))]
    assert 0.86 < np.mean([one.low <= 1 <= one.high for one in found]) < 0.95
