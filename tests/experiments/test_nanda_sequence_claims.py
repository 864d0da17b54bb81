"""The claims of the NANDA study on digits and sequences, on made-up curves whose right verdict is known."""

import numpy as np
import pandas as pd
import pytest

from grokjax.claims import registry, together
from grokjax.claims.runs import Runs
from grokjax.experiments.nanda import sequence_claims, transitions

SEEDS = 6
STEP = np.arange(0, 10_001, 50)
SPREAD = 1 + 0.02 * np.arange(SEEDS)[:, None]
"""Seeds differ a little in when something happens."""


def made(cells):
    """Runs of `SEEDS` seeds in each cell (settings, curves)."""
    tables, curves = [], {}
    for settings, own in cells:
        table = pd.DataFrame({"seed": range(SEEDS), "last_step": STEP[-1], "status": "finished", "steps_per_epoch": 1})
        tables.append(table.assign(**{"steps": 20_000} | settings))
        for name, curve in own.items():
            curves.setdefault(name, []).append(np.broadcast_to(curve, (SEEDS, len(STEP))))
    return Runs(pd.concat(tables, ignore_index=True), STEP, {n: np.concatenate(c) for n, c in curves.items()})


def verdict(name, evidence):
    """What comes of all parts of a claim, and the parts."""
    rule = registry("nanda")[name]
    judged = sequence_claims.CLAIMS[name](evidence, rule, 99)
    return together(judged.parts, rule.parts), judged


def falling(start, end, at, width):
    """A loss that falls from one level to another around a step, over so many steps."""
    return end + (start - end) * np.clip((at * SPREAD + width / 2 - STEP) / width, 0, 1)


def test_the_largest_fall_in_a_window_is_that_of_a_hand_made_ramp():
    line = np.interp(STEP, [0, 2000, 4000, 10_000], [1.0, 1.0, 0.2, 0.2])[None]
    for window, fall in ((500, 0.2), (2000, 0.8), (5000, 0.8)):
        np.testing.assert_allclose(transitions.largest_fall(STEP, line, np.array([window])), fall)
    sparse = np.array([0, 2000, 4000, 10_000])  # between evaluations the loss is taken as a line
    found = transitions.largest_fall(sparse, np.array([[1.0, 1.0, 0.2, 0.2]]), np.array([500]))
    np.testing.assert_allclose(found, 0.2)


def test_when_a_loss_falls_to_a_level_lies_on_the_line_between_evaluations():
    found = transitions.falls_to(np.array([0, 10, 20]), np.array([[1.0, 0.8, 0.4], [0.5, 0.4, 0.3], [1, 1, 0.9]]), 0.6)
    np.testing.assert_allclose(found, [15, 0, np.inf])


