"""Each claim of the study of Huang et al. on made-up runs for which the right verdict is known, both ways."""

import jax
import numpy as np
import pytest
from test_pku_claims import STEP, made

import grokjax as gj
from grokjax.analysis.dynamics import of_grid
from grokjax.claims import registry, together
from grokjax.experiments.huang import claims as huang
from grokjax.experiments.huang.arms import CELLS, alone, mixed, parameters
from grokjax.experiments.huang.common import ADDITION, ENDS, MIXTURE
from grokjax.models import fitted

SEEDS = 8
NOISE = 0.01 * np.array([-1.0, 1.0] * (SEEDS // 2))


def judged(name, **evidence):
    """What a claim's function finds on runs made from cells, by experiment."""
    return huang.CLAIMS[name](
        {experiment: made(of) for experiment, of in evidence.items()}, registry("huang")[name], 99
    )


def verdicts(name, **evidence):
    return [part.verdict for part in judged(name, **evidence).parts]


def flat(value):
    """A curve for each seed that ends at a value, after chance."""
    value = np.broadcast_to(np.asarray(value, float), SEEDS)
    return np.stack([0 * value, 0 * value, 0.02 + 0 * value, value, value], axis=1)


MEMORISED = np.tile([0.0, 0.5, 1.0, 1.0, 1.0], (SEEDS, 1))
CURVES = {
    "progression": dict(val_accuracy=np.tile([0.0, 0.05, 0.3, 0.5, 0.6], (SEEDS, 1)), train_accuracy=flat(0.7)),
    "memorisation": dict(val_accuracy=flat(0.05), train_accuracy=MEMORISED),
    "semi-grokking": dict(val_accuracy=flat(0.5), train_accuracy=MEMORISED),
    "grokking": dict(val_accuracy=flat(1.0), train_accuracy=MEMORISED, val=np.full(SEEDS, 1000.0)),
}


def four_cells(kinds, **more):
    """Runs of the four cells that show these kinds of dynamics."""
    return [
        (dict(variant=cell.name, width=cell.width, num_train=cell.rows, modulus=113), CURVES[kind] | more)
        for cell, kind in zip(CELLS, kinds, strict=True)
    ]


def sizes(values, **settings):
    """Cells of final validation accuracy: {(width, rows): value}."""
    return [
        (dict(width=d, train_rows=n, num_train=n, modulus=113) | settings, dict(val_accuracy=flat(value)))
        for (d, n), value in values.items()
    ]


def risen(rows, at, width):
    """Final accuracies that rise from 0 to 1 over 200 rows, to 99 % at `at`."""
    return {(width, n): float(np.clip(0.99 + (n - at) / 200, 0, 1)) for n in rows}


ROWS = range(2000, 4401, 200)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        (3000, 4000, ["reproduced"] * 3),
        (4000, 4000, ["no effect", "refuted", "reproduced"]),
        (4000, 3000, ["refuted", "refuted", "refuted"]),
        (3000, 9000, ["reproduced", "reproduced", "refuted"]),
    ],
)
def test_the_critical_size_falls_to_the_sources_sizes(wide, narrow, expected):
    cells = sizes(risen(ROWS, narrow, 32) | risen(ROWS, wide, 64))
    assert verdicts("HUANG-1", critical_size=cells) == expected


def test_at_another_modulus_the_critical_size_only_falls():
    cells = sizes(risen(ROWS, 4000, 32) | risen(ROWS, 3000, 64), modulus=47)
    assert verdicts("HUANG-1", critical_size=cells) == ["reproduced"]
    assert together(judged("HUANG-1", critical_size=cells).parts, 3) == "partly"


@pytest.mark.parametrize(
    ("shares", "expected"),
    [((0.1, 0.2, 0.4, 0.5), "reproduced"), ((0.5, 0.4, 0.2, 0.1), "refuted"), ((0.2, 0.4, 0.1, 0.3), "no effect")],
)
def test_capacity_rises_with_width(shares, expected):
    cells = [
        (dict(width=d, num_train=961), dict(train_accuracy=flat(share), val_accuracy=flat(np.nan)))
        for d, share in zip((4, 8, 16, 32), shares, strict=True)
    ]
    assert verdicts("HUANG-2", capacity=cells) == [expected]


