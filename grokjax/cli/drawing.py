"""The verb `draw`: finds a result, draws it, saves it, says where. Needs no JAX."""

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

import xarray as xr
from absl import flags
from matplotlib.figure import Figure

from grokjax import plot
from grokjax.cli.places import drawn_to, find, results_in
from grokjax.messages import say
from grokjax.messages import show as tell
from grokjax.results import ResultError, with_measures


def show(name: str, argv: Sequence[str]) -> None:
    """`grokjax draw study/experiment`, or its script; exits with one sentence and status 1 if that cannot be.

    Args:
      name: of the experiment.
      argv: program and arguments.
    """
    values = flags.FlagValues()
    flags.DEFINE_string("result", None, f"the NPZ that is drawn; default: that of {name}", flag_values=values)
    which = "of the result: quick, paper, ...; default: the newest in results/, or one that ships"
    flags.DEFINE_string("preset", None, which, flag_values=values)
    flags.DEFINE_string("out", None, "where the PNG goes, and a PDF beside it; default: figures/", flag_values=values)
    flags.DEFINE_boolean("help", False, "show this", flag_values=values)
    try:
        rest = values(list(argv))
        if values.help:
            tell(f"{inspect.getdoc(figure(name))}\n\n{values.get_help()}")
            return
        if values.out and not values.out.endswith(".png"):
            raise ValueError(f"out={values.out} does not end in .png. Try --out={values.out}.png.")
        if len(rest) > 1:
            raise ValueError(f"{rest[1]!r} is not a flag. --help lists them.")
        path = Path(values.result) if values.result else find(name, values.preset)
        picture = drawn(name, path, values.out or drawn_to(path), pdf=True)
    except (flags.Error, ValueError, OSError) as error:
        say(f"{argv[0]}: {error}")
        sys.exit(1)
    tell(f"result  {path}\nfigure  {picture}")


def figure(name: str):
    """The module that draws an experiment; ValueError if there is none."""
    try:
        return importlib.import_module(f"grokjax.figures.{name.replace('/', '.')}")
    except ModuleNotFoundError:
        raise ValueError(f"There is no figure of {name!r}. `grokjax list` has every experiment.") from None


def draw_all(folder: Path) -> bool:
    """Draws every result of a folder beside it, and says so; whether all could be drawn."""
    found = results_in([folder])
    if not found:
        raise ValueError(f"There is no result in {folder}. Experiments write them to results/.")
    return all([_draw(name, path) for name, presets in found.items() for path in presets.values()])


def _draw(name: str, path: Path) -> bool:
    """Draws one result beside it; if that cannot be, says so in a sentence, so that the others are drawn."""
    try:
        tell(f"figure  {drawn(name, path, path.with_suffix('.png'))}")
    except (ValueError, OSError) as error:
        say(f"{path} cannot be drawn: {error}")
        return False
    return True


def drawn(name: str, path: Path, out: str | Path, *, pdf: bool = False) -> Path:
    """The picture of a result, drawn and saved.

    Args:
      name: of the experiment.
      path: of the result.
      out: where the PNG goes.
      pdf: whether a PDF goes beside it.

    Raises:
      ValueError: if the file cannot be read, has no run, or is not of the form of the experiment's results.
    """
    with plot.style():
        picture = plot.save(figure_of(name, path), out, pdf=pdf)
    plot.close()
    return picture


def figure_of(name: str, path: Path) -> Figure:
    """The figure of a result, not yet saved.

    A module that reads the results of other experiments too names them in `BESIDE`, a tuple of names within its study.
    Its `draw` is given each by that name: the result of the same preset in the same folder, None where there is none.

    Args:
      name: of the experiment.
      path: of the result.

    Raises:
      ValueError: as `drawn` does.
    """
    try:
        grid = with_measures(path)
    except ResultError as error:
        raise ValueError(f"{error} It is made by: grokjax run {name}") from None
    if "status" not in grid or (grid["status"] == "not run").all():
        raise ValueError(f"{path} has no run yet. Continue it: grokjax run {name}")
    try:
        with plot.style():
            module = figure(name)
            others = {other: _beside(path, other) for other in getattr(module, "BESIDE", ())}
            return module.draw(grid, **others)
    except (KeyError, TypeError, IndexError, ResultError) as error:
        raise ValueError(f"{path} is not a result of {name}, as its figure needs it: {error.args[0]}") from None


def _beside(path: Path, name: str) -> xr.Dataset | None:
    """The result of another experiment of the same study and preset, None where it has no run."""
    other = path.with_name(f"{name}-{path.stem.rpartition('-')[2]}.npz")
    try:
        grid = with_measures(other) if other.exists() else None
    except ResultError as error:
        say(f"{other} is left out of the figure: {error}")
        return None
    return grid if grid is not None and "status" in grid and (grid["status"] != "not run").any() else None
