"""The claims of the NANDA study on modular addition, NANDA-1 to 8 and NANDA-11, beside those of `sequence_claims`.

Each function is given the runs of the claim's experiments, its rule and the accuracy level of crossings, and returns
the parts that decide and the controls beside them. The registry says in words what they compute.
"""

from grokjax.claims.rules import Rule
from grokjax.claims.verdicts import Part
from grokjax.experiments.nanda import sequence_claims

CLAIMS = {} | sequence_claims.CLAIMS


def on_recorded_numbers(rule: Rule) -> list[Part]:
    """The parts of a claim on the numbers that the source recorded; none where it recorded none that decide."""
    return []
