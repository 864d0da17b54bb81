"""The registry of claims, read: what each is judged by."""

import dataclasses
import functools
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources


@dataclasses.dataclass(frozen=True)
class Rule:
    """What one claim is judged by; the fields are those of `registry.toml`, which says what they mean."""

    id: str
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

    @property
    def source(self) -> str:
        """The source that makes the claim, e.g. 'PKU'."""
        return self.id.partition("-")[0]


@functools.cache
def registry() -> Mapping[str, Rule]:
    """All claims by id, in the order of the registry."""
    return {name: Rule(id=name, **entry) for name, entry in _read("registry.toml").items()}


@functools.cache
def recorded() -> Mapping[str, Mapping]:
    """Numbers that the sources recorded or printed, by experiment."""
    return _read("recorded.toml")


def _read(name: str) -> Mapping:
    return tomllib.loads(resources.files("grokjax.claims").joinpath(name).read_text("utf-8"))
