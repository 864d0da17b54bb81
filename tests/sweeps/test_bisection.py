"""A bisected axis: few runs, the same bits as the whole grid, and nothing trained twice."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import run_steps, same_bits, tiny, train

import grokjax as gj
from grokjax.analysis.least_fraction import least_fraction
from grokjax.sweeps.bisection import next_probes

FRACTIONS = [0.3, 0.9, 0.5, 0.4, 0.6, 0.7, 0.8]  # in any order
SHORT = dict(steps=20, eval_at="every:20")


@given(st.integers(2, 20), st.data())
@settings(deadline=None)
def test_a_bisection_finds_the_least_value_in_log2_probes(count, data):
    least = np.array(data.draw(st.lists(st.integers(0, count), min_size=3, max_size=3)))
    order = np.array(data.draw(st.permutations(range(count))))
    rank = np.argsort(order)
    reached = rank[:, None] >= least  # [values, lines]
    ended = np.zeros((count, 3), bool)
    rounds = 0
    while (chosen := next_probes(ended, reached, 0, order)).any():
        rounds += 1
        assert not (chosen & ended).any() and (chosen.sum(0) <= 1).all()
        ended |= chosen
    assert rounds <= math.ceil(math.log2(count + 1))
    for line, at in enumerate(least):
        found = [rank[value] for value in range(count) if ended[value, line] and reached[value, line]]
        assert min(found, default=count) == at
        assert at == 0 or ended[order[at - 1], line]


def test_a_failure_above_the_least_that_reaches_is_passed_over():
    ended, reached = np.array([[False, False, True, False, True]]), np.array([[False, False, True, False, False]])
    assert next_probes(ended, reached, 1, np.arange(5)).tolist() == [[True, False, False, False, False]]


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """Of the least fraction with 60 training rows, which is known beforehand: 0.5 of 121."""
    out = tmp_path_factory.mktemp("search") / "least.npz"
    return out, bisected(out)


def bisected(out, **changes):
    asked = dict(value="num_train", level=60, train_fraction=FRACTIONS, seed=[0, 1]) | changes
    return gj.search(tiny(**SHORT), "train_fraction", out=out, num_devices=1, progress=False, **asked)


def test_each_probe_is_an_ordinary_run_of_the_grid_and_the_rest_is_not_run(search):
    out, grid = search
    assert grid["status"].dims == ("train_fraction", "seed") and grid.sizes["train_fraction"] == 7
    ran = grid["status"] != "not run"
    assert ran.sum("train_fraction").values.tolist() == [3, 3]
    found = least_fraction(grid, 60, "num_train")
    assert found["least_fraction"].values.tolist() == [0.5, 0.5] and found["bracket"].values.tolist() == [0.4, 0.4]
    assert list(gj.results.read(out)[1]["axes"]) == ["train_fraction", "seed"]
    alone = train(tiny(**SHORT), train_fraction=0.5, seed=1)
    assert same_bits(alone, grid.sel(train_fraction=0.5, seed=1))
    assert "embedding" in gj.params(out, train_fraction=0.5, seed=1)


def test_the_same_search_again_trains_nothing_and_a_larger_one_what_is_missing(search):
    out, grid = search
    before = gj.results.read(out)[1]["trained_by"]
    again = bisected(out)
    assert same_bits(again, grid)
    assert gj.results.read(out)[1]["trained_by"] == before
    more = bisected(out, seed=[0, 1, 2])
    assert (more["status"] != "not run").sum("train_fraction").values.tolist() == [3, 3, 3]
    assert gj.results.read(out)[1]["trained_by"][len(before) :][0]["run_steps"] == 20


def test_what_an_interrupted_round_leaves_is_taken_up_and_a_sweep_of_the_grid_trains_the_rest(search, tmp_path):
    out = tmp_path / "interrupted.npz"
    train(tiny(**SHORT), out=out, probe={"seed=1 train_fraction=0.6": dict(seed=1, train_fraction=0.6)})
    grid = bisected(out)
    assert same_bits(grid, search[1])
    assert sum(one["run_steps"] for one in gj.results.read(out)[1]["trained_by"]) == 6 * 20
    whole = train(tiny(**SHORT), out=out, train_fraction=FRACTIONS, seed=[0, 1])
    assert (whole["status"] == "finished").all() and run_steps(out) == (14 - 6) * 20


def test_an_axis_that_cannot_be_bisected_a_value_that_is_not_there_and_another_result_are_refused(search, tmp_path):
    with pytest.raises(gj.ConfigError, match="steps has no list of numbers to bisect"):
        gj.search(tiny(**SHORT), "steps", train_fraction=[0.3, 0.5])
    with pytest.raises(gj.ConfigError, match="value=max_accuracy is not"):
        bisected(tmp_path / "none.npz", value="max_accuracy")
    with pytest.raises(gj.ConfigError, match="holds another sweep"):
        bisected(search[0], train_fraction=[0.35, 0.75, 0.9])
