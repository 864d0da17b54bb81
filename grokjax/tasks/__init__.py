"""What is learned: full tables of examples, tokens or features, and how they are split and batched.

What a task must have, and what it may have, is `grokjax.config.Task` and the contracts after it.
"""

from grokjax.tasks.custom import FunctionTask, TableTask, from_file, from_function, from_table
from grokjax.tasks.digits import Digits
from grokjax.tasks.mixture import Mixture
from grokjax.tasks.modular import Modular
from grokjax.tasks.parity import SparseParity
from grokjax.tasks.permutations import Permutations
from grokjax.tasks.regression import Polynomial, Teacher
from grokjax.tasks.sequences import RepeatedSubsequence, SkipTrigram
from grokjax.tasks.table import Prefixes, Table, find_prefixes

__all__ = [
    "TASKS",
    "Digits",
    "FunctionTask",
    "Mixture",
    "Modular",
    "Permutations",
    "Polynomial",
    "Prefixes",
    "RepeatedSubsequence",
    "SkipTrigram",
    "SparseParity",
    "Table",
    "TableTask",
    "Teacher",
    "find_prefixes",
    "from_file",
    "from_function",
    "from_table",
    "modular",
    "sparse_parity",
]

TASKS = {
    "modular": Modular,
    "permutations": Permutations,
    "mixture": Mixture,
    "digits": Digits,
    "repeated": RepeatedSubsequence,
    "skip_trigram": SkipTrigram,
    "sparse_parity": SparseParity,
    "teacher": Teacher,
    "polynomial": Polynomial,
}
"""Tasks by the name the command line uses."""


def modular(
    operation: str = "add", modulus: int = 97, tokens: str = "a b =", output: str = "vocabulary", **settings
) -> Modular:
    """`x operation y` mod `modulus`; see `Modular` for these and further settings."""
    return Modular(operation=operation, modulus=modulus, tokens=tokens, output=output, **settings)


def sparse_parity(bits: int = 40, parity_bits: int = 3, **settings) -> SparseParity:
    """The parity of `parity_bits` of `bits` random bits; see `SparseParity` for these and further settings."""
    return SparseParity(bits=bits, parity_bits=parity_bits, **settings)
