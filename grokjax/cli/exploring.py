"""The verb `explore`: writes the page of a result, and says where. Needs no JAX."""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from grokjax.cli.places import drawn_to, find
from grokjax.messages import say, show

EXPLORE_DOC = """Writes one HTML page of a result, to look at every run in a browser, without a server or a network.

usage: grokjax explore results/add.npz [--out=add.html]
       grokjax explore pku/optimizers [--preset=grid]"""


def explore_command(argv: Sequence[str]) -> None:
    """`grokjax explore PATH` or `grokjax explore STUDY/EXPERIMENT`; exits with one sentence and 1 if that cannot be."""
    values = flags.FlagValues()
    which = "of an experiment's result; default: the newest in results/, or one that ships"
    flags.DEFINE_string("preset", None, which, flag_values=values)
    place = "where the page goes; default: beside the result, of an experiment in figures/"
    flags.DEFINE_string("out", None, place, flag_values=values)
    flags.DEFINE_boolean("help", False, "show this", flag_values=values)
    try:
        rest = values(list(argv))[1:]
        if values.help:
            show(f"{EXPLORE_DOC}\n\n{values.get_help()}")
            return
        path, out, title = _places(rest, values.preset, values.out)
        page = _page(path, out, title)
    except OSError as error:
        _end(argv, f"{error.filename or path}: {error.strerror}. Try another --out.")
    except (flags.Error, ValueError) as error:
        _end(argv, str(error))
    show(f"result  {path}\npage    {page.path} ({page.path.stat().st_size / 1e6:.1f} MB): open it in a browser")


def _places(rest: Sequence[str], preset: str | None, out: str | None) -> tuple[Path, Path, str]:
    """The result, its page and the page's title; ValueError naming what is amiss."""
    if len(rest) != 1:
        given = f"{len(rest)} results are named" if rest else "No result is named"
        raise ValueError(f"{given}. Name one: grokjax explore results/add.npz, or an experiment, as pku/optimizers.")
    if named := not rest[0].endswith(".npz"):
        path = find(rest[0], preset)
    elif preset:
        raise ValueError(f"preset={preset} is of an experiment, and {rest[0]} is a file. Try without --preset.")
    else:
        path = Path(rest[0])
    page = Path(out) if out else (drawn_to(path) if named else path).with_suffix(".html")
    if page.suffix not in (".html", ".htm"):
        raise ValueError(f"out={page} does not end in .html. Try --out={page}.html.")
    return path, page, f"{rest[0].partition('/')[0]}/{path.stem}" if named else path.stem


def _page(path: Path, out: Path, title: str):
    from grokjax.explorer import explore  # Bokeh takes a second to import

    return explore(path, out, title)


def _end(argv: Sequence[str], sentence: str) -> None:
    say(f"{argv[0]}: {sentence}")
    sys.exit(1)
