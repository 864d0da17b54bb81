"""Throws keywords of random types and values at the library: each must be refused in one sentence, or could train.

    python tests/fuzz_library.py --count=1000

Nothing is trained: where training would begin, the attempt counts as accepted. No attempt may raise anything but a
ConfigError or a ResultError of one line, hang, print anything, or leave a file.
"""

import argparse
import collections
import datetime
import decimal
import fractions
import itertools
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import xarray as xr
from fuzz import tried

import grokjax as gj
from grokjax.cli.flags import all_settings
from grokjax.config import SWEEP_KEYWORDS, settings
from grokjax.metrics import METRICS
from grokjax.sweeps.components import COMPONENTS

NUMBERS = (0, 1, 2, 3, 5, 7, 11, 16, 64, 97, 0.1, 0.3, 0.5, 0.45, 1e-3, 1.0)
EXTREMES = (
    -1,
    128,
    10**7,
    10**18,
    10**400,
    10**5000,
    -0.0,
    1e-300,
    1e300,
    2**31,
    2**63,
    *map(float, ("nan", "inf", "-inf")),
)
TEXTS = (
    "",
    " ",
    "1",
    "0.5",
    "true",
    "none",
    "add",
    "x+y",
    "(x",
    "every:50",
    "log:0",
    "full",
    "ü",
    "a\nb",
    "x" * 500,
    "\x00",
)
KINDS = {
    "int64": np.int64,
    "float32": np.float32,
    "float16": np.float16,
    "uint8": lambda number: np.array([number]).astype(np.uint8)[0],
    "jax": jnp.float32,
    "0-d array": np.array,
    "fraction": lambda number: fractions.Fraction(number),
    "decimal": lambda number: decimal.Decimal(number),
    "complex": complex,
    "text": str,
    "bytes": lambda number: str(number).encode(),
    "bool": bool,
}
"""Other kinds of one number."""

HOLDERS = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "generator": lambda values: (value for value in values),
    "map": lambda values: map(lambda value: value, values),
    "keys": lambda values: dict.fromkeys(values).keys(),
    "values": lambda values: dict(enumerate(values)).values(),
    "dict": lambda values: dict(enumerate(values)),
    "nested": lambda values: [list(values)],
    "array": np.array,
    "objects": lambda values: np.array(values, object),
    "matrix": lambda values: np.array([values]),
    "jax": jnp.array,
    "series": pd.Series,
    "index": pd.Index,
    "frame": lambda values: pd.DataFrame({"a": values}),
    "xarray": xr.DataArray,
    "variants": lambda values: {f"v{i}": {"seed": value} for i, value in enumerate(values)},
    "endless": lambda values: itertools.cycle(values),
}
"""What may hold several values."""


class Rude:
    """An object that cannot even be shown."""

    def __repr__(self):
        raise RuntimeError("no")


OBJECTS = (
    None,
    True,
    object(),
    Rude(),
    int,
    len,
    lambda h: optax.sgd(h.learning_rate),
    ...,
    NotImplemented,
    slice(3),
    datetime.date(2022, 1, 1),
    np.datetime64("2022-01-01"),
    Path("a"),
    b"a",
    3j,
    jax.random.key(0),
    optax.adamw(1e-3),
    optax.adamw,
    gj.optimizers.AdamW,
    gj.optimizers.AdamW(),
    gj.models.Mlp(),
    gj.models.Mlp,
    gj.tasks.modular("add", 11),
    gj.optimizers.custom(lambda h: optax.sgd(h.learning_rate * h.lamb), lamb=2.0),
    collections.OrderedDict(a=1),
    collections.deque([1, 2]),
    range(3),
    memoryview(b"12"),
)


