"""A user's source as a hash: what stays the same where another version of JAX lowers the same code to another program.

    the text of a function is its source, with the texts of
        what it encloses, its defaults, and the functions, classes and plain values that it names
    the text of a class is its source, with those of its bases and of what its methods name
    the text of a value is the value; of an object that is called, its class and its attributes
    installed packages are known by name

Runs are distinguished by what their code computes (`grokjax.sweeps.code`); this only stands in where that cannot be
compared.
"""

import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

DEEPEST = 6
"""How far `source_hash` follows what code refers to."""

PLAIN = (bool, int, float, complex, str, bytes, np.generic, type(None))


def source_hash(code: Any) -> str:
    """Hashes the source of a function, class or callable object, and of what it refers to.

    Where there is no source, or several lambdas share a line, the compiled code stands for it, which changes with the
    version of Python. Globals that can change while the code runs, such as a list, are left out.

    Args:
      code: or a list of parts that belong together.

    Returns:
      The first 12 hexadecimal digits of a SHA-256.
    """
    return hashlib.sha256(_text(code, ()).encode()).hexdigest()[:12]


def _text(value, seen: tuple[int, ...]) -> str:
    """What tells one value that code refers to from another."""
    if isinstance(value, PLAIN):
        return repr(value)
    if id(value) in seen or len(seen) > DEEPEST:
        return type(value).__qualname__
    seen = (*seen, id(value))
    if hasattr(value, "__wrapped__"):  # by a decorator, such as jax.jit
        return _text(value.__wrapped__, seen)
    if isinstance(value, types.ModuleType):
        return value.__name__
    if _is_installed(value):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, types.FunctionType):
        return _function_text(value, seen)
    if isinstance(value, type):
        return _class_text(value, seen)
    if isinstance(value, types.MethodType):
        return f"{_text(value.__func__, seen)} {_text(value.__self__, seen)}"
    if isinstance(value, functools.partial):
        return _text([value.func, value.args, value.keywords], seen)
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return f"{array.dtype.str} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        return repr([(str(key), _text(item, seen)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return repr([_text(item, seen) for item in value])
    return f"{_text(type(value), seen)} {_text(getattr(value, '__dict__', {}), seen)}"


def _function_text(function: types.FunctionType, seen) -> str:
    enclosed = [_cell_text(cell, seen) for cell in function.__closure__ or ()]
    defaults = _text([function.__defaults__, function.__kwdefaults__], seen)
    return f"{_source(function)} {enclosed} {defaults} {_named(function, seen)}"


def _class_text(kind: type, seen) -> str:
    methods = [getattr(method, "__wrapped__", method) for method in vars(kind).values()]
    methods = [m for m in methods if isinstance(m, types.FunctionType) and m.__module__ == kind.__module__]
    bases = [_text(base, seen) for base in kind.__bases__]
    source = _found(kind) or [kind.__qualname__, *(_source(method) for method in methods)]
    return f"{source} {bases} {[_named(method, seen) for method in methods]}"


def _named(function: types.FunctionType, seen) -> list[str]:
    """The texts of the globals that a function names, but for those that may change while it runs."""
    found = [function.__globals__[n] for n in _names(function.__code__) if n in function.__globals__]
    lasting = (*PLAIN, tuple, type, types.FunctionType, types.ModuleType, functools.partial)
    return [_text(v, seen) for v in found if isinstance(v, lasting) or hasattr(v, "__wrapped__")]


def _is_installed(value) -> bool:
    """Whether a function or class belongs to Python, to an installed package or to grokjax."""
    if not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return False
    package = str(value.__module__).partition(".")[0]
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    installed = "site-packages" in file or "dist-packages" in file
    return installed or package in {*sys.stdlib_module_names, *sys.builtin_module_names, "grokjax"} - {"__main__"}


def _names(code: types.CodeType) -> list[str]:
    """The global names that code uses, those of functions inside it too."""
    inner = [name for c in code.co_consts if isinstance(c, types.CodeType) for name in _names(c)]
    return sorted({*code.co_names, *inner})


def _cell_text(cell: types.CellType, seen) -> str:
    try:
        return _text(cell.cell_contents, seen)
    except ValueError:  # a variable that has no value yet
        return "empty"


def _source(function: types.FunctionType) -> str:
    """The source of a function; its compiled code where that does not say enough."""
    source = _found(function)
    return source if source is not None and source.count("lambda") < 2 else _compiled(function.__code__)


def _found(definition) -> str | None:
    """The source of a function or class; None where there is none, as of a class in a notebook."""
    try:
        return inspect.getsource(definition)
    except (OSError, TypeError):
        return None


def _compiled(code: types.CodeType) -> str:
    constants = [_compiled(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names} {code.co_varnames}"
