"""Draws every figure of which there is a result, beside the result: PNG and PDF.

Without flags those of results/reference, which is what `make figures` does; --folder=results draws your own.
"""

import importlib
import sys
from pathlib import Path

from absl import flags
from script import REFERENCE, drawn

from grokjax.claims import presets_in
from grokjax.messages import say, show


def main() -> None:
    """The script, from the command line."""
    values = flags.FlagValues()
    flags.DEFINE_string("folder", str(REFERENCE), "where the results are, and the figures go", flag_values=values)
    flags.DEFINE_boolean("help", False, "show this", flag_values=values)
    try:
        rest = values(sys.argv)
        if values.help:
            show(f"{__doc__.strip()}\n\n{values.get_help()}")
            return
        if len(rest) > 1:
            raise ValueError(f"{rest[1]!r} is not a flag. --help lists them.")
        found = presets_in([values.folder])
        if not found:
            raise ValueError(f"There is no result in {values.folder}. Experiments write them to results/.")
    except (flags.Error, ValueError) as error:
        say(f"{sys.argv[0]}: {error}")
        sys.exit(1)
    here = Path(__file__).parent
    paths = [(name, path) for name, presets in found.items() for path in presets.values()]
    if not all([draw(name, path) for name, path in paths if (here / f"{name}.py").exists()]):
        sys.exit(1)


def draw(name: str, path: Path) -> bool:
    """Draws one result beside it; if that cannot be, says so in a sentence, so that the others are drawn."""
    try:
        show(f"figure  {drawn(importlib.import_module(name).draw, path, name, path.with_suffix('.png'))}")
    except (ValueError, OSError) as error:
        say(f"{path} cannot be drawn: {error}")
        return False
    return True


if __name__ == "__main__":
    main()
