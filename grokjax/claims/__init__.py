"""Statements of the sources, each judged by rules that were written down before the runs.

A study's claims lie with it: experiments/<study>/claims.toml has the rules, claims.py the functions. Here is what they
share, and no study is named. Nothing here needs JAX.
"""

from grokjax.claims.judge import Files, Judgement, judge_all
from grokjax.claims.rules import Rule, recorded_of, registry
from grokjax.claims.verdicts import VERDICTS, Part, together

__all__ = ["VERDICTS", "Files", "Judgement", "Part", "Rule", "judge_all", "recorded_of", "registry", "together"]
