"""Edits the meta of a small result at random: each edit must be refused in one sentence, or give the right data.

    python tests/fuzz_meta.py --count=1000

A result of schema 2 knows any edit of its meta. One of schema 1 does not, so there an edit may be believed, but it must
not raise anything but a sentence, in whatever reads the file.
"""

import argparse
import collections
import copy
import hashlib
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

from grokjax import results
from grokjax.claims.runs import Runs
from grokjax.config import ConfigError
from grokjax.sweeps import collect

VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    0.5,
    1e300,
    10**30,
    "",
    "seed",
    "step",
    "../x",
    "/etc",
    "\ud800",
    [],
    {},
    [[]],
]
VALUES += [["seed"], ["step", "step"], [["seed", "width"]], {"seed": 7}, {"": None}, [1, "a"], [{}], {"dims": {}}]
STEP = np.array([0, 10, 20], np.int64)


def small() -> tuple[dict, dict]:
    """Arrays and meta of a sweep over two axes of equal length, with all that a sweep says of itself."""
    dims = {"width": ["width"], "seed": ["seed"], "step": ["step"]}
    curve = np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 2, 3)
    arrays = {"width": np.array([32, 64]), "seed": np.array([0, 1]), "step": STEP}
    curves = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "weight_norm")
    arrays |= {name: curve + i for i, name in enumerate(curves)}
    runs = {"status": np.full((2, 2), "finished"), "last_step": np.full((2, 2), 20), "num_train": np.full((2, 2), 7)}
    runs |= {"run_id": np.array([["a", "b"], ["c", "d"]]), "steps_per_epoch": np.full((2, 2), 3)}
    runs |= {f"steps_to_{part}_99": np.array([[1.0, 2], [3, np.inf]]) for part in ("train", "val")}
    runs |= {"final_val_accuracy": curve[..., -1], "max_val_accuracy": curve[..., -1]}
    dims |= {name: ["width", "seed", "step"] for name in curves} | dict.fromkeys(runs, ["width", "seed"])
    mine = {"wall_seconds": 1.5, "run_steps": 80, "lanes": [1]}
    meta = {
        "dims": dims,
        "coords": ["width", "seed", "step"],
        "long_name": {"width": "width d"},
        "units": {"seed": "1"},
    }
    meta |= {"config": {"modulus": 11, "steps": 20, "optimizer": "adamw", "metrics": []}, "params": "kept"}
    meta |= {"axes": {"width": [{"width": 32}, {"width": 64}], "seed": [{"seed": 0}, {"seed": 1}]}}
    meta |= {"seeds": {"split": [[0, 1], [0, 1]]}, "versions": {"jax": "1"}, "platform": "cpu", "trained_by": [mine]}
    return arrays | runs, meta | mine


def as_schema_1(meta: dict, arrays: dict) -> dict:
    """The meta that a version of schema 1 wrote of the same result."""
    old = {name: value for name, value in meta.items() if name != "checksum"} | {"schema": 1}
    heads = {name: f"{array.dtype.str}{array.shape}".encode() for name, array in arrays.items()}
    return old | {"checksums": {n: hashlib.sha256(heads[n] + a.tobytes()).hexdigest() for n, a in arrays.items()}}


def edited(draw: random.Random, text: str) -> str:
    """JSON text with one or two random edits; it may no longer be JSON."""
    if draw.random() < 0.15:
        at = draw.randrange(len(text))
        return draw.choice([text[:at], text[:at] + draw.choice('7a"[]{},: ') + text[at + 1 :], text[at:], text * 2])
    tree = json.loads(text)
    for _ in range(draw.choice([1, 1, 2])):
        if not (tree and isinstance(tree, dict | list)):
            break
        holder = tree
        while True:  # walks down to some place
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            key = draw.choice(list(keys))
            if not (isinstance(holder[key], dict | list) and holder[key]) or draw.random() < 0.3:
                break
            holder = holder[key]
        other = draw.choice(list(keys))
        match draw.choice(["delete", "replace", "replace", "swap", "nest", "number", "rename", "grow", "deep"]):
            case "delete":
                del holder[key]
            case "replace":
                holder[key] = copy.deepcopy(draw.choice(VALUES))
            case "swap":
                holder[key], holder[other] = holder[other], holder[key]
            case "nest":
                holder[key] = draw.choice([[holder[key]], {"x": holder[key]}, [[holder[key]], holder[key]]])
            case "number" if isinstance(holder[key], int | float):
                holder[key] = draw.choice([holder[key] + 1, -holder[key], float(holder[key]), str(holder[key]), 1e400])
            case "rename" if isinstance(holder, dict):
                holder[draw.choice(["x", "seed", "meta", "self", ""])] = holder.pop(key)
            case "grow" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case "deep":
                holder[key] = json.loads("[" * 200 + "]" * 200)
    return json.dumps(tree)


def attempt(path: Path, arrays: dict, meta: dict, text: str) -> str:
    """What comes of a result whose meta is this text: 'refused', 'right data', 'believed', or what is wrong."""
    with open(path, "wb") as stream:
        np.savez(stream, **arrays, meta=np.array(text))
    try:
        got, got_meta = results.read(path)
    except results.ResultError as error:
        return "refused" if len(str(error).splitlines()) == 1 else f"said {error}"
    except BaseException as error:
        return f"raised {type(error).__name__}: {error}"
    if got.keys() != arrays.keys() or any(got[n].tobytes() != a.tobytes() for n, a in arrays.items()):
        return "gave wrong arrays"
    if json.dumps(got_meta, sort_keys=True) == json.dumps(meta, sort_keys=True):
        return "right data"
    return f"believed {text}" if meta["schema"] == 2 else _used(path, got_meta)


def _used(path: Path, meta: dict) -> str:
    """Whether all that reads a result answers with values or in a sentence."""
    asked = {"config": {"modulus": 13}, "axes": {"seed": [{"seed": 5}]}}
    for use in (
        lambda: results.summary(results.load(path), by=None),
        lambda: results.tidy(results.load(path, fill=None)),
        lambda: results.grokked(results.load(path)),
        lambda: results.params(path, width=32, seed=1),
        lambda: results.params(path, seed=0),
        lambda: Runs.of(results.load(path)),
        lambda: collect.check_same_sweep(path, meta, asked),
    ):
        try:
            use()
        except (results.ResultError, ConfigError):
            pass
        except BaseException as error:
            return f"raised {type(error).__name__}: {error} for {json.dumps(meta)}"
    return "believed"


def fuzz(count: int, seed: int) -> dict:
    """Makes so many edits of each schema; how many were refused, harmless and believed, and what went wrong."""
    draw, verdicts, wrong = random.Random(seed), collections.Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edited.npz"
        arrays, meta = small()
        results.write(path, arrays, meta)
        arrays, meta = results.read(path)
        for run_id in "abcd":
            results.write_params(Path(folder) / "kept", run_id, {"w": np.zeros(2)}, step=20)
        for schema, written in ((2, meta), (1, as_schema_1(meta, arrays))):
            text = json.dumps(written)
            assert attempt(path, arrays, written, text) == "right data"
            for _ in range(count):
                verdict = attempt(path, arrays, written, edited(draw, text))
                known = verdict in ("refused", "right data") or (schema == 1 and verdict == "believed")
                verdicts[f"schema {schema}: {verdict if known else 'wrong'}"] += 1
                wrong += [] if known else [verdict[:600]]
    return dict(verdicts, wrong=wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    found = fuzz(told.count, told.seed)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["wrong"]))
