"""Numbers of every kind as they are meant: Python's own, exact, and without the noise of rounding."""

import dataclasses
import decimal
import math
import numbers
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

import numpy as np

from grokjax.config.names import ConfigError

SNAP_DIGITS, SNAP_ERROR = 8, 1e-12


FLOAT32_DIGITS, FLOAT32_ERROR = 4, 2.5e-7
"""A number is read as a decimal of so few digits that lies so near, relative to it: as rounding leaves it in float64,
and in float32."""


SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Sizes that a number has in float32, in which runs compute."""


LARGEST_EXPONENT = 400
"""Beyond that of any float; a number with a larger one is refused before anything is computed with it."""


def plain(value):
    """A number of any kind as Python's own int, float or bool; anything else unchanged.

    Such as a scalar or an array of no axes of NumPy, JAX or PyTorch, a fraction or a decimal. A float of few bits
    becomes the shortest decimal that gives it: float32's 0.3 is 0.3.
    """
    if isinstance(value, str | bool | int | float) and not isinstance(value, np.generic):
        return value
    try:
        if hasattr(value, "__array__") and not isinstance(value, type):
            array = np.asarray(value)
            short = array.dtype.kind in "fV" and array.dtype != np.float64  # V: bfloat16 and its like
            return value if array.ndim else float(str(array[()])) if short else array.item()
        if isinstance(value, numbers.Integral):
            return int(value)
        if isinstance(value, decimal.Decimal):  # one that no float holds stays, to be named as it is
            number = float(value)
            return value if math.isinf(number) != value.is_infinite() or (value and not number) else number
        return float(value) if isinstance(value, numbers.Real) else value
    except (TypeError, ValueError, ArithmeticError, RuntimeError):  # such as a key of JAX, a tensor with a gradient
        return value


def several(value) -> bool:
    """Whether a value holds several others, and is neither text, a mapping, nor a task, model or optimizer."""
    if isinstance(value, str | bytes | bytearray | Mapping | type) or dataclasses.is_dataclass(value):
        return False
    if hasattr(value, "_fields"):  # a chain of optax is a named tuple
        return False
    return getattr(value, "ndim", 0) > 0 if hasattr(value, "__array__") else isinstance(value, Iterable)


def beyond(name: str, value, tries: str = "") -> ConfigError:
    """The error for a value that float32 does not hold; `tries` is a sentence on what to try, with a space before."""
    return ConfigError(
        f"{name}={value!s:.60} is out of range: runs compute in float32, whose numbers are 0 or of a size from "
        f"{SMALLEST:.1e} to {LARGEST:.1e}.{tries}"
    )


def exact_number(name: str, text: str | Decimal, whole: str | None = None) -> Decimal | None:
    """What a text says if it is a number, exactly; None if it is not.

    Args:
      name: of the setting, for the message.
      text: the number, in decimal.
      whole: what the user wrote, if that is more than the number.

    Raises:
      ConfigError: for a number, such as 1e999999999, that is beyond every float: computing with it could take forever.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if number.is_finite() and number and abs(number.adjusted()) > LARGEST_EXPONENT:
        size = "large" if number.adjusted() > 0 else "small"
        raise ConfigError(f"{name}={whole or text!s:.60} is out of range: {text!s:.60} is too {size} a number here.")
    return number


def snapped(value: float) -> float:
    """The short decimal that a number is but for rounding; the number itself if there is none.

    `np.arange(0.3, 0.5, 0.05)` has 0.44999999999999996 where 0.45 is meant, and a run at 0.45 trains another row and
    has another identity. A number is read as a decimal of at most `SNAP_DIGITS` digits within `SNAP_ERROR` of it; one
    that float32 holds exactly, as 0.44999998807907104, as one of `FLOAT32_DIGITS` within `FLOAT32_ERROR`. So 1/3,
    powers of two and whatever is written in few digits stay what they are.
    """
    near = float(f"{value:.{SNAP_DIGITS}g}")
    if near == value or not math.isfinite(value):
        return value
    if abs(near - value) <= SNAP_ERROR * abs(value):
        return near
    near = float(f"{value:.{FLOAT32_DIGITS}g}")
    if abs(near - value) <= FLOAT32_ERROR * abs(value) and float(np.float32(value)) == value:
        return near
    return value
