"""What is learned: full tables of examples, how they are written as tokens, split and batched.

A task is a frozen dataclass with settings, `name`, `num_examples`, `length` and `table()`.
"""

from grokjax.tasks.modular import Modular
from grokjax.tasks.table import Prefixes, Table, find_prefixes

__all__ = ["TASKS", "Modular", "Prefixes", "Table", "find_prefixes", "modular"]

TASKS = {"modular": Modular}
"""Tasks by the name the command line uses."""


def modular(operation: str = "add", modulus: int = 97, tokens: str = "a b =", output: str = "vocabulary") -> Modular:
    """`x operation y` mod `modulus`; see `Modular`."""
    return Modular(operation=operation, modulus=modulus, tokens=tokens, output=output)
