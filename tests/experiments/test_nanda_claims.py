"""The claims of the NANDA study on modular addition, on made-up runs of which the right verdict is known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from grokjax.claims import registry, together
from grokjax.claims.runs import Runs
from grokjax.experiments.nanda import claims, times
from grokjax.experiments.nanda.times import Series

SEEDS = 6
STEP = np.arange(0, 20_001, 500)
SNAPSHOT = np.arange(0, 20_001, 1000)
SPREAD = np.linspace(-0.05, 0.05, SEEDS)


def made(cells, curves=None, measures=None):
    """Runs of six seeds for each cell, (settings, columns); curves [runs, steps], measures {name: (dims, values)}."""
    norms = np.ones((SEEDS * len(cells), len(SNAPSHOT), 56))
    measures = {"embedding_norm": (["snapshot", "frequency"], norms)} | measures if measures else {}
    tables = []
    for settings, columns in cells:
        table = pd.DataFrame({"seed": range(SEEDS), "last_step": STEP[-1], "steps": STEP[-1], "steps_per_epoch": 1})
        table = table.assign(status="finished", modulus=113, train_fraction=0.3, weight_decay=1.0)
        columns = {"train": np.full(SEEDS, 500.0), "val": np.full(SEEDS, 10_000.0)} | columns
        for part in ("train", "val"):
            reached = np.asarray(columns.pop(part), float)
            for level in (50, 90, 95, 99):
                table[f"steps_to_{part}_{level}"] = reached
                table[f"steps_to_{part}_{level}_bracket"] = np.where(np.isinf(reached), STEP[-1], 0.99 * reached)
        tables.append(table.assign(**columns, **settings))
    coords = {"snapshot": SNAPSHOT, "frequency": np.arange(1, 57)}
    measured = {name: (["run", *dims], values) for name, (dims, values) in measures.items()}
    used = {dim: coords[dim] for dims, _ in measured.values() for dim in dims if dim in coords}
    return Runs(pd.concat(tables, ignore_index=True), STEP, curves or {}, xr.Dataset(measured, used))


def verdicts(name, evidence, level=99):
    """The verdicts of a claim's parts, and of all."""
    rule = registry("nanda")[name]
    judged = claims.CLAIMS[name](evidence, rule, level)
    found = [part.verdict for part in judged.parts]
    return found, together(judged.parts, rule.parts)


def addition(columns=None, curves=None, measures=None, **settings):
    return {"modular_addition": made([(settings, columns or {})], curves, measures)}


def test_every_seed_must_grok_and_within_the_sources_window():
    assert verdicts("NANDA-1", addition()) == (["reproduced"] * 2, "reproduced")
    at_once, late = np.full(SEEDS, 505.0), np.array([1e4] * 5 + [25_000.0])
    assert verdicts("NANDA-1", addition(dict(val=at_once)))[0] == ["no effect", "refuted"]
    assert verdicts("NANDA-1", addition(dict(val=late)))[0] == ["reproduced", "inconclusive"]
    assert verdicts("NANDA-1", addition(modulus=53)) == (["reproduced"], "partly")


def keys_of(sets):
    """{claims' masks} from a list of key frequencies for each run."""
    mask = np.zeros((len(sets), 56), np.float32)
    for row, keys in zip(mask, sets, strict=True):
        row[np.array(keys, int) - 1] = 1
    return {name: (["frequency"], mask) for name in ("key", "embedding_key")}


def test_key_frequencies_are_few_and_no_other_seed_has_the_same():
    own = [[i + 1, i + 10, i + 20, i + 30] for i in range(SEEDS)]
    assert verdicts("NANDA-2", addition(measures=keys_of(own))) == (["reproduced"] * 2, "reproduced")
    same, many = [[1, 2, 3, 4]] * SEEDS, [list(range(i + 1, i + 9)) for i in range(SEEDS)]
    assert verdicts("NANDA-2", addition(measures=keys_of(same)))[0] == ["reproduced", "refuted"]
    assert verdicts("NANDA-2", addition(measures=keys_of(many)))[0] == ["refuted", "reproduced"]
    never = addition(dict(val=np.full(SEEDS, np.inf)), measures=keys_of(own))
    assert verdicts("NANDA-2", never) == (["inconclusive"] * 2, "inconclusive")


def fall(steps, start, high, low, width=3000.0):
    """[runs, steps]: a loss that falls from high to low, from a step on, the other seeds' a little earlier or later."""
    starts = start * (1 + SPREAD[:, None])
    return high * (low / high) ** np.clip((steps - starts) / width, 0, 1)


