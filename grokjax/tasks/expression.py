"""Formulas such as 'x^2+3*y', read by a small grammar and evaluated modulo p. Nothing is ever run as Python."""

import ast
import dataclasses
import functools
import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from grokjax.config import ConfigError

LONGEST_TEXT = 200
DEEPEST_NESTING = 60
LARGEST_CONSTANT = 1_000_000
LARGEST_EXPONENT = 1000

VARIABLE = re.compile(r"x[1-9]|[xyz]")
NO_OTHER_CHARACTER = re.compile(r"[^A-Za-z0-9_ +\-*/%^()=!<>]")

ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^", ast.Mod: "%"}
COMPARISONS = {
    ast.Eq: ("==", np.equal),
    ast.NotEq: ("!=", np.not_equal),
    ast.Lt: ("<", np.less),
    ast.LtE: ("<=", np.less_equal),
    ast.Gt: (">", np.greater),
    ast.GtE: (">=", np.greater_equal),
}
COMPARE = dict(COMPARISONS.values())
PRECEDENCE = {"if": 0, **dict.fromkeys(COMPARE, 1), "+": 2, "-": 2, "*": 3, "/": 3, "%": 3, "negate": 4, "^": 5}
ATOM = 6
WORDS = {
    ast.Call: "a call",
    ast.Attribute: "an attribute",
    ast.FloorDiv: "'//'",
    ast.BoolOp: "'and' or 'or'",
    ast.Not: "'not'",
    ast.UAdd: "a sign '+'",
    ast.LShift: "'<<'",
    ast.RShift: "'>>'",
    ast.Await: "'await'",
    ast.Is: "'is'",
    ast.IsNot: "'is'",
    ast.In: "'in'",
    ast.NotIn: "'in'",
}


class Node(NamedTuple):
    """A number, a variable, or what an operator makes of its parts.

    Attributes:
      kind: 'constant', 'variable', 'negate', 'if' (parts: condition, then, otherwise), or the operator's sign.
      parts: the nodes it works on.
      number: the constant, the variable's place (x or x1: 0), the exponent of '^' or the divisor of '%'.
    """

    kind: str
    parts: tuple = ()
    number: int = 0


