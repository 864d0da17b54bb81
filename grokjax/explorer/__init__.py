"""A grid in a browser: one HTML page with every run, to click through. Needs no JAX, no server and no network.

Bokeh draws it. Of the two well-kept libraries that draw in a page from Python its script is the smaller by far
(BokehJS 1.27 MB, Plotly's 4.8 MB of the 5 MB that a page of 1,000 runs is to stay under), and it draws on a canvas, so
that many lines are quick.
"""

from grokjax.explorer.page import Page, explore

__all__ = ["Page", "explore"]
