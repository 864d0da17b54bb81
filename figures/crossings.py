"""Figures of times: what several scripts draw with other axes."""

from panels import along, sheet

import grokjax as gj


def draw_times(grid, x: str, over: tuple[str, ...] = ()):
    """Steps to 99 % over one axis, a panel for each combination of the values of others.

    Args:
      grid: a dataset from `grokjax.load`.
      x: the axis.
      over: the others; those that the grid has not are left out.
    """
    cells = along(grid, *over)
    figure, axes = sheet(1, len(cells), width=4.6, height=3.2)
    for ax, where in zip(axes[0], cells, strict=True):
        cell = grid.sel({name: [value] for name, value in where.items()})
        gj.plot.crossings(cell, x, ax)
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in where.items())
        ax.set_title(f"{told}: {ax.get_title()}" if told else ax.get_title())
        own_ticks(ax, grid[x].values)
        if ax is not axes[0][-1]:
            ax.get_legend().remove()
    return figure


def own_ticks(ax, values) -> None:
    """Ticks at the values of an axis where they are numbers, names on the slant where they are names."""
    if values.dtype.kind in "fiu":
        ax.set_xticks(values, [f"{value:g}" for value in values])
    else:
        ax.tick_params(axis="x", rotation=20)
