"""What a compiled program moves to and from main memory, read off its HLO text.

Each instruction of a loop's body that is not inside a fusion reads its operands and writes its result. Counted are the
bytes of those that lie in main memory, as they lie there: on a TPU the last two axes are padded to tiles of 8 x 128,
and what is marked S(1) lies in the chip's fast memory and is not counted. A copy into fast memory counts once. Loops
within the body are not counted, so where there are some the bytes are the least that move.
"""

import math
import re
from typing import NamedTuple

BYTES = {"f64": 8, "s64": 8, "u64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "u16": 2, "s16": 2}
BYTES |= {"pred": 1, "u8": 1, "s8": 1}
TILE = (128, 8)
"""Of the last axis of an array, and of the one before it."""

NOTHING_MOVES = ("parameter", "get-tuple-element", "tuple", "constant", "bitcast", "while", "opt-barrier", "after-all")
BEGINS = ("copy-start", "slice-start")
"""Whose bytes are counted where they end."""

_ARRAY = re.compile(rf"\b({'|'.join(BYTES)})\[([\d,]*)\](?:\{{([\d,]*)([^}}]*)\}})?")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%([\w.\-]+) = (.*)$")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{\s*$")


class Instruction(NamedTuple):
    """One line: its name, the type of its result, its opcode, and what follows that."""

    name: str
    kind: str
    opcode: str
    rest: str


def computations(text: str) -> dict[str, list[Instruction]]:
    """The instructions of each computation of a program."""
    found: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            current = found.setdefault(head[1], [])
        elif body := _INSTRUCTION.match(line):
            kind, rest = _type_and_rest(body[2])
            opcode, _, after = rest.partition("(")
            current.append(Instruction(body[1], kind, opcode, after))
    return found


def step_bytes(text: str) -> int:
    """Bytes that one pass of the training loop moves to and from main memory.

    That loop is the one whose body has gradients in it.

    Raises:
      ValueError: if there is no such loop.
    """
    all_of_them = computations(text)
    kinds = {one.name: one.kind for body in all_of_them.values() for one in body}
    for body in all_of_them.values():
        for one in body:
            inner = re.search(r"body=%?([\w.\-]+)", one.rest) if one.opcode == "while" else None
            if inner and any("transpose(jvp" in each.rest for each in all_of_them[inner[1]]):
                return sum(_moved(each, kinds) for each in all_of_them[inner[1]])
    raise ValueError("The program has no loop with gradients in it.")


def _moved(one: Instruction, kinds: dict[str, str]) -> int:
    if one.opcode in (*NOTHING_MOVES, *BEGINS):
        return 0
    if one.opcode in ("copy-done", "slice-done"):
        return _size(one.kind, everywhere=True)
    operands = re.findall(r"%([\w.\-]+)", one.rest.split(")")[0])
    return _size(one.kind) + sum(_size(kinds.get(name, "")) for name in operands)


def _size(kind: str, everywhere: bool = False) -> int:
    """Bytes of the arrays of a type that lie in main memory, or of all."""
    total = 0
    for element, shape, order, layout in _ARRAY.findall(kind):
        if "S(1)" in layout and not everywhere:
            continue
        lengths = [int(length) for length in shape.split(",") if length]
        padded = [lengths[int(axis)] for axis in order.split(",") if axis] if order else lengths[::-1]
        if len(padded) > 1 and "T(" in layout:
            padded[:2] = [-(-length // tile) * tile for length, tile in zip(padded, TILE, strict=False)]
        total += math.prod(padded) * BYTES[element]
    return total


def _type_and_rest(text: str) -> tuple[str, str]:
    """'f32[2]{0} add(...' and '(f32[], s32[]) while(...' in two."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == " " and depth == 0:
            return text[:place], text[place + 1 :]
    return text, ""