def test_each_cell_is_judged_by_the_kind_that_most_seeds_show():
    right = [cell.kind for cell in CELLS]
    found = judged("HUANG-3", dynamics=four_cells(right)).parts
    assert [part.verdict for part in found] == ["reproduced"] * 4 and found[1].note == "8 memorisation"
    assert verdicts("HUANG-3", dynamics=four_cells(right[::-1])) == ["refuted"] * 4


WIDTHS = (4, 8, 16, 32, 64)


def curve(depth, rows, **settings):
    """Final accuracies over width with a dip of this depth at the middle, and a little noise."""
    heights = (0.1, 0.6, 0.6 - depth, 0.6, 0.9)
    return [
        (dict(width=d, train_rows=rows, num_train=rows, modulus=113) | settings, dict(val_accuracy=flat(h + NOISE)))
        for d, h in zip(WIDTHS, heights, strict=True)
    ]


def test_the_u_is_deep_with_few_rows_shallower_with_more_and_then_gone():
    cells = curve(0.4, 2600) + curve(0.2, 3000) + curve(0, 4000) + curve(0, 5000)
    found = judged("HUANG-4", width=cells).parts
    assert [part.verdict for part in found] == ["reproduced"] * 4
    assert found[0].estimate.value == pytest.approx(0.4) and "p = 0.001" in found[0].note
    cells = curve(0, 2600) + curve(0, 3000) + curve(0.4, 4000) + curve(0.4, 5000)
    assert verdicts("HUANG-4", width=cells) == ["no effect", "no effect", "refuted", "refuted"]


def test_a_seed_that_lacks_a_width_has_no_u_and_one_seed_gives_no_verdict():
    runs = made(curve(0.4, 2600))
    less = runs.take(np.flatnonzero((runs.table["seed"] != 3) | (runs.table["width"] != 16)))
    seeds, depths, _ = huang.u_depths(less)
    assert 3 not in seeds and len(depths) == SEEDS - 1
    one = runs.where(seed=0)
    (part,) = huang.CLAIMS["HUANG-4"]({"width": one}, registry("huang")["HUANG-4"], 99).parts
    assert part.unknown == "one seed ran" and part.verdict == "inconclusive"


@pytest.mark.parametrize(("depth", "expected"), [(0.4, "reproduced"), (0.2, "no effect"), (0.0, "refuted")])
def test_the_square_deepens_the_u(depth, expected):
    cells = curve(0.2, 3000, operation="add") + curve(depth, 3000, operation="x^2+2*x*y+y^2")
    assert verdicts("HUANG-5", square=cells) == [expected]


def emerging(at, widths=(8, 16, 32, 64, 128), **settings):
    """Models of one layer of which those from width `at` on reach 50 %."""
    return [
        (
            dict(num_layers=1, width=d, modulus=113) | settings,
            dict(max_val_accuracy=np.full(SEEDS, 0.9 if d >= at else 0.1)),
        )
        for d in widths
    ]


def test_random_labels_delay_emergence_by_a_ratio_of_which_the_grid_leaves_bounds():
    widths = (8, 16, 32, 64, 128, 256, 512)
    cells = emerging(16, widths, second_rows=0) + emerging(256, widths, second_rows=3000)
    (part,) = judged("HUANG-6", emergence=cells).parts
    bounds = [np.log(mixed(upper, 113) / mixed(lower, 113)) for upper, lower in ((128, 16), (256, 8))]
    assert part.verdict == "reproduced" and (part.estimate.value, part.estimate.most) == pytest.approx(tuple(bounds))
    same = emerging(16, widths, second_rows=0) + emerging(16, widths, second_rows=3000)
    assert verdicts("HUANG-6", emergence=same) == [
        "no effect"
    ]  # both between width 8 and 16: a factor of 10 is excluded
    never = emerging(16, widths, second_rows=0) + emerging(9999, widths, second_rows=3000)
    (part,) = judged("HUANG-6", emergence=never).parts
    assert part.verdict == "reproduced" and part.estimate.most == np.inf
    sooner = emerging(512, widths, second_rows=0) + emerging(8, widths, second_rows=3000)
    assert verdicts("HUANG-6", emergence=sooner) == ["refuted"]