def progressing(excluded=5_000, restricted=6_000, test=12_000):
    curves = dict(val_loss=fall(STEP, test, 20.0, 1e-6), train_accuracy=np.tile(STEP >= 500, (SEEDS, 1)).astype(float))
    measures = {
        "excluded_loss": (["snapshot"], 1 / fall(SNAPSHOT, excluded, 100.0, 0.2)),
        "restricted_loss": (["snapshot"], fall(SNAPSHOT, restricted, 4.0, 1e-6)),
    }
    return addition(curves=curves, measures=measures)


def test_hidden_progress_must_come_before_the_drop():
    assert verdicts("NANDA-3", progressing()) == (["reproduced"] * 2, "reproduced")
    assert verdicts("NANDA-3", progressing(excluded=16_000, restricted=17_000, test=6_000))[1] == "refuted"
    assert verdicts("NANDA-3", progressing(restricted=17_000, test=8_000))[0] == ["reproduced", "refuted"]


def test_a_drop_that_has_not_come_is_later_than_the_last_step():
    evidence = progressing()
    evidence["modular_addition"]._curves["val_loss"] = np.tile(np.linspace(5, 20, len(STEP)), (SEEDS, 1))
    assert verdicts("NANDA-3", evidence)[0] == ["reproduced"] * 2


def test_a_half_and_a_double_are_found_after_the_peak_and_the_least():
    steps = np.array([0, 1, 2, 3, 4, 5])
    assert times.halved(Series(steps, np.array([1.0, 4, 8, 5, 4, 1]))) == (4, 3)
    assert times.doubled(Series(steps, np.array([3.0, 1, 0.5, 0.7, 1.2, 1]))) == (4, 3)
    assert times.doubled(Series(steps, np.array([3.0, 1, 0.5, 0.7, 0.9, 0.8]))) == (np.inf, 5)
    assert times.below(Series(steps, np.array([0.5, 4, 8, 2, 0.9, 1])), 1.0) == (4, 3)


def ablated(whole=1e-6, without=6.0, alone=2e-7):
    columns = dict(whole_test_loss=whole, test_loss_without_keys=without, test_loss_of_keys_alone=alone)
    return addition({name: value * np.exp(SPREAD) for name, value in columns.items()}, measures=keys_of([[1]] * SEEDS))


def test_key_frequencies_do_the_work():
    assert verdicts("NANDA-4", ablated()) == (["reproduced"] * 2, "reproduced")
    assert verdicts("NANDA-4", ablated(without=1.0, alone=5e-6)) == (["refuted"] * 2, "refuted")


def cosine(neurons, logits):
    columns = dict(single_frequency_neurons=neurons + SPREAD, key_logit_variance=logits + SPREAD)
    return addition(columns, measures=keys_of([[1]] * SEEDS))


def test_neurons_and_logits_are_cosines():
    assert verdicts("NANDA-5", cosine(0.85, 0.9)) == (["reproduced"] * 2, "reproduced")
    assert verdicts("NANDA-5", cosine(0.62, 0.1)) == (["no effect", "refuted"], "refuted")


def weights(start, ends=(60.0, 30.0)):
    """Runs whose weights fall and become sparse from a step on; memorised at 500, test loss falling from 12,000 on."""
    curves = progressing()["modular_addition"]._curves | {
        "weight_norm": fall(STEP, start, *ends, 2000.0),
        "gini.embedding": 1 - fall(STEP, start, *ends, 2000.0) / 80,
        "gini.output_map": 1 - fall(STEP, start, *ends, 2000.0) / 80,
    }
    return addition(curves=curves)


def test_weights_must_fall_in_clean_up():
    assert verdicts("NANDA-6", weights(12_500)) == (["reproduced"] * 3, "reproduced")
    assert (
        verdicts("NANDA-6", weights(4_000))[0] == ["no effect"] * 3
    )  # before it, and clean-up is a fifth of the steps
    assert verdicts("NANDA-6", weights(12_500, (30.0, 60.0))) == (["refuted"] * 3, "refuted")


def test_weights_that_fall_all_along_do_not_fall_in_clean_up():
    evidence = weights(500)
    curves = evidence["modular_addition"]._curves
    curves["val_loss"] = fall(STEP, 6_000, 20.0, 1e-6, 12_000)  # clean-up is two thirds of the steps
    for name in ("weight_norm", "gini.embedding", "gini.output_map"):
        line = np.linspace(60, 30, len(STEP))
        curves[name] = np.tile(line if name == "weight_norm" else 1 - line / 80, (SEEDS, 1))
    assert verdicts("NANDA-6", evidence)[0] == ["no effect"] * 3


