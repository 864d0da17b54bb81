"""Each claim of the POWER study on made-up results, of which the verdict is known, both ways."""

import numpy as np
import pytest
from test_pku_claims import ALTERNATING, SEEDS, made

from grokjax.analysis.learning_rate_window import window
from grokjax.claims import registry, together
from grokjax.experiments.power import claims as power
from grokjax.experiments.power.arms import REGULARISATIONS

ONES, NEVER = np.ones(SEEDS), np.full(SEEDS, np.inf)
WIGGLE = 1 + 0.01 * ALTERNATING
FRACTIONS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
ENOUGH = dict(steps=100_000)


def arms(**leasts):
    """Cells of arms over fractions, of which each needs so much data; a number, or one per seed."""
    return {name.replace("_", "-"): np.broadcast_to(least, SEEDS) for name, least in leasts.items()}


FINE = [round(0.01 * i, 2) for i in range(29, 62)]


def needing(leasts, fractions=FRACTIONS, **more):
    """Runs of arms over fractions that reach 100 % from their least fraction on, and 30 % below."""
    return made(
        [
            (
                dict(variant=id, train_fraction=fraction, **ENOUGH),
                dict(max_val_accuracy=np.where(fraction >= least - 1e-9, 1.0, 0.3)) | more.get(id, {}),
            )
            for id, least in leasts.items()
            for fraction in fractions
        ]
    )


def division(train, val, loss=None, steps=10**6):
    """Runs of Adam without decay."""
    curves = {} if loss is None else dict(val_loss=np.tile(loss, (SEEDS, 1)))
    settings = dict(variant="none", steps=steps)
    return dict(division=made([(settings, dict(train=train * ONES, val=val * ONES) | curves)]))


def over_fractions(per_percent, train=2000.0, fractions=(0.25, 0.26, 0.28, 0.30), val=3000.0):
    """Runs of data_fraction whose steps to validation grow by this ratio for each per cent less."""
    cells = [
        (
            dict(train_fraction=f, **ENOUGH),
            dict(train=train * WIGGLE, val=val * WIGGLE**f * per_percent ** (100 * (0.30 - f))),
        )
        for f in fractions
    ]
    return dict(data_fraction=made(cells))


def operations(fractions=FRACTIONS, **leasts):
    return dict(operations=needing(arms(**leasts), fractions))


PAIRS = dict(subtract=0.6, add=0.4, divide=0.6, multiply=0.4)


def quadratics(asymmetric, symmetric):
    return {"x2+xy+y2+x": np.full(SEEDS, asymmetric), "x2+xy+y2": np.full(SEEDS, symmetric)}


def one_operation(id, highest):
    """One operation that reaches this accuracy at every fraction."""
    cells = [(dict(variant=id, train_fraction=f, **ENOUGH), dict(max_val_accuracy=highest * ONES)) for f in FRACTIONS]
    return dict(operations=made(cells))


def regularisation(fractions=FRACTIONS, **leasts):
    return dict(regularisation=needing(arms(**leasts), fractions))


def all_ways(decay, others, fractions=FRACTIONS):
    leasts = {id: np.full(SEEDS, others) for id in REGULARISATIONS} | arms(decay=decay)
    return dict(regularisation=needing(leasts, fractions))


