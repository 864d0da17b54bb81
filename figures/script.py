"""What every figure script is as a command: finds a result, draws it, saves it, says where."""

import glob
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import xarray as xr
from absl import flags
from matplotlib.figure import Figure

import grokjax as gj
from grokjax.messages import say, show

ROOT = Path(__file__).resolve().parents[1]
OWN, REFERENCE = Path("results"), ROOT / "results" / "reference"
BEST_FIRST = ("claim", "paper", "text", "part", "grid", "small", "quick")
"""Presets from the source's own grid down."""


def drawn_to(result: Path) -> Path:
    """Where a figure script draws a result unless told: figures/NAME-PRESET.png."""
    return Path("figures") / f"{result.stem}.png"


def nearness(preset: str) -> int:
    """The place of a preset in `BEST_FIRST`, of one with another name the last."""
    return BEST_FIRST.index(preset) if preset in BEST_FIRST else len(BEST_FIRST)


def find(name: str, preset: str | None, folders: Sequence[Path]) -> Path:
    """The result of an experiment to draw: NAME-PRESET.npz.

    Args:
      name: of the experiment.
      preset: of the result; None takes, of the first folder that has any, the newest, and of the reference results the
        one nearest to the source.
      folders: where to look, in this order.

    Raises:
      ValueError: naming the command that makes one.
    """
    for folder in folders:
        found = sorted(folder.glob(f"{name}-{glob.escape(preset) if preset else '*'}.npz"))
        if folder == REFERENCE:
            found.sort(key=lambda path: nearness(path.stem.partition("-")[2]), reverse=True)
        else:
            found.sort(key=lambda path: path.stat().st_mtime)
        if found:
            return found[-1]
    told = f" with --preset={preset}" if preset else ""
    raise ValueError(f"There is no result of {name}{told}. It is made by: python experiments/{name}.py{told[5:]}")


def main(draw: Callable[[xr.Dataset], Figure], doc: str, name: str) -> None:
    """Draws a figure from the command line; exits with one sentence and status 1 if that cannot be.

    Args:
      draw: from a result to its figure.
      doc: what the figure is, shown by --help.
      name: of the experiment, results/NAME-PRESET.npz.
    """
    values = flags.FlagValues()
    flags.DEFINE_string("result", None, f"the NPZ that is drawn; default: that of {name}", flag_values=values)
    told = "of the result: quick, paper, ...; default: the newest in results/, or the one in results/reference/"
    flags.DEFINE_string("preset", None, told, flag_values=values)
    flags.DEFINE_string("out", None, "where the PNG goes, and a PDF beside it; default: figures/", flag_values=values)
    flags.DEFINE_boolean("help", False, "show this", flag_values=values)
    try:
        rest = values(sys.argv)
        if values.help:
            show(f"{doc.strip()}\n\n{values.get_help()}")
            return
        if values.out and not values.out.endswith(".png"):
            raise ValueError(f"out={values.out} does not end in .png. Try --out={values.out}.png.")
        if len(rest) > 1:
            raise ValueError(f"{rest[1]!r} is not a flag. --help lists them.")
        path = Path(values.result) if values.result else find(name, values.preset, (OWN, REFERENCE))
        picture = drawn(draw, path, name, values.out or drawn_to(path))
    except (flags.Error, ValueError, OSError) as error:
        say(f"{sys.argv[0]}: {error}")
        sys.exit(1)
    show(f"result  {path}\nfigure  {picture}")


def drawn(draw: Callable[[xr.Dataset], Figure], path: Path, name: str, out: str | Path) -> Path:
    """The picture of a result, drawn and saved.

    Raises:
      ValueError: if the file cannot be read, has no run, or is not of the form of the experiment's results.
    """
    try:
        grid = gj.load(path)
    except gj.ResultError as error:
        raise ValueError(f"{error} It is made by: python experiments/{name}.py") from None
    if "status" not in grid or (grid["status"] == "not run").all():
        raise ValueError(f"{path} has no run yet. Continue it: python experiments/{name}.py")
    try:
        with gj.plot.style():
            picture = gj.plot.save(draw(grid), out)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} is not a result of {name}, as its figure needs it: {error.args[0]}") from None
    gj.plot.plt.close("all")
    return picture
