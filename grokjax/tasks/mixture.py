"""Two operations in one table, distinguished by their operator token.

Source: Huang et al. 2024 (grokking, double descent and emergent abilities in one view), who memorise random labels
beside an addition.
"""

import dataclasses

import numpy as np

from grokjax.config import RUN, ConfigError, check_settings, refusing, setting
from grokjax.tasks import formats
from grokjax.tasks.modular import NAMED, RANDOM, Modular
from grokjax.tasks.table import Table

DEFAULT_SECOND_ROWS = 3000


@refusing
@dataclasses.dataclass(frozen=True)
class Mixture:
    """Rows `x o1 y =` of one operation mod p, then rows `x o2 y =` of another.

    Token ids: the numbers, p for the first operator, p+1 for the second, p+2 for '='. The parts of the table are the
    operations. Of the first part a train fraction trains, of the second `second_rows` do.

    Raises:
      ConfigError: as `Modular` does, for an operation mixed with itself, or for more training rows than there are.
    """

    operation: str = setting("add", "the first operation, as in modular", names=(*NAMED, *RANDOM), label="operation")
    second_operation: str = setting("random", "the second operation, as in modular", names=(*NAMED, *RANDOM))
    modulus: int = setting(113, "the numbers are 0 .. modulus-1", low=2, high=46_340, label="modulus p")
    second_rows: int = setting(
        DEFAULT_SECOND_ROWS, "rows of the second operation that train", role=RUN, kind=int, low=0, high=2**31 - 1
    )
    output: str = formats.output_setting()

    def __post_init__(self):
        check_settings(self)
        first, second = self._parts
        object.__setattr__(self, "operation", first.operation)
        object.__setattr__(self, "second_operation", second.operation)
        if first == second:
            raise ConfigError(
                f"operation={first.operation} and second_operation={second.operation} are the same. "
                f"Try --second_operation={'add' if first.operation == 'subtract' else 'subtract'}."
            )
        if self.second_rows != DEFAULT_SECOND_ROWS:  # a program, which has no per-run value, keeps the default
            self._check_second_rows()

    def _check_second_rows(self):
        rows = self._parts[1].num_examples
        if self.second_rows > rows:
            raise ConfigError(
                f"second_rows={self.second_rows} is more than the {rows} rows of {self._parts[1].name}. "
                f"Try --second_rows={rows}."
            )

    @property
    def _parts(self) -> tuple[Modular, Modular]:
        first, second = (
            Modular(operation, self.modulus, "a o b =", self.output)
            for operation in (self.operation, self.second_operation)
        )
        return first, second

    @property
    def name(self) -> str:
        """E.g. 'x+y and random labels mod 113'."""
        first, second = (part.name.removesuffix(f" mod {self.modulus}") for part in self._parts)
        return f"{first} and {second} mod {self.modulus}"

    @property
    def first_rows(self) -> int:
        """Rows of the first part."""
        return self._parts[0].num_examples

    @property
    def fixed_rows(self) -> tuple[int, ...]:
        """Rows that train of every part after the first."""
        self._check_second_rows()
        return (self.second_rows,)

    @property
    def random_parts(self) -> tuple[bool, ...]:
        """Per part, whether its labels are random, so that its rows do not validate."""
        return tuple(random for part in self._parts for random in part.random_parts)

    @property
    def num_examples(self) -> int:
        """Rows of the full table, without building it."""
        return sum(part.num_examples for part in self._parts)

    @property
    def length(self) -> int:
        """Tokens in a row."""
        return 4

    def table(self) -> Table:
        """The full table, the first part first."""
        p, tasks = self.modulus, self._parts
        tables = [task.table() for task in tasks]
        vocab_size = p + 3
        inputs = np.concatenate([table.inputs for table in tables])
        part = np.repeat(np.arange(2, dtype=np.int32), [table.num_examples for table in tables])
        inputs[:, 1], inputs[:, 3] = p + part, p + 2
        random = {}
        if any(table.label_group is not None for table in tables):
            random = dict(label_group=_numbered([table.label_group for table in tables], tables), random_classes=p)
        return Table(
            inputs=inputs,
            labels=np.concatenate([table.labels for table in tables]),
            answer_positions=(3,),
            vocab_size=vocab_size,
            num_classes=vocab_size if self.output == "vocabulary" else p,
            name=self.name,
            pair=_numbered([table.pair for table in tables], tables),
            part=part,
            parts=tuple(task.name.removesuffix(f" mod {p}") for task in tasks),
            part_position=1,
            part_tokens=(p, p + 1),
            **random,
        )


def _numbered(groups, tables):
    """[examples] int32: the parts' groups one after the other, counted on, -1 where a part has none."""
    numbers, first = [], 0
    for group, table in zip(groups, tables, strict=True):
        if group is None:
            numbers.append(np.full(table.num_examples, -1, np.int32))
        else:
            numbers.append(group + np.int32(first))
            first += int(group.max()) + 1
    return np.concatenate(numbers)
