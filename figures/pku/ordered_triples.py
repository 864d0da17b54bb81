"""Accuracy over epochs on ordered rows, on all rows and on the controls, and when validation reaches 99 %.

After figure 8 of the PKU study, drawn from experiments/pku/ordered_triples.py. The panel at the end counts runs that
have generalised.
"""

from grokjax.cli import show
from grokjax.experiments.pku.arms import FRACTIONS, ROWS, of_rows
from grokjax.plot.panels import draw_rows_of_arms


def draw(grid):
    """The figure: a row of panels for each train fraction."""
    return draw_rows_of_arms(grid, [[of_rows(rows, fraction)[0] for rows in ROWS] for fraction in FRACTIONS])


if __name__ == "__main__":
    show("pku/ordered_triples")