@dataclasses.dataclass(frozen=True)
class Expression:
    """A formula in the operands, as `parse` reads it. Equal where the trees are, however they were spelt."""

    root: Node

    @property
    def variables(self) -> frozenset[int]:
        """The places of the operands it names; x, y, z are 0, 1, 2, as are x1, x2, x3."""
        return frozenset(node.number for node in _nodes(self.root) if node.kind == "variable")

    @functools.cached_property
    def divides(self) -> bool:
        """Whether it divides anywhere, and so needs a prime modulus."""
        return any(node.kind == "/" for node in _nodes(self.root))

    @property
    def chooses(self) -> bool:
        """Whether it is, as a whole, one of two formulas by a condition."""
        return self.root.kind == "if"

    def formula(self, operands: int = 2) -> str:
        """The one way to write it: without needless spaces or brackets, in x and y, from three on in x1 ... xK."""
        names = ("x", "y") if operands <= 2 else tuple(f"x{i}" for i in range(1, operands + 1))
        return _written(self.root, names)

    def evaluate(
        self, operands: Int[np.ndarray, "operands rows"], modulus: int
    ) -> tuple[Int[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
        """The values mod `modulus`, row by row.

        Every part of the formula has a residue 0 .. modulus-1 as its value, and `%` and comparisons act on that
        number. A constant that is itself compared stays as written, so `y<100` holds for every residue mod 97.
        x^0 is 1. Of a conditional only the chosen branch counts, in value and in being defined.

        Args:
          operands: [operands, rows] int64, residues.
          modulus: prime if the formula divides; at most 46,340, so that no product overflows.

        Returns:
          [rows] int64 values, 0 where undefined; [rows] bool, False where the formula divides by 0.
        """
        values, defined = _value(self.root, operands, modulus)
        rows = operands.shape[1]
        defined = np.broadcast_to(defined, rows).copy()
        return np.where(defined, np.broadcast_to(values, rows), 0).astype(np.int64), defined


@functools.lru_cache(maxsize=16)
def inverses(modulus: int) -> Int[np.ndarray, " residues"]:
    """[modulus] int64: the multiplicative inverse of each residue of a prime modulus; 0 stays 0.

    By Fermat's little theorem, x^(modulus-2). Read-only.
    """
    residues = np.arange(modulus, dtype=np.int64)
    found = residues if modulus == 2 else _power(residues, modulus - 2, modulus)
    found.setflags(write=False)
    return found


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Reads a formula.

    It may hold the variables x, y, z or x1 ... x9, whole numbers, brackets, + - * / and unary minus, ^ or ** with a
    constant exponent, % with a constant divisor, and `A if C else B`, where the condition C is a formula (true if
    not 0) or compares two by == != < <= > >=. A product is always written with '*'.

    Args:
      text: at most 200 characters.

    Returns:
      The `Expression`.

    Raises:
      ConfigError: naming what is not allowed.
    """
    if len(text) > LONGEST_TEXT:
        raise _refusal(text, f"it has {len(text)} characters, more than {LONGEST_TEXT}")
    if other := NO_OTHER_CHARACTER.search(text):
        raise _refusal(text, f"the character {other.group()!r} is not allowed")
    if product := re.search(r"\b\d+[A-Za-z_]\w*|\)\s*[A-Za-z0-9_(]|\b(?:\d+|x[1-9]|[xyz])\s*\(", _without_words(text)):
        raise _refusal(text, f"{product.group()!r} has no sign in it, and a product needs its '*', as in 3*x")
    try:
        tree = ast.parse(text.replace("^", "**").strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _refusal(text, "it is no formula") from None
    return Expression(_node(tree.body, text))


def _without_words(text: str) -> str:
    """`text` with 'if' and 'else' as operators, so that what stands beside them is no product."""
    return re.sub(r"\b(if|else|and|or|not|in|is)\b", "+", text)


def _refusal(text: str, why: str) -> ConfigError:
    shown = text if len(text) <= LONGEST_TEXT else f"{text[:40]}..."
    return ConfigError(f"operation={shown} cannot be read: {why}. Try a formula such as --operation=x^2+3*y.")


def _node(tree: ast.AST, text: str, depth: int = 0) -> Node:
    """One node of the whitelist, and those below it."""
    if depth > DEEPEST_NESTING:
        raise _refusal(text, f"it nests more than {DEEPEST_NESTING} levels deep")
    inner = functools.partial(_node, text=text, depth=depth + 1)
    match tree:
        case ast.Constant():
            return Node("constant", number=_constant(tree, text, 0, LARGEST_CONSTANT, "a constant"))
        case ast.Name():
            return Node("variable", number=_place(tree.id, text))
        case ast.UnaryOp(op=ast.USub()):
            return Node("negate", (inner(tree.operand),))
        case ast.BinOp(op=ast.Pow()):
            exponent = _constant(tree.right, text, 0, LARGEST_EXPONENT, "an exponent")
            return Node("^", (inner(tree.left),), exponent)
        case ast.BinOp(op=ast.Mod()):
            divisor = _constant(tree.right, text, 1, LARGEST_CONSTANT, "the number behind '%'")
            return Node("%", (inner(tree.left),), divisor)
        case ast.BinOp() if type(tree.op) in ARITHMETIC:
            return Node(ARITHMETIC[type(tree.op)], (inner(tree.left), inner(tree.right)))
        case ast.IfExp():
            return Node("if", (_condition(tree.test, text, depth + 1), inner(tree.body), inner(tree.orelse)))
        case ast.Compare():
            raise _refusal(text, "a comparison may stand only between 'if' and 'else'")
    refused = type(getattr(tree, "op", tree))
    refused = refused if refused in WORDS else type(tree)
    raise _refusal(text, f"{WORDS.get(refused, refused.__name__.lower())} is not allowed")


def _condition(tree: ast.AST, text: str, depth: int) -> Node:
    """What stands between 'if' and 'else'."""
    if not isinstance(tree, ast.Compare):
        return _node(tree, text, depth)
    if len(tree.ops) > 1:
        raise _refusal(text, "a chain of comparisons is not allowed")
    (kind,) = (type(op) for op in tree.ops)
    if kind not in COMPARISONS:
        raise _refusal(text, f"{WORDS[kind]} is not allowed")
    parts = (_node(side, text, depth + 1) for side in (tree.left, tree.comparators[0]))
    return Node(COMPARISONS[kind][0], tuple(parts))


def _constant(tree: ast.AST, text: str, low: int, high: int, what: str) -> int:
    number = getattr(tree, "value", None)
    if type(number) is not int or not low <= number <= high:
        raise _refusal(text, f"{what} must be a whole number from {low} to {high:,}")
    return number


def _place(name: str, text: str) -> int:
    if VARIABLE.fullmatch(name):
        return "xyz".index(name) if len(name) == 1 else int(name[1]) - 1
    if re.fullmatch(rf"({VARIABLE.pattern})+", name):
        product = "*".join(VARIABLE.findall(name))
        raise _refusal(text, f"{name} is no variable, and a product needs its '*', here {product}")
    raise _refusal(text, f"{name} is not known; the variables are x, y and z, or x1 to x9")


def _nodes(node: Node):
    yield node
    for part in node.parts:
        yield from _nodes(part)


def _written(node: Node, names: tuple[str, ...]) -> str:
    def bracketed(part, least):
        text = _written(part, names)
        return text if PRECEDENCE.get(part.kind, ATOM) >= least else f"({text})"

    own = PRECEDENCE.get(node.kind, ATOM)
    match node.kind:
        case "constant":
            return str(node.number)
        case "variable":
            return names[node.number] if node.number < len(names) else f"x{node.number + 1}"
        case "negate":
            return f"-{bracketed(node.parts[0], own)}"
        case "^":
            return f"{bracketed(node.parts[0], ATOM)}^{node.number}"
        case "%":
            return f"{bracketed(node.parts[0], own)}%{node.number}"
        case "if":
            condition, then, otherwise = node.parts
            return f"{bracketed(then, 1)} if {bracketed(condition, 1)} else {bracketed(otherwise, 0)}"
    left, right = node.parts
    return f"{bracketed(left, own + (node.kind in COMPARE))}{node.kind}{bracketed(right, own + 1)}"


def _value(node: Node, operands, p: int):
    """The residues of a node and where they are defined, as [rows] or, if the same for all rows, scalars."""
    if node.kind == "constant":
        return np.int64(node.number % p), np.bool_(True)
    if node.kind == "variable":
        return operands[node.number], np.bool_(True)
    if node.kind == "if":
        (condition, known), then, otherwise = (_value(part, operands, p) for part in node.parts)
        value, defined = (np.where(condition != 0, *pair) for pair in zip(then, otherwise, strict=True))
        return value, known & defined
    parts = [_value(part, operands, p) for part in node.parts]
    defined = functools.reduce(np.logical_and, (known for _, known in parts))
    if node.kind in COMPARE:
        pairs = zip(node.parts, parts, strict=True)
        sides = (part.number if part.kind == "constant" else value for part, (value, _) in pairs)
        return COMPARE[node.kind](*sides), defined
    values = [value for value, _ in parts]
    match node.kind:
        case "negate":
            return -values[0] % p, defined
        case "+":
            return (values[0] + values[1]) % p, defined
        case "-":
            return (values[0] - values[1]) % p, defined
        case "*":
            return values[0] * values[1] % p, defined
        case "/":
            return values[0] * inverses(p)[values[1]] % p, defined & (values[1] != 0)
        case "^":
            return _power(values[0], node.number, p), defined
        case "%":
            return values[0] % node.number, defined
    raise AssertionError(node.kind)


def _power(base, exponent: int, p: int):
    """base^exponent mod p by repeated squaring, reduced after each product."""
    result = np.full_like(base, 1 % p)
    while exponent:
        if exponent & 1:
            result = result * base % p
        base, exponent = base * base % p, exponent >> 1
    return result
