"""The three figures of a page, empty: its script puts in what is picked.

Both axes are in places on the page, not in steps or shares, since the script switches between linear and logarithmic;
it also sets their ticks.
"""

from bokeh.embed import json_item
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CustomJSHover,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    Range1d,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure

from grokjax.plot.style import EDGE, NOT_RUN, STYLE


def figures() -> dict[str, dict]:
    """The figures as JSON that BokehJS embeds, by the id of the element of the page that each goes to."""
    return {name: json_item(make(), name) for name, make in (("curves", _curves), ("map", _map), ("times", _times))}


def _figure(name: str, height: int, tools: str, **look):
    ranges = dict(x_range=Range1d(0, 1), y_range=Range1d(0, 1))
    made = figure(name=name, height=height, sizing_mode="stretch_width", tools=tools, **ranges, **look)
    made.toolbar.logo = None
    made.toolbar.autohide = True
    made.title.text_font_style = "normal"
    for axis in made.axis:
        axis.ticker = FixedTicker(ticks=[])
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "13px"
        axis.major_label_text_font_size = "12px"
        axis.axis_line_color = axis.major_tick_line_color = EDGE
    made.grid.grid_line_color = STYLE["grid.color"]
    made.outline_line_color = None
    return made


def _hover(renderer, code: str, **more) -> HoverTool:
    """A tooltip with the text that the page's script gives for what the pointer is on."""
    tip = CustomJSHover(code=f"return window.grokjax.{code}(special_vars)")
    template = '<div style="white-space: pre; font: 12px sans-serif">@where{custom}</div>'
    return HoverTool(renderers=[renderer], tooltips=template, formatters={"@where": tip}, **more)


def _source(name: str, *columns: str) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _curves():
    made = _figure("curves", 400, "pan,box_zoom,wheel_zoom,reset,save")
    made.patches("xs", "ys", source=_source("bands", "xs", "ys", "color"), color="color", alpha=0.15, line_width=0)
    runs = _source("runs", "xs", "ys", "color", "width", "alpha", "where")
    lines = made.multi_line("xs", "ys", source=runs, color="color", line_width="width", alpha="alpha")
    lines.hover_glyph = lines.glyph.clone(line_width=3, line_alpha=1)
    medians = _source("medians", "xs", "ys", "color")
    made.multi_line("xs", "ys", source=medians, color="color", line_width=3)
    made.add_tools(_hover(lines, "of_run", line_policy="nearest", limit=4))
    return made


def _map():
    made = _figure("map", 360, "reset,save")
    made.grid.visible = False
    cells = _source("cells", "x", "y", "color", "where")
    tiles = made.rect("x", "y", 1, 1, source=cells, color="color", line_color="white", line_width=0.5)
    never = _source("never", "x", "y")  # one pattern for all cells: one for each took 80 ms more, of 110 cells
    hatch = dict(hatch_pattern="/", hatch_color=EDGE, hatch_weight=0.6, hatch_scale=8)
    made.rect("x", "y", 1, 1, source=never, fill_color=None, line_color="white", line_width=0.5, **hatch)
    look = dict(text_align="center", text_baseline="middle", text_font_size="11px", text_color="ink")
    made.text("x", "y", "text", source=_source("texts", "x", "y", "text", "ink"), **look)
    chosen = _source("chosen", "x", "y")
    made.rect("x", "y", 1, 1, source=chosen, fill_color=None, line_color="black", line_width=3)
    mapper = LinearColorMapper(palette=Viridis256, low=0, high=1, nan_color=NOT_RUN, name="colors")
    bar = ColorBar(color_mapper=mapper, ticker=FixedTicker(ticks=[]), width=12, name="bar", label_standoff=6)
    made.add_layout(bar, "right")
    made.add_tools(_hover(tiles, "of_cell", mode="mouse"))
    return made


def _times():
    made = _figure("times", 360, "pan,box_zoom,wheel_zoom,reset,save")
    bands = _source("shares_bands", "xs", "ys", "color")
    made.patches("xs", "ys", source=bands, color="color", alpha=0.12, line_width=0)
    shares = _source("shares", "xs", "ys", "color", "width", "where")
    lines = made.multi_line("xs", "ys", source=shares, color="color", line_width="width")
    censored = _source("censored", "x", "y", "color")
    made.scatter("x", "y", source=censored, marker="dash", angle=1.5708, size=14, color="color", line_width=2)
    made.add_tools(_hover(lines, "of_share", line_policy="prev", limit=4))
    return made
