"""The sources' statements, each judged by rules that were written down before the runs: see `registry.toml`.

`judge_all(folders)` reads the results of experiments, calls the function of each claim, and returns what it found.
Nothing here needs JAX.
"""

from grokjax.claims.judge import Judgement, judge_all, presets_in
from grokjax.claims.rules import Rule, registry
from grokjax.claims.verdicts import VERDICTS, Part, together

__all__ = ["VERDICTS", "Judgement", "Part", "Rule", "judge_all", "presets_in", "registry", "together"]