def test_a_split_feed_forward_lowers_the_emergent_size():
    def arms(whole, split):
        return emerging(whole, split_mlp=False) + emerging(split, split_mlp=True)

    assert verdicts("HUANG-9", split_feed_forward=arms(128, 16)) == ["reproduced"]
    assert verdicts("HUANG-9", split_feed_forward=arms(16, 128)) == ["refuted"]


def test_the_norm_falls_in_grokking_and_rises_in_progression():
    falls, rises = (np.exp(sign * np.arange(5.0)) * np.ones((SEEDS, 1)) for sign in (-1, 1))
    right = [cell.kind for cell in CELLS]

    def cells(of_progression, of_grokking):
        norms = (of_progression, falls, of_grokking, falls)
        return [(s, c | dict(weight_norm=n)) for (s, c), n in zip(four_cells(right), norms, strict=True)]

    grokked = np.tile([0.0, 0.0, 0.2, 0.5, 1.0], (SEEDS, 1))  # 10 % at the third evaluation, 90 % at the last

    def given(*norms):
        return [(s, c | (dict(val_accuracy=grokked) if s["variant"] == "grokking" else {})) for s, c in cells(*norms)]

    assert verdicts("HUANG-7", dynamics=given(rises, falls)) == ["reproduced", "reproduced"]
    assert verdicts("HUANG-7", dynamics=given(falls, rises)) == ["refuted", "refuted"]
    found = judged("HUANG-7", dynamics=given(rises, falls)).parts
    assert [part.estimate.value for part in found] == [pytest.approx(2.0)] * 2  # from there to the last evaluation


@pytest.mark.parametrize(("rows", "expected"), [(800, "reproduced"), (100, "refuted"), (4000, "refuted")])
def test_the_band_of_semi_grokking_is_a_thousand_rows_wide(rows, expected):
    """Validation accuracy rises from 10 to 90 % over so many rows, from 2,400 on."""
    sizes_ran = np.arange(2000, 8000, 200)
    values = {(d, int(n)): float(np.clip(0.1 + 0.8 * (n - 2400) / rows, 0, 1)) for d in (32, 64) for n in sizes_ran}
    found = judged("HUANG-8", critical_size=sizes(values))
    assert [part.verdict for part in found.parts] == [expected] * 2
    assert len(found.controls) == 2 and all("third of the budget" in part.label for part in found.controls)


def test_a_run_that_ended_because_it_held_99_percent_has_that_at_the_end():
    runs = made(sizes({(32, 3000): 0.97}))
    assert huang.final_accuracy(runs) == pytest.approx(np.full(SEEDS, 0.97))
    runs.table["status"] = "stopped"
    assert huang.final_accuracy(runs) == pytest.approx(np.full(SEEDS, 0.99))
    assert huang.final_accuracy(runs, share=100 / STEP[-1]) == pytest.approx(np.full(SEEDS, 0.02))


def test_the_norm_is_that_of_runs_that_show_a_kind_of_dynamics_wherever_they_are():
    kinds = ["grokking" if cell.kind == "semi-grokking" else cell.kind for cell in CELLS]
    falls = dict(weight_norm=flat(1.0) + 1)
    found = judged("HUANG-7", dynamics=four_cells(kinds, **falls)).parts
    assert found[0].estimate.runs == SEEDS
    kinds = ["memorisation"] * len(CELLS)
    assert [part.estimate.runs for part in judged("HUANG-7", dynamics=four_cells(kinds, **falls)).parts] == [0, 0]


