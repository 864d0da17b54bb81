"""The registry of claims, read: what each is judged by."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from grokjax.catalogue import written


@dataclasses.dataclass(frozen=True)
class Rule:
    """What one claim is judged by; the fields are those of a study's `claims.toml`; that of PKU says what they mean."""

    id: str
    study: str
    statement: str
    quantity: str
    unit: str
    null: str
    smallest: float
    test: str
    seeds: int
    results: Sequence[str]
    parts: int
    own: Mapping[str, Sequence]
    at_least: Mapping[str, float] = dataclasses.field(default_factory=dict)
    doubtful: bool = False
    no_more: Sequence[str] = ()
    about: Mapping[str, float] = dataclasses.field(default_factory=dict)


@functools.cache
def registry(study: str) -> Mapping[str, Rule]:
    """The claims of a study by id, in the order of its claims.toml."""
    return {name: Rule(id=name, study=study, **entry) for name, entry in written(study, "claims.toml").items()}


def recorded_of(study: str) -> Mapping[str, Mapping]:
    """Numbers that a study's source recorded or printed, by experiment: its recorded.toml."""
    return written(study, "recorded.toml")
