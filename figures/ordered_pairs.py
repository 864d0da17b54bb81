"""Accuracy over epochs on ordered rows, on all rows and on the controls, and when validation gets to 99 %.

After figure 7 of the PKU study, drawn from experiments/ordered_pairs.py. The panel at the end counts runs that have
generalised, over steps.
"""

from panels import draw_ordered as draw
from script import main

if __name__ == "__main__":
    main(draw, __doc__, "ordered_pairs")
