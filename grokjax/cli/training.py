"""The verbs that train: `sweep` any grid, `run` an experiment; and `join`, for what several trained."""

import contextlib
import dataclasses
import inspect
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from grokjax import catalogue
from grokjax.cli.flags import DEFAULTS, Given, base_config, parse
from grokjax.cli.help import help_text
from grokjax.config import SWEEP_KEYWORDS, ConfigError, own_name, settings, several, unknown_name
from grokjax.measuring import measure
from grokjax.messages import say, show
from grokjax.results import LEGEND, ResultError, format_summary, measures_of, summary
from grokjax.study import Experiment, Preset, plain_text
from grokjax.sweeps import Interrupted, ShareError, devices, join, sweep
from grokjax.sweeps.bisection import probes_at_most, search
from grokjax.sweeps.components import COMPONENTS

HELP = ("-h", "--help", "-help", "--helpfull")

SWEEP_DOC = """Trains any grid of runs and writes one labelled NPZ.

    grokjax sweep --operation=add --modulus=97 --train_fraction=0.3:0.8:0.05 --num_seeds=5 --out=results/add.npz"""


def sweep_command(argv: Sequence[str], doc: str = SWEEP_DOC) -> None:
    """`grokjax sweep`: any grid of runs.

    Args:
      argv: program and arguments.
      doc: shown by --help.
    """

    def work(given: Given) -> None:
        _train(dict(config=base_config(given.metrics)) | given.values | given.options)

    run_command(work, argv, doc=doc)


def run(experiment: Experiment, argv: Sequence[str]) -> None:
    """`grokjax run study/experiment`, or its script.

    Args:
      experiment: to run.
      argv: program and arguments.
    """
    if experiment.main is not None:
        experiment.main(argv)
        return

    def work(given: Given) -> None:
        name, keywords = chosen(experiment, given)
        folder = Path("results") / experiment.study
        if "out" not in keywords and (folder.is_dir() or not keywords.get("dry_run")):
            folder.mkdir(parents=True, exist_ok=True)
            keywords["out"] = f"results/{experiment.name}-{name}.npz"
        if _train(keywords, experiment.presets[name].search) and experiment.measure:
            measure(keywords["out"], experiment.measure, progress=keywords.get("progress", True))
            show(f"measures  {measures_of(keywords['out'])}")

    run_command(work, argv, doc=described(experiment), presets=list(experiment.presets))


JOIN_DOC = """Joins what there is of a sweep in shares: once all its runs have ended the whole result, before that those
that have.

usage: grokjax join PATH"""


def join_command(argv: Sequence[str]) -> None:
    """`grokjax join PATH`.

    Args:
      argv: program and arguments.
    """
    with in_a_sentence(argv[0]):
        if any(argument in HELP for argument in argv[1:]):
            show(JOIN_DOC)
        elif len(argv) != 2 or argv[1].startswith("-"):
            raise ConfigError(f"Name one result: {argv[0]} results/add.npz.")
        else:
            _summarise(join(argv[1]))


def chosen(experiment: Experiment, given: Given) -> tuple[str, dict[str, Any]]:
    """The preset that a command line chooses, and the keywords of `grokjax.sweep`: its flags override the preset."""
    presets = experiment.presets
    name = own_name(given.preset or next(iter(presets)), presets)
    if name not in presets:
        raise unknown_name("preset", name, presets)
    preset, values = presets[name], dict(given.values)
    if given.metrics is not None:
        preset = dataclasses.replace(preset, config=dataclasses.replace(preset.config, metrics=given.metrics))
    return name, preset.overridden(values) | given.options


def described(experiment: Experiment) -> str:
    """An experiment's docstring, its presets, and what they took and gave."""
    lines = [experiment.doc.strip(), "", "Presets:"]
    records = experiment.records
    for name, preset in experiment.presets.items():
        record, hours = records.get(name), catalogue.hours(experiment.name, name)
        took = f" Two cores take about {catalogue.duration(hours)} if no run ends early." if hours else ""
        if record:
            took = f" Took {record.minutes:g} minutes on {record.machine}. {record.outcome.strip()}"
        lines += [f"  --preset={name:<8} {preset.size}.{took}", f"{'':<20}Sets: {_changes(preset)}"]
    return "\n".join(lines)


