import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokjax.config import ConfigError
from grokjax.tasks.expression import Expression, Node, inverses, parse

MANY = settings(max_examples=300, deadline=None)
PRIMES = (2, 3, 5, 7, 97, 46_337)


def plain(node, values, p):
    """The value of a tree in Python's integers, None where it is undefined."""
    kind, parts, number = node
    if kind == "constant":
        return number % p
    if kind == "variable":
        return values[number]
    if kind == "if":
        condition = plain_condition(parts[0], values, p)
        return None if condition is None else plain(parts[1] if condition else parts[2], values, p)
    found = [plain(part, values, p) for part in parts]
    if None in found:
        return None
    if kind == "/":
        return None if found[1] == 0 else found[0] * pow(found[1], -1, p) % p
    if kind == "%":
        return found[0] % number
    if kind == "^":
        return pow(found[0], number, p)
    if kind == "negate":
        return -found[0] % p
    return {"+": found[0] + found[-1], "-": found[0] - found[-1], "*": found[0] * found[-1]}[kind] % p


def plain_condition(node, values, p):
    if node.kind not in ("==", "!=", "<", "<=", ">", ">="):
        return plain(node, values, p)
    sides = [part.number if part.kind == "constant" else plain(part, values, p) for part in node.parts]
    if None in sides:
        return None
    a, b = sides
    return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[node.kind]


def trees(variables=2):
    """Trees of the grammar."""
    leaves = st.one_of(
        st.builds(lambda n: Node("constant", (), n), st.sampled_from([0, 1, 2, 3, 96, 97, 1_000_000])),
        st.builds(lambda n: Node("variable", (), n), st.integers(0, variables - 1)),
    )

    def grow(inner):
        pair = st.tuples(inner, inner)
        compared = st.builds(Node, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), pair, st.just(0))
        return st.one_of(
            st.builds(Node, st.sampled_from("+-*/"), pair, st.just(0)),
            st.builds(lambda a: Node("negate", (a,)), inner),
            st.builds(lambda a, n: Node("^", (a,), n), inner, st.sampled_from([0, 1, 2, 3, 1000])),
            st.builds(lambda a, n: Node("%", (a,), n), inner, st.sampled_from([1, 2, 5, 1_000_000])),
            st.builds(lambda c, a, b: Node("if", (c, a, b)), st.one_of(compared, inner), inner, inner),
        )

    return st.recursive(leaves, grow, max_leaves=7)


@MANY
@given(trees(), st.sampled_from(PRIMES), st.data())
def test_values_and_where_they_are_defined_are_those_of_python_integers(tree, p, data):
    residues = st.integers(0, p - 1) | st.just(p - 1) | st.just(0)
    rows = data.draw(st.lists(st.tuples(residues, residues), min_size=1, max_size=8))
    values, defined = Expression(tree).evaluate(np.array(rows, np.int64).T, p)
    expected = [plain(tree, row, p) for row in rows]
    assert defined.tolist() == [value is not None for value in expected]
    assert values.tolist() == [value or 0 for value in expected]
    assert values.dtype == np.int64 and defined.dtype == bool


@MANY
@given(trees(4), st.sampled_from([2, 4]))
def test_a_formula_is_read_back_as_it_was_written(tree, operands):
    text = Expression(tree).formula(operands)
    if len(text) <= 200:
        assert parse(text).root == tree
        assert parse(text.replace("^", " ** ")).root == tree


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("x + y", "x+y"),
        ("(x*y)+((3))", "x*y+3"),
        ("x**2+3*y", "x^2+3*y"),
        ("x1-(x2-x1)", "x-(y-x)"),
        ("(x+y)^2", "(x+y)^2"),
        ("-x^2", "-x^2"),
        ("(-x)^2", "(-x)^2"),
        ("x/(y/x)/y", "x/(y/x)/y"),
        ("x / y if y % 2 else x - y", "x/y if y%2 else x-y"),
        ("(x if y else 1) if x<=y else (y if x else 0)", "(x if y else 1) if x<=y else y if x else 0"),
    ],
)
def test_needless_spaces_and_brackets_are_dropped(text, formula):
    assert parse(text).formula() == formula


def test_python_agrees_on_precedence():
    for text in (
        "x-y-x",
        "x-y*x^2",
        "-x^2+y",
        "2-(-y)*x",
        "x*y%5+1",
        "-(x+y)*3",
        "x*-y",
        "x^3%7*2",
        "x+y if x<y else x*y",
    ):
        for x, y in itertools.product(range(13), repeat=2):
            # A modulus no value reaches, so that only negative numbers differ from Python's.
            p, values = 46_337, np.array([[x], [y]])
            wanted = eval(text.replace("^", "**"), {"x": x, "y": y})
            if "%" not in text:
                assert parse(text).evaluate(values, p)[0].tolist() == [wanted % p], text
            else:
                assert parse(text).evaluate(values, p)[0].tolist() == [wanted], text


