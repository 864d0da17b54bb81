"""Each claim of the study of scale-invariant networks on made-up runs of which the verdict is known."""

import numpy as np
import pandas as pd
import pytest

from grokjax.analysis.effective import decay_slope
from grokjax.claims import registry, together
from grokjax.claims.runs import Runs
from grokjax.experiments.melnik import claims as melnik
from grokjax.experiments.melnik.arms import CONTROLS, DECAYS
from grokjax.experiments.melnik.saw_tooth import INVARIANT, WHOLE, of_run

SEEDS, SPACING, EPOCH = 8, 16, 8
ETA, LAMBDA = 0.1, 0.005
STEP = SPACING * np.arange(1001)
POINT_1 = 20 * SPACING
PERIOD, WIDTH = 80, 5  # evaluations between jumps, and of a jump


def run_of(seed, factor=1.0, dips=True, dip_lag=0, val_at_dips=True, quieter=2.0, raw=True):
    """Curves of one run: a saw-tooth from evaluation 60 on, jumps about `PERIOD` apart, dips in them or later.

    Args:
      seed: of the times of the jumps.
      factor: of the growth between jumps, 1 is that of decay alone.
      dips: whether there are jumps and dips at all.
      dip_lag: evaluations by which dips come later than jumps.
      val_at_dips: whether validation accuracy rises in the first three dips, or between them.
      quieter: factor by which the gradient is smaller from the third jump on.
      raw: whether the gradient jumps, or the weight norm alone, by a factor of 3.
    """
    rng = np.random.default_rng(seed)
    n = len(STEP)
    jumps = np.cumsum([60, *(PERIOD + rng.integers(-3, 4, size=10))]) if dips else np.array([], int)
    jumps = jumps[jumps < n - PERIOD]
    rise = np.full(n, factor * decay_slope(ETA, LAMBDA) * SPACING)
    for jump in jumps:
        rise[jump : jump + WIDTH] = -(2 * np.log(3.0) if not raw else PERIOD * rise[0]) / WIDTH
    weight_norm = np.exp(-0.5 * (np.cumsum(rise) - 5))
    train, val, gradient = np.ones(n), np.full(n, 0.2), np.ones(n)
    train[:20] = np.linspace(0, 0.98, 20)
    for i, jump in enumerate(jumps):
        if raw:
            gradient[jump : jump + WIDTH] *= 20.0
        train[jump + dip_lag + 1 : jump + dip_lag + WIDTH] = 0.5
        if i < 3:
            val[jump + (WIDTH if val_at_dips else PERIOD // 2) :] += 0.3
        if i == 2:
            gradient[jump + WIDTH :] /= quieter
    if not dips:
        val[: n // 2] = 1.0
    return dict(
        train_mode_accuracy=train,
        val_accuracy=np.clip(val, 0, 0.995),
        weight_norm=weight_norm,
        gradient_norm=gradient / (weight_norm if raw else 1.0),
    )


def made(cells):
    """Runs from cells (settings, curves per seed, columns): crossings are those of the curves unless given."""
    tables, curves = [], {}
    for settings, of_seeds, columns in cells:
        table = pd.DataFrame({"seed": range(len(of_seeds)), "last_step": float(STEP[-1]), "steps_per_epoch": EPOCH})
        table = table.assign(status="finished", steps=100_000, learning_rate=ETA, weight_decay=LAMBDA)
        table = table.assign(modulus=97, train_fraction=0.4, batch_size=512, max_val_accuracy=1.0)
        for level in (50, 90, 95, 99):
            for part in ("train", "val"):
                reached = [
                    np.flatnonzero(one[f"{part}_accuracy" if part == "val" else "train_mode_accuracy"] >= level / 100)
                    for one in of_seeds
                ]
                table[f"steps_to_{part}_{level}"] = [STEP[at[0]] if len(at) else np.inf for at in reached]
                table[f"steps_to_{part}_{level}_bracket"] = [
                    STEP[max(at[0] - 1, 0)] if len(at) else STEP[-1] for at in reached
                ]
        tables.append(table.assign(**settings, **columns))
        for one in of_seeds:
            for name, values in one.items():
                curves.setdefault(name, []).append(values)
    return Runs(pd.concat(tables, ignore_index=True), STEP, {name: np.stack(rows) for name, rows in curves.items()})


def both_depths(**told):
    return dict(periodicity=made([(dict(num_layers=d), [run_of(s, **told) for s in range(SEEDS)], {}) for d in (1, 2)]))


def arms(**by_arm):
    """Controls: by arm, how its runs are made and columns."""
    cells = []
    for id, (told, columns) in by_arm.items():
        settings = dict(variant=id.replace("_", "-")) | {k: v for k, v in columns.items() if np.ndim(v) == 0}
        rest = {k: v for k, v in columns.items() if np.ndim(v)}
        cells.append(({}, [run_of(s, **told) for s in range(SEEDS)], settings | rest))
    return dict(controls=made(cells))


NEVER = dict(steps_to_val_99=np.inf, steps_to_val_99_bracket=float(STEP[-1]), max_val_accuracy=0.2)
SOON = dict(steps_to_val_99=float(POINT_1 + SPACING), steps_to_val_99_bracket=float(POINT_1))


def of_decays(power):
    """Strengths of decay whose growth between jumps goes with a power of lambda."""
    found = {
        id.replace("-", "_"): (dict(factor=of**power), dict(weight_decay=of * LAMBDA)) for id, (_, of) in DECAYS.items()
    }
    return dict(decay_strength=arms(**found)["controls"])


def typical(**columns):
    return dict(typical=made([(dict(variant="no-decay"), [run_of(s) for s in range(SEEDS)], columns)]))


LOUD = dict(val_accuracy=0.9)
CASES = {
    "PERIODIC-1": [(both_depths(), "reproduced"), (both_depths(dips=False), "refuted")],
    "PERIODIC-2": [(both_depths(), "reproduced"), (both_depths(dip_lag=30), "no effect")],
    "PERIODIC-3": [(both_depths() | of_decays(1), "reproduced"), (both_depths(factor=1.5) | of_decays(2), "refuted")],
    "PERIODIC-4": [(both_depths(), "reproduced"), (both_depths(quieter=0.5), "refuted")],
    "PERIODIC-5": [
        (arms(no_norm=(dict(dips=False), {}), no_decay=({}, NEVER)), "reproduced"),
        (arms(no_norm=({}, {}), no_decay=({}, {})), "refuted"),
    ],
    "PERIODIC-6": [
        (arms(no_decay=({}, NEVER)) | typical(**NEVER), "reproduced"),
        (arms(no_decay=({}, {})) | typical(), "refuted"),
        (arms(no_decay=({}, NEVER)) | typical(), "partly"),
    ],
    "PERIODIC-8": [
        (arms(little_data=({}, NEVER), much_data=({}, SOON)), "reproduced"),
        (arms(little_data=({}, {}), much_data=({}, {})), "refuted"),
    ],
    "PERIODIC-9": [(both_depths(), "reproduced"), (both_depths(val_at_dips=False), "no effect")],
    "PERIODIC-10": [(both_depths(raw=False), "partly"), (both_depths(dips=False), "inconclusive")],
}


def judged(name, evidence):
    return melnik.CLAIMS[name](evidence, registry("melnik")[name], 99)


@pytest.mark.parametrize(
    ("name", "case"), [pytest.param(n, i, id=f"{n}-{c[1]}") for n, cs in CASES.items() for i, c in enumerate(cs)]
)
def test_a_claim_on_runs_that_were_made_to_hold_or_not_to(name, case):
    evidence, verdict = CASES[name][case]
    found = judged(name, evidence)
    rule = registry("melnik")[name]
    assert together(found.parts, rule.parts) == verdict, [(p.label, p.estimate, p.verdict) for p in found.parts]
    assert len(found.parts) == rule.parts and {len(runs) for runs in found.used} == {SEEDS}


def test_every_claim_is_made_of_parts_as_the_registry_counts_them():
    assert list(melnik.CLAIMS) == list(registry("melnik"))
    assert set(CASES) | {"PERIODIC-7"} == set(melnik.CLAIMS)


def test_lean_inputs_and_symmetry_help_where_the_others_fail_or_are_noisy():
    noisy = [run_of(s) | dict(val_accuracy=1 - 0.2 * (np.arange(len(STEP)) % 2)) for s in range(SEEDS)]
    plain = [run_of(s) | dict(val_accuracy=np.ones(len(STEP))) for s in range(SEEDS)]
    evidence = dict(
        controls=made(
            [(dict(variant=v), r, {}) for v, r in (("base", plain), ("operator", noisy), ("difference", plain))]
        )
    )
    found = {part.label: part.verdict for part in judged("PERIODIC-7", evidence).parts}
    assert found == {
        f"{CONTROLS['operator']}: success": "inconclusive",  # eight pairs that all succeed
        f"{CONTROLS['operator']}: spread": "reproduced",
        f"{CONTROLS['difference']}: success": "inconclusive",
        f"{CONTROLS['difference']}: spread": "no effect",
    }
    failing = made([(dict(variant=v), plain, c) for v, c in (("base", {}), ("operator", NEVER), ("difference", {}))])
    first = judged("PERIODIC-7", dict(controls=failing)).parts
    assert first[0].verdict == "reproduced" and first[1].unknown


def test_other_places_of_the_norms_are_controls_of_the_first_claim():
    runs = made([(dict(variant="post-affine"), [run_of(s) for s in range(SEEDS)], {})])
    found = judged("PERIODIC-1", dict(norms=runs))
    assert not found.parts and [part.verdict for part in found.controls] == ["reproduced"] * 3


def test_what_ended_early_without_dips_is_not_known_to_have_none():
    evidence = both_depths(dips=False)
    evidence["periodicity"].table["steps"] = 10_000
    found = {part.label: part.verdict for part in judged("PERIODIC-1", evidence).parts}
    assert found["1 layer: dips"] == found["2 layers: periodic"] == "inconclusive"


def one(**told):
    return of_run(STEP, run_of(0, **told), POINT_1, float(STEP[-1]), ETA, LAMBDA, EPOCH)


def test_the_saw_tooth_of_a_run_has_its_dips_jumps_slope_and_period():
    teeth = one()
    assert len(teeth.dips.index) == len(teeth.falls.index) == len(teeth.growths.index) == len(teeth.bursts.index) == 11
    assert teeth.slope().value == pytest.approx(decay_slope(ETA, LAMBDA), rel=1e-6)
    found = teeth.period()
    assert found.periodic and found.period == pytest.approx(PERIOD * SPACING, rel=0.1)
    assert (teeth.tolerance, teeth.within, teeth.spacing) == (1, 5, SPACING)


@pytest.mark.parametrize(
    ("step", "point_1", "last"),
    [(np.unique(np.geomspace(1, 16_000, 1001).astype(int)), 20, 16_000), (STEP, np.inf, 16_000), (STEP, 320, 640)],
    ids=["log-spaced", "never memorised", "ended right after"],
)
def test_of_other_runs_nothing_is_said(step, point_1, last):
    curves = {name: values[: len(step)] for name, values in run_of(0).items()}
    assert of_run(step, curves, point_1, last, ETA, LAMBDA, EPOCH) is None


def test_a_last_evaluation_out_of_step_is_left_out():
    step = np.append(STEP[:-1], STEP[-1] - 3)
    teeth = of_run(step, run_of(0), POINT_1, float(step[-1]), ETA, LAMBDA, EPOCH)
    assert teeth.step[-1] == STEP[-2]


def of_part(evidence, factor):
    """Both depths with norms of the scale-invariant weights that grow by another factor of what decay alone gives."""
    for runs in evidence.values():
        other = both_depths(factor=factor)["periodicity"]
        names = dict(zip(INVARIANT, WHOLE, strict=True))
        runs._curves |= {name: other.curve(whole) for name, whole in names.items()}
    return evidence


def test_what_scale_invariant_weights_do_decides_and_all_weights_stand_beside_it():
    found = judged("PERIODIC-3", of_part(both_depths(factor=0.5), 1.0))
    assert [part.verdict for part in found.parts] == ["reproduced", "reproduced"]
    assert [(part.label, part.verdict) for part in found.controls] == [
        ("1 layer, all weights", "refuted"),
        ("2 layers, all weights", "refuted"),
    ]
    assert [part.verdict for part in judged("PERIODIC-3", of_part(both_depths(), 0.5)).parts] == ["refuted"] * 2


def test_an_effective_learning_rate_that_falls_between_jumps_speaks_against_decay():
    falling = of_part(both_depths(), 1.0)
    for runs in falling.values():
        norm = np.exp(1e-5 * STEP) * np.where(np.arange(len(STEP)) % PERIOD < WIDTH, 1.0, 1.1)
        runs._curves[INVARIANT[0]] = np.tile(norm, (len(runs), 1))
    assert np.isneginf(melnik.ln_slopes(falling["periodicity"])).all()
    assert {part.verdict for part in judged("PERIODIC-3", falling).parts} == {"refuted"}


@pytest.mark.parametrize("dip", [1, 2, 4, 8])
def test_validation_that_rises_evenly_does_not_jump_at_dips(dip):
    rng = np.random.default_rng(dip)
    n = 160
    curves = {name: values[:n].copy() for name, values in run_of(0, dips=False).items()}
    curves["val_accuracy"] = np.linspace(0, 0.98, n)
    for start in rng.choice(np.arange(30, n - 10, 12), 8, replace=False):
        curves["train_mode_accuracy"][start : start + dip] = 0.5
    teeth = of_run(STEP[:n], curves, POINT_1, float(STEP[n - 1]), ETA, LAMBDA, EPOCH)
    assert len(teeth.dips.index) == 8 and not len(teeth.val_jumps())


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("PERIODIC-5", lambda more: arms(no_norm=({}, NEVER | more), no_decay=({}, NEVER | more))),
        ("PERIODIC-6", lambda more: arms(no_decay=({}, NEVER | more)) | typical(**NEVER | more)),
        ("PERIODIC-8", lambda more: arms(little_data=({}, NEVER | more))),
    ],
)
def test_runs_that_never_memorise_say_nothing_of_what_does_not_generalise(name, evidence):
    assert {part.verdict for part in judged(name, evidence({})).parts} == {"reproduced"}
    never = dict(steps_to_train_99=np.inf, steps_to_train_99_bracket=float(STEP[-1]))
    parts = judged(name, evidence(never)).parts
    assert {part.verdict for part in parts} == {"inconclusive"} and all("memorised" in part.unknown for part in parts)
