"""SGD on an under-determined linear regression, from zero and from elsewhere, against the solution of least norm.

Claim: PKU-P8. Source: the PKU study's picture of implicit regularisation: of all that fits, SGD from zero finds the
solution of least norm. Compared with the pseudo-inverse. 20 Gaussian rows of 50 features, batches of 5, 20,000 steps;
seconds.
"""

import hashlib
import os
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from grokjax import results
from grokjax.analysis.regression import Path, descend, problem
from grokjax.cli import run
from grokjax.cli.values import parse_values
from grokjax.config import ConfigError, evaluated_steps
from grokjax.messages import say, show
from grokjax.study import Experiment

OUT = "results/pku/minimum_norm-paper.npz"


def train(settings: dict, init_scales: list[float]) -> tuple[dict, dict]:
    """Arrays and meta of a result: all seeds and starts at once."""
    seeds = np.arange(settings["num_seeds"])
    steps = evaluated_steps("log:200", settings["steps"])

    def run(seed, scale):
        for_problem, for_run = jax.random.split(jax.random.key(seed))
        given = problem(for_problem, settings["rows"], settings["features"])
        return descend(for_run, given, scale, settings["learning_rate"], settings["batch_size"], jnp.asarray(steps))

    over_seeds = jax.vmap(run, (0, None))
    path = jax.jit(jax.vmap(over_seeds, (None, 0)))(seeds, jnp.asarray(init_scales, jnp.float32))
    shape = (len(init_scales), len(seeds))
    curves = {name: np.asarray(value, np.float32) for name, value in zip(Path._fields, path, strict=True)}
    finite = np.isfinite(curves["train_loss"]).all(-1)
    words = [[f"{settings} {scale} {seed}" for seed in seeds] for scale in init_scales]
    arrays = dict(
        step=steps,
        init_scale=np.array(init_scales),
        seed=seeds,
        status=np.where(finite, "finished", "diverged"),
        last_step=np.full(shape, steps[-1]),
        run_id=np.array([[hashlib.sha256(text.encode()).hexdigest()[:16] for text in row] for row in words]),
        **{name: np.nan_to_num(curve, nan=np.inf) for name, curve in curves.items()},
    )
    axes = ["init_scale", "seed"]
    dims = {name: [name] if name in ("step", *axes) else axes + ["step"] * (name in curves) for name in arrays}
    long_name = dict(distance="distance from the least-norm solution", outside="part outside the span of the rows")
    return arrays, dict(dims=dims, long_name=long_name, config=settings | dict(task="linear regression"))


def main(argv: Sequence[str]) -> None:
    """`grokjax run pku/minimum_norm`, or the script."""
    values = flags.FlagValues()
    for name, default, low, text in (
        ("num_seeds", 10, 1, "problems, each with its own rows, teacher and batches"),
        ("rows", 20, 1, "training rows"),
        ("features", 50, 2, "features of a row"),
        ("batch_size", 5, 1, "rows of a step"),
        ("steps", 20_000, 1, "updates"),
    ):
        flags.DEFINE_integer(name, default, text, lower_bound=low, upper_bound=10**6, flag_values=values)
    flags.DEFINE_float("learning_rate", 0.01, "step size", lower_bound=0.0, flag_values=values)
    flags.DEFINE_list("init_scale", ["0", "0.3", "1"], "norms of the initial weights", flag_values=values)
    flags.DEFINE_enum("preset", "paper", ["paper"], "the only size there is", flag_values=values)
    flags.DEFINE_string("out", OUT, "the result file", flag_values=values)
    flags.DEFINE_boolean("overwrite", False, "replace a result of other settings", flag_values=values)
    flags.DEFINE_boolean("help", False, "show this", flag_values=values)
    try:
        rest = values(list(argv))
        if values.help:
            show(f"{__doc__.strip()}\n\n{values.get_help()}")
            return
        if len(rest) > 1:
            raise ConfigError(f"{rest[1]!r} is not a flag. --help lists them.")
        names = ("num_seeds", "rows", "features", "batch_size", "steps", "learning_rate")
        settings = {name: values[name].value for name in names}
        if settings["features"] <= settings["rows"]:
            raise ConfigError(f"features={settings['features']} are not more than rows={settings['rows']}.")
        if not values.out.endswith(".npz"):
            raise ConfigError(f"out={values.out} does not end in .npz.")
        scales = parse_values("init_scale", ",".join(values.init_scale), float)
        scales = scales if isinstance(scales, list) else [scales]
        if len(set(scales)) < len(scales) or not all(0 <= scale < np.inf for scale in scales):
            raise ConfigError(f"init_scale={','.join(values.init_scale)} are not different norms. Try 0,0.3,1.")
        if not 0 < settings["learning_rate"] < np.inf:
            raise ConfigError(f"learning_rate={settings['learning_rate']} is no step size. Try 0.01.")
        if settings["batch_size"] > settings["rows"]:
            raise ConfigError(f"batch_size={settings['batch_size']} is more than rows={settings['rows']}.")
        if not values.overwrite and os.path.exists(values.out):
            held = results.read(values.out)[1].get("config", {})
            if differ := [name for name in settings if held.get(name) != settings[name]]:
                raise ConfigError(f"{values.out} holds another result: {', '.join(differ)} differ. Try --overwrite.")
        results.write(values.out, *train(settings, scales))
    except (flags.Error, ConfigError, results.ResultError, ValueError) as error:
        say(f"{argv[0]}: {error}")
        sys.exit(1)
    grid = results.load(values.out)
    for scale in grid["init_scale"].values:
        end = grid.sel(init_scale=scale).isel(step=-1)
        distance, loss = (np.median(end[name].values) for name in ("distance", "train_loss"))
        show(f"start {scale:g}: training loss {loss:.1e}, distance from the least-norm solution {distance:.1e}")
    show(f"result  {values.out}")


EXPERIMENT = Experiment(name="pku/minimum_norm", doc=__doc__, presets={}, main=main)

if __name__ == "__main__":
    run(EXPERIMENT)