def test_a_comparison_sees_representatives_and_constants_as_written():
    rows = np.arange(97)[None].repeat(2, 0)
    assert parse("x if y<100 else 0").evaluate(rows, 97)[0].tolist() == list(range(97))
    assert parse("1 if x+y<5 else 0").evaluate(rows, 97)[0].nonzero()[0].tolist() == [0, 1, 2, 49, 50]


def test_the_branch_that_is_not_chosen_may_be_undefined_the_condition_may_not():
    rows = np.array([[1, 1], [0, 1]])
    values, defined = parse("x/y if y else 4").evaluate(rows, 5)
    assert values.tolist() == [4, 1] and defined.tolist() == [True, True]
    values, defined = parse("x if 1/y else x").evaluate(rows, 5)
    assert values.tolist() == [0, 1] and defined.tolist() == [False, True]


@pytest.mark.parametrize("p", PRIMES)
def test_inverses_are_inverse(p):
    found = inverses(p)
    assert found[0] == 0
    assert (found[1:] * np.arange(1, p) % p == 1).all()


REFUSED = {
    "x^2+xy": "xy is no variable, and a product needs its '*', here x*y",
    "x1x2": "x1x2 is no variable, and a product needs its '*', here x1*x2",
    "3x": "'3x' has no sign in it, and a product needs its '*'",
    "2(x+y)": "'2(' has no sign in it",
    "x(y)": "'x(' has no sign in it",
    "(x)(y)": "')(' has no sign in it",
    "(x)y": "')y' has no sign in it",
    "0x1F": "'0x1F' has no sign",
    "1e5": "'1e5' has no sign",
    "1_000": "'1_000' has no sign",
    "x+q": "q is not known; the variables are x, y and z, or x1 to x9",
    "x10": "x10 is not known",
    "__import__": "__import__ is not known",
    "f(x)": "a call is not allowed",
    "print()": "a call is not allowed",
    "x.real": "the character '.' is not allowed",
    "x[0]": "the character '[' is not allowed",
    "'x'": 'the character "\'" is not allowed',
    "x,y": "the character ',' is not allowed",
    "x:=y": "the character ':' is not allowed",
    "x\ny": "the character '\\n' is not allowed",
    "x\x00": "the character '\\x00' is not allowed",
    "ｘ+y": "the character 'ｘ' is not allowed",
    "1.5+x": "the character '.' is not allowed",
    "x@y": "the character '@' is not allowed",
    "x//y": "'//' is not allowed",
    "x<<y": "'<<' is not allowed",
    "x and y": "'and' or 'or' is not allowed",
    "not x": "'not' is not allowed",
    "+x": "a sign '+' is not allowed",
    "x<y": "a comparison may stand only between 'if' and 'else'",
    "(x==y)+1": "a comparison may stand only between",
    "x if x<y<3 else y": "a chain of comparisons is not allowed",
    "x if x is y else y": "'is' is not allowed",
    "x if x in y else y": "'in' is not allowed",
    "await x": "'await' is not allowed",
    "True": "a constant must be a whole number from 0 to 1,000,000",
    "None+x": "a constant must be",
    "x+1000001": "a constant must be",
    "x^y": "an exponent must be a whole number from 0 to 1,000",
    "x^-1": "an exponent must be",
    "x^1001": "an exponent must be",
    "x^2^3": "an exponent must be",
    "x%y": "the number behind '%' must be a whole number from 1 to 1,000,000",
    "x%0": "the number behind '%' must be",
    "x=y": "it is no formula",
    "x+": "it is no formula",
    "": "it is no formula",
    "x^^2": "it is no formula",
    "x if y": "it is no formula",
    "lambda": "it is no formula",
    "-" * 80 + "x": "it nests more than 60 levels deep",
    "+".join("x" * 80): "it nests more than 60 levels deep",
    "(" * 99 + "x" + ")" * 99 + "+1": "it has 201 characters, more than 200",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_allowed_is_named(text):
    with pytest.raises(ConfigError) as error:
        parse(text)
    said = str(error.value)
    assert f"cannot be read: {REFUSED[text]}" in said
    assert said.startswith("operation=") and said.endswith("Try a formula such as --operation=x^2+3*y.")


def test_many_brackets_are_no_nesting():
    assert parse("(" * 90 + "x" + ")" * 90) == parse("x")


ALPHABET = st.text(st.sampled_from("xyz1209+-*/%^()<>=! ifelsnotadrw_.,[]'\"\\\n"), max_size=40)
PIECES = st.lists(
    st.sampled_from(["x", "y", "x1", "7", "+", "-", "*", "/", "%", "^", "(", ")", " if ", " else ", "<", "==", "!"]),
    max_size=25,
).map("".join)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.text(max_size=220), ALPHABET, PIECES))
def test_any_text_is_a_formula_or_a_config_error(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            expression = parse(text)
        except ConfigError:
            return
        if max(expression.variables, default=0) < 3:
            values, defined = expression.evaluate(np.array([[0, 4], [1, 2], [3, 3]]), 5)
            assert ((values >= 0) & (values < max(5, 0))).all() and defined.shape == (2,)