def test_a_third_of_the_budget_ends_where_the_run_was_then():
    runs = made(sizes({(32, 3000): 0.9}))
    assert huang.final_accuracy(runs) == pytest.approx(np.full(SEEDS, 0.9))
    assert huang.final_accuracy(runs, share=100 / STEP[-1]) == pytest.approx(np.full(SEEDS, 0.02))


@pytest.mark.parametrize(("turning", "expected"), [("semi-grokking", "reproduced"), ("grokking", "refuted")])
def test_semi_grokking_switches_again_and_again(turning, expected):
    end = 1.0 if turning == "grokking" else 0.6
    again = np.tile([0.0, 0.0, 0.5, 0.1, end], (SEEDS, 1))
    cells = [
        (settings, columns | (dict(val_accuracy=again) if settings["variant"] == turning else {}))
        for settings, columns in four_cells([cell.kind for cell in CELLS])
    ]
    found = judged("HUANG-10", dynamics=cells)
    assert [part.verdict for part in found.parts] == [expected]
    assert sorted(part.estimate.value for part in found.controls) == [0, 2]


def test_zones_come_in_order_over_width():
    def at(rows, kinds):
        return [
            (dict(width=d, train_rows=rows, num_train=rows, modulus=113), CURVES[kind])
            for d, kind in zip(WIDTHS[:4], kinds, strict=True)
        ]

    order = ["progression", "memorisation", "semi-grokking", "grokking"]
    rising = sizes({(d, n): v for n in (4000, 5000) for d, v in zip(WIDTHS, (0.1, 0.2, 0.5, 0.9, 1.0), strict=True)})
    falling = sizes({(d, n): v for n in (4000, 5000) for d, v in zip(WIDTHS, (1.0, 0.9, 0.5, 0.2, 0.1), strict=True)})
    cells = [(s, dict(train_accuracy=MEMORISED) | c) for s, c in rising]
    assert verdicts("HUANG-11", width=at(2600, order) + at(3000, order) + cells) == ["reproduced"] * 4
    cells = [(s, dict(train_accuracy=MEMORISED) | c) for s, c in falling]
    back = order[::-1]
    assert verdicts("HUANG-11", width=at(2600, back) + at(3000, back) + cells) == ["refuted"] * 4


@pytest.mark.parametrize("name", registry("huang"))
def test_nothing_is_judged_where_nothing_was_run(name):
    assert list(huang.CLAIMS[name]({}, registry("huang")[name], 99).parts) == []


@pytest.mark.parametrize(
    ("config", "count", "split"), [(ADDITION, alone, False), *[(MIXTURE, mixed, s) for s in (0, 1)]]
)
def test_parameters_are_counted_as_flax_makes_them(config, count, split):
    table = config.task.table()
    model = fitted(config.model.clone(num_layers=2, width=24, split_mlp=bool(split)), table)
    params = jax.eval_shape(model.init, jax.random.key(0), table.inputs[:1])["params"]
    assert count(24, 113, 2) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_the_sources_models_have_1570_times_as_many_parameters():
    assert parameters(4, 1, 114, 3, 114) == 1136 and parameters(100, 1, 114, 3, 114) == 143_600
    assert round(parameters(1024, 8, 114, 3, 114) / parameters(64, 1, 114, 3, 114)) == 1571


def test_a_run_that_ends_early_is_of_the_kind_that_it_would_have_been(tmp_path):
    """Of two runs one generalises and holds it, one is too slow; the crossing's window passes before a run ends."""
    task = gj.tasks.modular("x+0*y", 13, output="numbers")
    small = ADDITION.replaced(dict(task=task, epochs=300, hold_steps=50, eval_at="every:20", train_rows=80))
    axes = dict(learning_rate=[1e-2, 1e-5], width=8)
    whole = gj.sweep(small, out=tmp_path / "whole.npz", progress=False, **axes)
    ended = gj.sweep(small.replaced(ENDS), out=tmp_path / "ended.npz", progress=False, **axes)
    assert (ended["last_step"] < whole["last_step"]).values.tolist() == [True, False]
    assert of_grid(ended).values.tolist() == of_grid(whole).values.tolist()
