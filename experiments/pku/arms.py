"""Arms that experiments, figures and claims of the PKU study name: ids and labels."""

OPTIMIZERS = {
    "adam-1e-4": "Adam 1e-4",
    "adam-1e-3": "Adam 1e-3",
    "adam-3e-3": "Adam 3e-3",
    "adam-1e-4-dropout": "Adam 1e-4, dropout .1",
    "adamw-decay-0.05": "AdamW 5e-4, decay .05",
    "adamw-decay-1": "AdamW 5e-4, decay 1",
    "rmsprop-5e-4": "RMSprop 5e-4",
    "rmsprop-1e-3": "RMSprop 1e-3",
    "sgd-momentum": "SGD 1e-2, momentum .9",
    "sgd": "SGD 1e-2",
}

ROWS = {
    "ordered": "ordered",
    "all": "all",
    "all-as-many-rows": "all, as many rows",
    "all-by-pair": "all, split by pair",
}
"""Which rows of the table are used, and how they are split."""

FRACTIONS = (0.3, 0.5, 0.7)
"""Of the study, in all but figure 4."""


def of_rows(rows: str, fraction: float) -> tuple[str, str]:
    """Id and label of an arm of `ROWS` at one train fraction."""
    return f"{rows}-{fraction}", f"{ROWS[rows]}, alpha={fraction}"