def of_data(least, middle, most):
    fractions = {0.25: least, 0.3: middle, 0.95: most}
    return {"data_size": made([(dict(train_fraction=a), dict(val=np.full(SEEDS, v))) for a, v in fractions.items()])}


def test_too_little_data_and_much_data():
    assert verdicts("NANDA-7", of_data(np.inf, 9_000, 510)) == (["reproduced"] * 3, "reproduced")
    assert verdicts("NANDA-7", of_data(15_000, 9_000, 5_000))[0] == ["refuted", "reproduced", "refuted"]
    rule = registry("nanda")["NANDA-7"]
    unfitted = of_data(np.inf, 9_000, 510)
    unfitted["data_size"].table.loc[:5, "steps_to_train_99"] = np.inf  # at the smallest fraction
    assert claims.CLAIMS["NANDA-7"](unfitted, rule, 99).parts[0].verdict == "refuted"
    short = of_data(np.inf, 9_000, 510)
    short["data_size"].table["steps"] = 10_000  # too few steps to say that it never generalises
    assert claims.CLAIMS["NANDA-7"](short, rule, 99).parts[0].verdict == "inconclusive"


def decaying(times_by_decay):
    cells = [(dict(weight_decay=d), dict(val=t * np.exp(SPREAD))) for d, t in times_by_decay.items()]
    runs = made(cells)
    runs.table["steps"] = 100_000
    return {"weight_decay": runs}


def test_time_falls_with_decay_until_it_fails():
    found = verdicts("NANDA-8", decaying({0.1: 80_000, 0.3: 27_000, 1.0: 8_000, 10.0: np.inf}))
    assert found == (["reproduced"] * 3, "reproduced")
    found = verdicts("NANDA-8", decaying({0.1: 8_000, 0.3: 8_000, 1.0: 8_000, 10.0: 900}))
    assert found[0] == ["no effect", "reproduced", "refuted"]
    unknown = verdicts("NANDA-8", decaying({0.1: np.inf, 0.3: 27_000, 1.0: 8_000, 10.0: np.inf}))
    assert unknown[0][0] == "inconclusive"


def walking(drift):
    """Runs whose measures do a random walk with a drift in circuit formation."""
    noise = np.random.default_rng(0).normal(size=(SEEDS, len(SNAPSHOT))).cumsum(1)
    steady = drift * np.arange(len(SNAPSHOT))
    evidence = progressing()
    measures = {"excluded_loss": (["snapshot"], np.exp(0.3 * noise + steady))}
    measures["restricted_loss"] = (["snapshot"], np.exp(-0.3 * noise - steady))
    return addition(curves=evidence["modular_addition"]._curves, measures=measures)


def test_a_drift_is_told_from_a_random_walk():
    assert verdicts("NANDA-11", walking(1.0)) == (["reproduced"] * 2, "reproduced")
    assert verdicts("NANDA-11", walking(0.0))[1] in ("no effect", "inconclusive")
    assert verdicts("NANDA-11", walking(-1.0)) == (["refuted"] * 2, "refuted")


def test_a_run_that_is_not_measured_yet_takes_no_part():
    evidence = addition(measures=keys_of([[i + 1, i + 10, i + 20] for i in range(SEEDS)]))
    runs = evidence["modular_addition"]
    runs._measures["embedding_norm"][0] = np.nan
    judged = claims.CLAIMS["NANDA-2"](evidence, registry("nanda")["NANDA-2"], 99)
    assert [part.estimate.runs for part in judged.parts] == [SEEDS - 1] * 2 and all(part.few for part in judged.parts)


@pytest.mark.parametrize("name", ["NANDA-2", "NANDA-3", "NANDA-4", "NANDA-5", "NANDA-11"])
def test_what_was_not_measured_is_said_in_a_sentence(name):
    curves = progressing()["modular_addition"]._curves
    with pytest.raises(ValueError, match="These results have no"):
        verdicts(name, addition(curves=curves))


def test_a_recorded_number_of_the_source_decides_for_it():
    (part,) = claims.on_recorded_numbers(registry("nanda")["NANDA-1"])
    assert part.verdict == "reproduced" and np.isclose(np.exp(part.estimate.value), 8000 / 1400)
