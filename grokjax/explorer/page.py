"""The page of a grid, put together: styles, scripts, figures and numbers in one file."""

import functools
import html
import json
import os
from importlib import resources
from pathlib import Path

import xarray as xr
from bokeh.palettes import Viridis256
from bokeh.resources import Resources

from grokjax.explorer.contents import contents
from grokjax.explorer.figures import figures
from grokjax.explorer.packing import packed
from grokjax.plot.style import COLORS, EDGE, NAMES, NOT_RUN, OTHERS
from grokjax.results import with_measures
from grokjax.webpage import document


class Page:
    """The page of a grid. A notebook shows it; `save` writes it.

    Attributes:
      html: the whole page.
      path: where it was last written; None where it was not.
    """

    def __init__(self, text: str):
        self.html = text
        self.path: Path | None = None

    def save(self, path: str | os.PathLike) -> Path:
        """Writes the page, whole or not at all, and returns its path; the folder is made if need be."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            unfinished.write_text(self.html, encoding="utf-8")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        self.path = path
        return path

    def __repr__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return f"<page of {len(self.html.encode()) / 1e6:.1f} MB{where}>"

    def _repr_html_(self) -> str:
        look = "width: 100%; height: 1000px; border: none"
        return f'<iframe srcdoc="{html.escape(self.html)}" style="{look}"></iframe>'


def explore(
    grid: xr.Dataset | str | os.PathLike, out: str | os.PathLike | None = None, title: str | None = None
) -> Page:
    """A grid as one HTML page, which a browser shows without a server or a network.

    Sliders and lists pick a cell of the grid; the page shows the curves of all its seeds, with their median and, of 6
    runs or more, its 95 % interval; any per-run number over any two axes, where a click picks a cell; and the share of
    runs that have reached 99 % accuracy, over steps, where runs that never got there are censored.

    Curves are rounded to 12 binary digits, a relative error of at most 1.2e-4; all other numbers are exact.

    Args:
      grid: a dataset from `grokjax.load` or a selection of one; or the path of a result, whose measures are shown too.
      out: where the page is written; None writes nothing, and a notebook shows what is returned.
      title: of the page; None takes the name of the file.

    Returns:
      The page.

    Raises:
      ResultError: if the result cannot be read.
      ValueError: if no run has run, or the grid has no curves.
    """
    if not isinstance(grid, xr.Dataset):
        title = Path(grid).stem if title is None else title
        grid = with_measures(grid)
    page = Page(_whole(contents(grid, title or "Grid of runs")))
    if out is not None:
        page.save(out)
    return page


def _whole(tree: dict) -> str:
    """The text of a page."""
    look = {
        "parts": {part: {"color": COLORS[part], "label": NAMES[part]} for part in COLORS},
        "others": list(OTHERS),
        "ramp": list(Viridis256),
        "edge": EDGE,
        "not_run": NOT_RUN,
    }
    body = _own("page.html").format(
        title=html.escape(tree["title"]),
        bokeh="\n".join(Resources(mode="inline", components=["bokeh"]).js_raw),
        figures=_drawn(),
        look=_json("look", look),
        data=packed(tree),
        script=_own("page.js"),
    )
    return document(tree["title"], _own("page.css"), body)


@functools.cache
def _drawn() -> str:
    """The empty figures, the same in every page."""
    return "\n".join(_json(f"{name}-figure", item) for name, item in figures().items())


@functools.cache
def _own(name: str) -> str:
    return resources.files("grokjax.explorer").joinpath(name).read_text("utf-8")


def _json(identity: str, value) -> str:
    """Data that the page's script reads; no text in it can end its element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{identity}">{text}</script>'
