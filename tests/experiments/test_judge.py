"""Judging all claims: whose word counts, what is left out, and what cannot be judged."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from test_pku_claims import EFFECTS, made, pku_15, times

from grokjax import catalogue
from grokjax.claims import pages, registry
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


def test_a_claim_of_several_parts_of_which_some_were_not_run_is_not_refuted_nor_without_effect():
    evidence = at(97, 10**6, pku_15("refuted"))
    assert verdict(evidence).verdict == "refuted" and verdict(evidence, parts=2).verdict == "inconclusive"
    evidence = at(97, 10**6, pku_15("no effect"))
    assert verdict(evidence).verdict == "no effect" and verdict(evidence, parts=2).verdict == "inconclusive"


def test_a_source_that_gives_no_sizes_is_never_refuted_by_sizes_of_ours():
    assert verdict(at(97, 10**6, pku_15("refuted")), own=dict(modulus=[])).scaled


def test_a_page_asks_for_what_has_not_run_until_all_parts_are_settled(tmp_path):
    one = verdict(at(97, 10**6, pku_15("refuted")))
    rule, name = one.rule, f"pku/{one.rule.results[0]}"

    def asked(one, files):
        lines = pages.section(rule, [one], files, tmp_path / "pku.md", {})
        return [line for line in lines if line.startswith("To settle it")]

    assert not asked(one, {})
    scaled = dataclasses.replace(one, scaled=True)
    assert f"`grokjax run {name} --preset=claim`" in asked(scaled, {})[0]
    assert "all that was planned has run" in asked(scaled, {name: dict(claim=Path("claim.npz"))})[0]


def test_a_picture_on_a_page_is_captioned_by_what_its_preset_trains(tmp_path):
    one = verdict(at(97, 10**6, pku_15("refuted")))
    name, path = f"pku/{one.rule.results[0]}", Path(f"{one.rule.results[0]}-small.npz")
    lines = pages.section(one.rule, [one], {name: dict(small=path)}, tmp_path / "p.md", {path: tmp_path / "x.png"})
    assert any(catalogue.size(name, "small") in line for line in lines)


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