def test_the_best_guesses_are_the_entropies_of_the_digits():
    sums = np.add.outer(np.arange(1000), np.arange(1000)).ravel()
    for place in range(4):
        share = np.bincount(sums // 10**place % 10) / len(sums)
        entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
        assert abs(transitions.guesses(4, True)[3 - place] - entropy) < 2e-3
    np.testing.assert_allclose(transitions.guesses(2, False), np.log(10))
    np.testing.assert_allclose(transitions.frequencies(3, 1.0), np.array([6, 3, 2]) / 11)


def endless(width, initial=0.0):
    """Six digits, one after the other, each within so many steps, and a repeated subsequence; some learn nothing."""
    guess = transitions.guesses(6, True)
    digits = {f"val_loss.{i}": falling(guess[i], 0.0, 1000 + 1000 * i, width) + initial for i in range(6)}
    sequences = {"val_loss": falling(np.log(128), 0.3, 2000, width)}
    return dict(
        digits=made([(dict(variant="endless", digits=5, carry=True, width=128), digits)]),
        repeated_subsequence=made([(dict(variant="endless", vocabulary=128, width=48), sequences)]),
    )


def test_a_digit_that_drops_within_a_short_while_has_a_phase_change():
    found, judged = verdict("NANDA-9", endless(400))
    assert found == "reproduced" and len(judged.parts) == 7
    spread = judged.controls[0].estimate  # from half of the first at step 1000 to half of the last at 6000
    np.testing.assert_allclose(spread.value, np.log(6), rtol=1e-6)


def test_a_digit_that_is_learned_slowly_has_none():
    found, judged = verdict("NANDA-9", endless(4000))
    assert found == "refuted" and all(part.estimate.value == 0 for part in judged.parts)


def test_learning_how_often_each_digit_comes_is_not_counted_as_a_phase_change():
    guess = transitions.guesses(6, True)
    curves = {f"val_loss.{i}": np.maximum(falling(12 * guess[i], 0.0, 50, 50), guess[i]) for i in range(6)}
    runs = made([(dict(variant="endless", digits=5, carry=True), curves)])
    assert {part.verdict for part in verdict("NANDA-9", dict(digits=runs))[1].parts} == {"refuted"}


FINITE = (("digits", {}), ("repeated_subsequence", {}), ("skip_trigram", {}))


def finite(peak, end, **more):
    """A test loss that starts at 4, rises to a peak and ends somewhere."""
    curve = np.interp(STEP, [0, 2000, 3000, 9000], [4.0, peak, peak, end])
    return {name: made([(dict(variant="finite") | more, dict(val_loss=curve))]) for name, _ in FINITE}


@pytest.mark.parametrize(("peak", "end", "expected"), [(9, 1, "reproduced"), (7, 1, "refuted"), (9, 6, "refuted")])
def test_to_grok_is_to_rise_twofold_and_fall_by_half(peak, end, expected):
    found, judged = verdict("NANDA-10", finite(peak, end))
    assert found == expected and len(judged.parts) == 3
    np.testing.assert_allclose(judged.controls[0].estimate.value, np.log(peak / 4))


def test_a_run_that_ended_too_early_to_fall_is_not_known():
    parts = verdict("NANDA-10", finite(9, 6, steps=6000))[1].parts
    assert all(part.verdict == "inconclusive" and "smaller than the claim's" in part.unknown for part in parts)


def sums(fewest, middle, most):
    """Runs from three numbers of sums, given the step at which the test loss is below 1; all memorise at 500."""
    cells = []
    for rows, at in ((200, fewest), (700, middle), (3000, most)):
        val = falling(2.4, 0.0, at, 400) if np.isfinite(at) else np.full((SEEDS, len(STEP)), 6.0)
        cells.append((dict(train_rows=rows), dict(train_loss=falling(2.4, 0.0, 500, 100), val_loss=val)))
    return dict(number_of_sums=made(cells))


def test_a_band_of_sizes_groks_where_only_the_middle_one_is_late():
    found, judged = verdict("NANDA-12", sums(np.inf, 6000, 560))
    assert found == "reproduced" and [part.estimate.runs for part in judged.parts] == [6, 6, 6]
    assert verdict("NANDA-12", sums(6000, 560, 6000))[0] == "refuted"
    assert verdict("NANDA-12", sums(np.inf, 6000, 6000))[0] == "partly"


def test_of_a_run_that_was_too_short_it_is_not_known_whether_it_generalises():
    evidence = sums(np.inf, 6000, 560)
    evidence["number_of_sums"].table["steps"] = 6000
    first = verdict("NANDA-12", evidence)[1].parts[0]
    assert first.verdict == "inconclusive" and first.unknown


def depths(*falls):
    """Runs of 1, 2, ... layers whose late loss falls by so many nats around step 1000; rows of 85 tokens."""
    cells = []
    for layers, fall in enumerate(falls, 1):
        late, early = falling(4.85, 4.85 - fall, 1000, 600), np.full(len(STEP), 4.85)
        curves = {f"val_loss.{i}": late if i > 40 else early for i in range(84)}
        cells.append((dict(num_layers=layers, sequence_length=85), curves))
    return dict(in_context=made(cells))


@pytest.mark.parametrize(
    ("falls", "expected"),
    [((0.2, 3.0, 3.1), "reproduced"), ((3.0, 3.0, 3.0), "partly"), ((3.0, 0.3, 0.2), "refuted")],
)
def test_composition_is_needed_where_only_deeper_stacks_change_phase(falls, expected):
    found, judged = verdict("NANDA-13", depths(*falls))
    assert found == expected
    assert [part.label[:8] for part in judged.parts] == ["1 layer:", "2 layers", "3 layers"]


def trigrams(apart, width):
    """Ten trigrams that are learned one after the other, in steps of `apart`, each within a width."""
    often = transitions.frequencies(10, 1.0)
    own = [falling(-np.log(p), 0.0, 500 + apart * i, width) for i, p in enumerate(often)]
    curves = {f"val_loss.trigram {i}": line for i, line in enumerate(own)}
    curves |= dict(val_loss=np.tensordot(often, own, 1))
    return dict(skip_trigram=made([(dict(variant="endless", num_trigrams=10, exponent=1.0), curves)]))


def test_a_sum_of_transitions_one_after_the_other_is_smoother_than_each():
    assert verdict("NANDA-14", trigrams(600, 300))[0] == "reproduced"


def test_a_sum_of_transitions_at_one_time_is_as_abrupt_as_each():
    found, judged = verdict("NANDA-14", trigrams(0, 2000))
    assert found == "no effect"
    np.testing.assert_allclose(judged.parts[0].estimate.value, 0, atol=1e-6)


def test_trigrams_that_are_never_learned_leave_the_claim_open():
    found, judged = verdict("NANDA-14", trigrams(20_000, 300))
    assert found == "inconclusive" and judged.parts[0].unknown


def test_the_source_recorded_a_delay_of_24_at_700_sums():
    (part,) = sequence_claims.on_recorded_numbers(registry("nanda")["NANDA-12"])
    np.testing.assert_allclose(np.exp(part.estimate.value), 24.3, atol=0.05)
    assert part.verdict == "reproduced" and not sequence_claims.on_recorded_numbers(registry("nanda")["NANDA-9"])
