"""What every figure script is as a command: loads a result, draws it, saves it, says where."""

import sys
from collections.abc import Callable

import xarray as xr
from absl import flags
from matplotlib.figure import Figure

import grokjax as gj


def main(draw: Callable[[xr.Dataset], Figure], doc: str, result: str, out: str, made_by: str) -> None:
    """Draws a figure from the command line; exits with one sentence and status 1 if that cannot be.

    Args:
      draw: from a result to its figure.
      doc: what the figure is, shown by --help.
      result: default of --result.
      out: default of --out; a PDF is written beside the PNG.
      made_by: the command that makes the result, named if it is missing.
    """
    values = flags.FlagValues()
    flags.DEFINE_string("result", result, "the NPZ that is drawn", flag_values=values)
    flags.DEFINE_string("out", out, "where the PNG goes; a PDF goes beside it", flag_values=values)
    flags.DEFINE_boolean("help", False, "show this", flag_values=values)
    try:
        rest = values(sys.argv)
        if values.help:
            print(f"{doc.strip()}\n\n{values.get_help()}")
            return
        if not values.out.endswith(".png"):
            raise ValueError(f"out={values.out} does not end in .png. Try --out={out}.")
        if len(rest) > 1:
            raise ValueError(f"{rest[1]!r} is not a flag. --help lists them.")
        try:
            grid = gj.load(values.result)
        except gj.ResultError as error:
            raise ValueError(f"{error} It is made by: {made_by}") from None
        with gj.plot.style():
            picture = gj.plot.save(draw(grid), values.out)
    except (flags.Error, ValueError, OSError) as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        sys.exit(1)
    print(f"result  {values.result}\nfigure  {picture}")