def rates(reached):
    """AdamW over learning rates, which generalises at some."""
    cells = [
        (dict(variant="decay", learning_rate=rate), dict(max_val_accuracy=(0.3 + 0.7 * (rate in reached)) * ONES))
        for rate in (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
    ]
    return dict(learning_rate=made(cells))


def outliers(fractions=FRACTIONS, **leasts):
    """S5 with outliers: k10=.4 needs .4 of the table with 10 of them."""
    cells = [
        (
            dict(outliers=int(k[1:]), train_fraction=f, **ENOUGH),
            dict(max_val_accuracy=np.where(f >= least - 1e-9, ONES, 0.3), num_train=14_400 * f * ONES),
        )
        for k, least in leasts.items()
        for f in fractions
    ]
    return dict(outliers=made(cells))


RANKS = np.arange(12.0)


def sharp(accuracy):
    """Twelve runs with rising sharpness and curvature."""
    columns = dict(sharpness=np.exp(RANKS), top_eigenvalue=RANKS, final_val_accuracy=accuracy)
    return dict(sharpness=made([(dict(variant="none"), columns)]))


def rows(p_value, with_it, without):
    """Networks whose rows are in order with these p-values and measures."""
    measures = {"add": ("line_p", "top_share"), "permutations": ("coset_p", "coset_excess")}
    cells = [
        (dict(variant=f"{task}-{decay}"), {p: p_value * ONES, name: value * WIGGLE})
        for task, (p, name) in measures.items()
        for decay, value in (("decay", with_it), ("none", without))
    ]
    return dict(embeddings=made(cells))


def sharpness_of_arms(full_batch, adam, update_noise, weight_noise):
    given = {"full-batch": full_batch, "adam": adam, "update-noise": update_noise, "weight-noise": weight_noise}
    return dict(
        regularisation=needing(
            {id: np.full(SEEDS, 0.5) for id in given},
            **{id: dict(sharpness=value * WIGGLE) for id, value in given.items()},
        )
    )


TWICE, ONCE = [4.0, 3.0, 6.0, 6.0, 0.5], [4.0, 3.0, 3.5, 4.0, 5.0]
CASES = {
    "POWER-1": [
        (division(300, 4e5), ["reproduced"] * 3),
        (division(3000, 4000), ["refuted", "no effect", "reproduced"]),
        (division(300, np.inf, steps=10_000), ["reproduced", "inconclusive", "inconclusive"]),
        (division(300, np.inf), ["reproduced", "inconclusive", "refuted"]),
    ],
    "POWER-2": [
        (over_fractions(1.45), ["reproduced", "reproduced"]),
        (over_fractions(1.05), ["no effect", "refuted"]),
        (over_fractions(3.0), ["reproduced", "refuted"]),
        (over_fractions(0.5), ["refuted", "refuted"]),
    ],
    "POWER-3": [
        (over_fractions(1.4), ["reproduced", "reproduced"]),
        (over_fractions(1.4, train=200), ["refuted", "reproduced"]),
    ],
    "POWER-4": [
        (dict(operations=needing(arms(**PAIRS) | quadratics(0.9, 0.6))), ["reproduced"] * 3),
        (dict(operations=needing(arms(**PAIRS) | quadratics(0.5, 0.6))), ["reproduced", "reproduced", "refuted"]),
        (operations(FINE, subtract=0.4, add=0.4), ["no effect"]),
        (operations(subtract=0.4, add=0.4), ["inconclusive"]),  # so coarse a grid cannot tell
        (operations(subtract=np.inf, add=np.inf), ["inconclusive"]),
        (operations(subtract=0.1, add=0.1), ["inconclusive"]),
    ],
    "POWER-5": [
        (operations(FINE, subtract=0.4, divide=0.4, add_less_one=0.31, multiply_nonzero=0.3), ["reproduced"] * 2),
        (operations(subtract=0.4, divide=0.4, add_less_one=0.3, multiply_nonzero=0.3), ["inconclusive"] * 2),
        (operations(subtract=0.4, divide=0.8), ["refuted"]),
        (operations(subtract=0.8, divide=0.4), ["refuted"]),
    ],
    "POWER-6": [(one_operation("mixed", 1.0), ["reproduced"]), (one_operation("mixed", 0.5), ["refuted"])],
    "POWER-7": [(one_operation("x3+xy2+y", 0.05), ["reproduced"]), (one_operation("x3+xy2+y", 0.2), ["refuted"])],
    "POWER-8": [
        (regularisation(adam=0.8, decay=0.3, decay_init=0.5), ["reproduced", "reproduced"]),
        (regularisation(FINE, adam=0.5, decay=0.4, decay_init=0.4), ["no effect", "no effect"]),
        (regularisation(adam=0.5, decay=0.4, decay_init=0.4), ["no effect", "inconclusive"]),
        (regularisation(adam=np.inf, decay=0.3), ["reproduced"]),
        (regularisation(adam=np.inf, decay=0.8, decay_init=np.inf), ["partly", "reproduced"]),
    ],
    "POWER-9": [
        (regularisation(full_batch=0.9, adam=0.6, update_noise=0.6, weight_noise=0.4), ["reproduced"] * 3),
        (
            regularisation(FINE, full_batch=0.4, adam=0.6, update_noise=0.4, weight_noise=0.6),
            ["refuted", *["no effect"] * 2],
        ),
    ],
    "POWER-10": [
        (rates((5e-4, 1e-3, 2e-3)), ["reproduced"]),
        (rates((1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)), ["refuted"]),
        (rates(()), ["inconclusive"]),
    ],
    "POWER-11": [
        (outliers(FINE, k0=0.4, k1000=0.4, k3000=0.6), ["reproduced", "reproduced"]),
        (outliers(FINE, k0=0.4, k1000=0.6, k3000=0.4), ["refuted", "no effect"]),
        (outliers(k0=0.4, k1000=0.4, k3000=0.8), ["inconclusive", "reproduced"]),
    ],
    "POWER-12": [
        (sharp(-RANKS), ["reproduced"]),
        (sharp(RANKS), ["refuted"]),
        (sharp(np.ones(12)), ["inconclusive"]),
    ],
    "POWER-13": [
        (rows(0.001, 0.5, 0.2), ["reproduced"] * 4),
        (rows(0.5, 0.2, 0.2), ["refuted", "no effect", "refuted", "no effect"]),
        (rows(0.5, 0.2, 0.5), ["refuted"] * 4),
    ],
    "POWER-14": [
        (division(300, 5000, TWICE), ["reproduced"]),
        (division(300, 5000, ONCE), ["refuted"]),
        (division(300, np.inf, ONCE, steps=9000), ["inconclusive"]),
    ],
    "POWER-15": [
        (over_fractions(1.45**0.2), ["reproduced"]),
        (over_fractions(1.45), ["refuted"]),
        (over_fractions(1.45**0.2, fractions=(0.35, 0.4)), ["reproduced"]),
    ],
    "POWER-16": [
        (all_ways(0.3, 0.5), ["reproduced"]),
        (all_ways(0.5, 0.5, FINE), ["no effect"]),
        (all_ways(0.5, 0.3), ["refuted"]),
    ],
    "POWER-17": [
        (sharpness_of_arms(8, 2, 2, 0.5), ["reproduced"] * 3),
        (sharpness_of_arms(2, 2, 2, 8), ["no effect", "no effect", "refuted"]),
    ],
}
BOTH_WAYS = [
    pytest.param(name, evidence, expected, id=f"{name}-{i}")
    for name, cases in CASES.items()
    for i, (evidence, expected) in enumerate(cases)
]


def test_every_claim_is_tried_both_ways():
    assert set(CASES) == set(registry("power")) == set(power.CLAIMS)
    for cases in CASES.values():
        verdicts = [verdict for _, expected in cases for verdict in expected]
        assert "reproduced" in verdicts and {"refuted", "no effect"} & set(verdicts)


@pytest.mark.parametrize(("name", "evidence", "expected"), BOTH_WAYS)
def test_the_parts_of_a_claim_come_out_as_its_results_were_made(name, evidence, expected):
    judged = power.CLAIMS[name](evidence, registry("power")[name], 99)
    told = [(part.label, part.verdict, part.estimate, part.note, part.unknown) for part in judged.parts]
    assert [part.verdict for part in judged.parts] == expected, told
    assert all(len(runs) for runs in judged.used)


def test_an_operation_whose_runs_diverge_is_not_known_to_be_unlearnable():
    evidence = one_operation("x3+xy2+y", 0.05)
    evidence["operations"].table["status"] = "diverged"
    (part,) = power.CLAIMS["POWER-7"](evidence, registry("power")["POWER-7"], 99).parts
    assert part.verdict == "inconclusive" and part.unknown


@pytest.mark.parametrize("name", CASES)
def test_too_few_seeds_decide_nothing_and_without_results_a_claim_is_not_run(name):
    evidence = {key: runs.take(np.flatnonzero(runs.table["seed"] < 5)) for key, runs in CASES[name][0][0].items()}
    judged = power.CLAIMS[name](evidence, registry("power")[name], 99)
    assert {part.verdict for part in judged.parts} == {"inconclusive"}
    assert together(power.CLAIMS[name]({}, registry("power")[name], 99).parts) == "not run"


def test_a_claim_has_as_many_parts_as_its_rule_says_where_all_ran():
    for name in set(CASES) - {"POWER-11", "POWER-14"}:  # of which the first case has some of the arms
        judged = power.CLAIMS[name](CASES[name][0][0], registry("power")[name], 99)
        assert len(judged.parts) == registry("power")[name].parts, name


def test_a_slope_through_runs_that_never_came_has_a_bound_on_the_side_to_which_they_pull():
    evidence = over_fractions(1.45)
    table = evidence["data_fraction"].table
    rare = table["train_fraction"] == 0.25
    known = power._slope(evidence["data_fraction"], [0.25, 0.26, 0.28, 0.30], 99)
    np.testing.assert_allclose(known.least, np.log(1.45), atol=0.01)
    table.loc[rare, "steps_to_val_99_bracket"] = table.loc[rare, "steps_to_val_99"] / 2
    table.loc[rare, "steps_to_val_99"] = np.inf
    found = power._slope(evidence["data_fraction"], [0.25, 0.26, 0.28, 0.30], 99)
    assert (found.least < known.least).all() and np.isposinf(found.most).all()
    common = table["train_fraction"] == 0.30
    table.loc[common, "steps_to_val_99"] = np.inf
    found = power._slope(evidence["data_fraction"], [0.25, 0.26, 0.28, 0.30], 99)
    assert np.isneginf(found.least).all() and np.isposinf(found.most).all()


def test_a_least_fraction_at_the_edge_of_the_grid_bounds_its_ratio_on_one_side():
    runs = needing(arms(adam=0.4, decay=0.1))
    ratio = power.data_ratio(runs.where(variant="adam"), runs.where(variant="decay"), 99)
    np.testing.assert_allclose(ratio.least, np.log(4))
    assert np.isposinf(ratio.most).all()


def test_the_window_that_the_claim_reads_is_that_of_the_measure():
    (part,) = power.CLAIMS["POWER-10"](rates((5e-4, 1e-3, 2e-3)), registry("power")["POWER-10"], 99).parts
    found = window(np.array([1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2]), np.array([0.3, 0.3, 1, 1, 1, 0.3, 0.3]))
    assert part.estimate.value == pytest.approx(found.decades) and part.estimate.most == pytest.approx(
        found.most_decades
    )


def test_the_numbers_that_the_source_prints_are_judged_by_the_same_rules():
    found = {id: power.on_recorded_numbers(rule) for id, rule in registry("power").items()}
    assert {id for id, parts in found.items() if parts} == {"POWER-1", "POWER-2", "POWER-12"}
    assert all(part.verdict == "reproduced" for parts in found.values() for part in parts)
