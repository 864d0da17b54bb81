"""Judging all claims: whose word counts, what is left out, and what cannot be judged."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from test_pku_claims import EFFECTS, made, pku_15, times

from grokjax.claims import registry
from grokjax.claims.judge import judge


def verdict(evidence, name="PKU-15", **changes):
    """The judgement on runs, by experiment, of a rule changed by these."""
    rule = dataclasses.replace(registry("pku")[name], **changes)
    return judge(rule, "small", evidence, {experiment: Path(f"{experiment}-small.npz") for experiment in evidence})


def at(modulus, steps, evidence):
    """The same runs as if at this modulus, with this budget."""
    for runs in evidence.values():
        runs.table = runs.table.assign(modulus=modulus, steps=steps)
    return evidence


@pytest.mark.parametrize(("modulus", "steps", "expected"), [(97, 10**6, "refuted"), (31, 10**6, "inconclusive")])
def test_only_runs_at_the_sources_own_setting_refute_its_claim(modulus, steps, expected):
    found = verdict(at(modulus, steps, pku_15("refuted")))
    assert found.verdict == expected and found.scaled == (expected != "refuted")
    assert found.parts[0].verdict == "refuted"  # what was found is told all the same


def test_runs_of_a_smaller_budget_are_not_the_sources_own():
    assert not verdict(at(97, 15_000, pku_15("refuted"))).scaled  # 5,000 epochs of 3 steps
    assert verdict(at(97, 14_999, pku_15("refuted"))).scaled


def test_a_claim_of_several_parts_of_which_some_were_not_run_is_reproduced_partly():
    evidence = at(97, 10**6, pku_15("reproduced"))
    assert verdict(evidence).verdict == "reproduced" and verdict(evidence, parts=2).verdict == "partly"


def test_what_is_not_singled_out_cannot_be_judged():
    cells = [(dict(model="mlp", modulus=47, train_fraction=a), times(EFFECTS["reproduced"])) for a in (0.3, 0.7, 0.3)]
    with pytest.raises(ValueError, match="paired"):
        verdict(dict(architectures=made(cells)), "PKU-2")


def test_the_p_value_is_that_of_the_parts_that_predict_an_effect():
    found = verdict(dict(operands=made([_cell(2, EFFECTS["reproduced"]), _cell(3, np.zeros(8))])), "PKU-11")
    assert found.verdict == "reproduced" and found.p_value < 0.01


def _cell(operands, effects):
    settings = dict(modulus=31, operands=operands, dropout=0.1, learning_rate=7e-4, train_fraction=0.5)
    return settings, times(np.asarray(effects))
