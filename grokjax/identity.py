"""What tells a user's function or class from others: the name and a hash of its code and of what that refers to."""

import hashlib
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

DEEPEST_CODE = 6
"""How far `source_hash` follows what a function refers to."""


FOREIGN = {"builtins", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "math", "functools", "itertools", "grokjax"}
"""Packages whose code is known by its name, and by the versions that a result records."""


def code_identity(code: Callable) -> str:
    """What tells a user's function or class from others: its qualified name, '#' and its `source_hash`."""
    return f"{getattr(code, '__qualname__', type(code).__qualname__)}#{source_hash(code)}"


def source_hash(function: Any) -> str:
    """Identifies code by its text, and by what the text alone does not tell: 12 hexadecimal digits.

    Besides the source it sees the values of enclosing variables, defaults and the globals that the code names, as far
    as they are not of the `FOREIGN` packages. Where there is no source, or several lambdas share a line, it sees the
    compiled code, which changes with the version of Python.

    Args:
      function: or any other value: a class is told by its text, an object by its class and its attributes.

    Returns:
      The first 12 hexadecimal digits of a SHA-256.
    """
    return hashlib.sha256(_code_text(function, ()).encode()).hexdigest()[:12]


def _code_text(value, seen: tuple[int, ...]) -> str:
    """What tells one function, or a value that a function refers to, from another."""
    if id(value) in seen or len(seen) > DEEPEST_CODE:
        return type(value).__qualname__
    seen = (*seen, id(value))
    if hasattr(value, "__wrapped__"):  # by a decorator, such as jax.jit
        return _code_text(value.__wrapped__, seen)
    if isinstance(value, types.FunctionType):
        if str(value.__module__).partition(".")[0] in FOREIGN:
            return f"{value.__module__}.{value.__qualname__}"
        named = [_code_text(value.__globals__[n], seen) for n in _names(value.__code__) if n in value.__globals__]
        cells = [_cell_text(cell, seen) for cell in value.__closure__ or ()]
        defaults = _code_text((value.__defaults__, value.__kwdefaults__), seen)
        return f"{_source_text(value, value.__code__)} {cells} {defaults} {named}"
    if isinstance(value, types.ModuleType):
        return value.__name__
    if hasattr(value, "__array__") and not isinstance(value, np.generic | type):
        value = np.asarray(value)
        return f"{value.dtype.str} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        return repr([(str(key), _code_text(item, seen)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return repr([_code_text(item, seen) for item in value])
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        return repr(value)
    if isinstance(value, type):
        return _class_text(value, seen)
    if isinstance(value, types.MethodType):
        return f"{_code_text(value.__func__, seen)} {_code_text(value.__self__, seen)}"
    if hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', None)}.{value.__qualname__}"
    partial = [getattr(value, name, None) for name in ("func", "args", "keywords")]
    held = getattr(value, "__dict__", {})
    return f"{_source_text(type(value), None)} {_code_text(held, seen)} {_code_text(partial, seen)}"


def _class_text(kind: type, seen: tuple[int, ...]) -> str:
    """The text of a class, of those it is made from and of what its methods name, as far as they are the user's."""
    if kind.__module__.partition(".")[0] in FOREIGN:
        return f"{kind.__module__}.{kind.__qualname__}"
    bases = [_code_text(base, seen) for base in kind.__bases__]
    methods = [getattr(method, "__wrapped__", method) for method in vars(kind).values()]
    methods = [m for m in methods if isinstance(m, types.FunctionType) and m.__module__ == kind.__module__]
    named = [_code_text(m.__globals__[n], seen) for m in methods for n in _names(m.__code__) if n in m.__globals__]
    return f"{_source_text(kind, None)} {bases} {named}"


def _names(code: types.CodeType) -> list[str]:
    """The global names that code uses, that of functions inside it too."""
    inner = [name for c in code.co_consts if isinstance(c, types.CodeType) for name in _names(c)]
    return sorted({*code.co_names, *inner})


def _cell_text(cell: types.CellType, seen: tuple[int, ...]) -> str:
    try:
        return _code_text(cell.cell_contents, seen)
    except ValueError:  # a variable that has no value yet
        return "empty"


def _source_text(definition, code: types.CodeType | None) -> str:
    """The source of a function or class; with its compiled code, or its name, where that does not tell enough."""
    try:
        source = inspect.getsource(definition)
    except (OSError, TypeError):
        source = None
    if source is not None and (code is None or source.count("lambda") < 2):
        return source
    return f"{definition.__module__}.{definition.__qualname__}" if code is None else _compiled_text(code)


def _compiled_text(code: types.CodeType) -> str:
    constants = [_compiled_text(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names} {code.co_varnames}"