def _changes(preset: Preset) -> str:
    """What a preset sets, as flags, where that is not the default: --modulus=23,31 --steps=8000."""
    config, found = preset.config, {}
    for which, kinds in COMPONENTS.items():
        kind = next(name for name, kind in kinds.items() if type(getattr(config, which)) is kind)
        found |= {which: kind} if kind != DEFAULTS[which] else {}
    for part in (config.task, config.model, config.optimizer, config):
        fields = settings(part)
        found |= {name: getattr(part, name) for name in fields if getattr(part, name) != fields[name].default}
    if config.metrics:
        found["metrics"] = [name for name, _ in config.metrics]
    found |= preset.axes | preset.options
    if "epochs" in found:
        found.pop("steps", None)
    found |= {"variant": [arm.id for arm in preset.arms]} if preset.arms else {}
    zipped = ["--zip=" + ";".join(",".join(group) for group in preset.zipped)] if preset.zipped else []
    return " ".join([f"--{name}={shlex.quote(plain_text(value))}" for name, value in found.items()] + zipped)


def _train(keywords: dict[str, Any], bisected: str = "") -> bool:
    """Trains a grid and shows its summary; whether this process has the whole result.

    Args:
      keywords: of `grokjax.sweep`.
      bisected: the axis that is bisected, if it has several values; '': none.
    """
    if keywords.get("out") is None and not keywords.get("dry_run"):
        raise ConfigError("There is no --out to write the result to. Try --out=results/sweep.npz.")
    grid = _bisect(keywords, bisected) if several(keywords.get(bisected)) else sweep(**keywords)
    if grid is not None:
        _summarise(grid)
    return grid is not None


def _summarise(grid: xr.Dataset) -> None:
    """Shows what a result says, a line for each point of its axes but seeds."""
    by = [name for name in grid["status"].dims if not name.endswith("seed") and grid.sizes[name] > 1]
    show(f"{format_summary(summary(grid, by=by or None))}\n\n{LEGEND}")


def _bisect(keywords: dict[str, Any], name: str) -> xr.Dataset | None:
    """Bisects an axis; a dry run tells the needs of as many of its values as that trains at most."""
    values = sorted(keywords[name])
    most = probes_at_most(len(values))
    if keywords.pop("dry_run", False):
        show(f"bisects     {name}: at most {most} of {len(values)} values on each line; below, of {most} in the middle")
        middle = (len(values) - most) // 2
        return sweep(**keywords | {name: values[middle : middle + most], "out": None}, dry_run=True)
    taken = {*inspect.signature(search).parameters, "variant"}
    if foreign := [option for option in keywords if option in SWEEP_KEYWORDS and option not in taken]:
        raise ConfigError(
            f"{foreign[0]} has no use where {name} is bisected. Leave it out, or give {name} a single value."
        )
    return search(name=name, **keywords)


def run_command(
    work: Callable[[Given], None], argv: Sequence[str], *, doc: str, presets: Sequence[str] = (), **flags: Any
) -> None:
    """Calls `work` with what a command line says, and ends the process with one sentence if that cannot be.

    Args:
      work: does what the command is for.
      argv: program and arguments.
      doc: what the command is, shown by --help.
      presets: names of those it has, the default first.
      **flags: 'switches', 'texts' and 'without', as in `parse`.
    """
    with in_a_sentence(argv[0]):
        devices.start()
        if any(argument in HELP for argument in argv[1:]):
            show(help_text(argv[0], doc, presets, **flags))
            sys.exit(0)
        if (given := parse(argv, presets=bool(presets), **flags)) is not None:
            work(given)


class in_a_sentence:
    """While inside, what a user did wrong, and an interruption, end the process with one sentence."""

    def __init__(self, program: str):
        self.program = program

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, ConfigError | ResultError | ShareError):
            say(f"{self.program}: {error}")
            sys.exit(1)
        if isinstance(error, Interrupted):
            say(f"{self.program}: {error}")
            _end(128 + error.number)
        if isinstance(error, KeyboardInterrupt):
            say(f"\n{self.program}: Ended at once. The same command goes on from what was saved last.")
            _end(128 + signal.SIGINT)


def _end(status: int) -> None:
    """Ends the process, though threads may still compile or train: an orderly exit would cut them off inside XLA."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(status)