def keywords(draw: random.Random) -> dict:
    """A few keywords of `grokjax.sweep`, some of them misspelt, each with a value that may be anything."""
    owners = (gj.Config, gj.tasks.Modular, gj.models.Mlp, gj.optimizers.AdamW)
    fitting = [name for owner in owners for name in settings(owner)]
    others = [*all_settings(), *COMPONENTS, "lamb", "metrics", "lr", "x y", "self", "config"]
    plain = [name for name in SWEEP_KEYWORDS if name not in ("dry_run", "out", "coordinator")]
    pools = draw.choices([fitting, plain, others], [6, 3, 1], k=draw.randint(1, 3))
    return {name: value(draw, name) for name in map(draw.choice, pools) if name != "config"}


def value(draw: random.Random, name: str):
    """A plain number or text, one of another kind, several of them in some holder, or any object."""
    known = all_settings()
    choices = known[name].metadata["choices"] if name in known else tuple(COMPONENTS.get(name, ()))
    pools, weights = [NUMBERS, EXTREMES, TEXTS, OBJECTS], [12, 3, 3, 4]
    if choices:
        pools, weights = [*pools, choices], [*weights, 20]
    elif name in known and known[name].default is not None:
        pools, weights = [*pools, (known[name].default,)], [*weights, 20]

    def one():
        return draw.choice(draw.choices(pools, weights)[0])

    form = draw.random()
    if form < 0.01:
        return range(10**12)
    if form < 0.5:
        return one()
    try:
        if form < 0.75:
            return KINDS[draw.choice(list(KINDS))](draw.choice(NUMBERS + EXTREMES))
        return HOLDERS[draw.choice(list(HOLDERS))]([one() for _ in range(draw.randint(0, 3))])
    except (TypeError, ValueError, ArithmeticError, RuntimeError):  # no such value can be made
        return one()


def parts(draw: random.Random) -> dict:
    """What a `Config` is made of, mostly right."""
    made = dict(task=gj.tasks.modular("add", 11), model=gj.models.Mlp(), optimizer=gj.optimizers.AdamW(), batch_size=32)
    made["metrics"] = draw.choice([(), ("weight_norm",), {"mine": lambda params: 0.0}, draw.choice(list(METRICS))])
    if draw.random() < 0.2:
        for name in draw.choices([*made, *all_settings(), "lr", "width"], k=draw.randint(1, 2)):
            made[name] = value(draw, name)
    return made


def attempt(config: dict, given: dict, folder: Path) -> str:
    """Tries a call; 'refused' or 'accepted', or what is wrong with how it was answered."""

    def refused(error: Exception, out: str, err: str) -> bool:
        return len(str(error).splitlines()) == 1 and not out and not err

    def call():
        gj.sweep(gj.Config(**config), out=folder / "a.npz", **given)

    return tried(call, (gj.ConfigError, gj.ResultError), refused, folder)


def fuzz_library(count: int, seed: int) -> dict:
    """Makes so many attempts; how many were refused and accepted, the slowest, and what went wrong."""
    draw, verdicts, wrong, slowest = random.Random(seed), collections.Counter(), [], (0.0, "")
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        for number in range(count):
            config, given, begin = parts(draw), keywords(draw), time.monotonic()
            verdict = attempt(config, given, Path(folder))
            told = f"{number}: {_shown(config)} {_shown(given)}"
            slowest = max(slowest, (round(time.monotonic() - begin, 2), told))
            verdicts[verdict if verdict in ("refused", "accepted") else "wrong"] += 1
            if verdict not in ("refused", "accepted"):
                wrong.append(f"{told}: {verdict[:300]}")
                print(wrong[-1], file=sys.stderr, flush=True)
    return dict(verdicts, wrong=wrong, slowest=slowest)


def _shown(given: dict) -> str:
    def text(value):
        try:
            return f"{value!r:.40}"
        except Exception:
            return type(value).__name__

    return ", ".join(f"{name}={text(value)}" for name, value in given.items())


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    found = fuzz_library(told.count, told.seed)
    print(json.dumps(found))
    sys.exit(bool(found["wrong"]))
