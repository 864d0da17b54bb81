"""Arms that experiments, figures and claims of the POWER study name: ids and labels."""

MODULAR = {
    "add": ("x+y", "add"),
    "subtract": ("x−y", "subtract"),
    "multiply": ("x·y", "multiply"),
    "divide": ("x/y", "divide"),
    "mixed": ("x/y if y odd, else x−y", "divide_if_odd"),
    "x2+y2": ("x²+y²", "x^2+y^2"),
    "x2+xy+y2": ("x²+xy+y²", "x^2+x*y+y^2"),
    "x2+xy+y2+x": ("x²+xy+y²+x", "x^2+x*y+y^2+x"),
    "x3+xy": ("x³+xy", "x^3+x*y"),
    "x3+xy2+y": ("x³+xy²+y", "x^3+x*y^2+y"),
}
"""Label and operation of the ten modulo p."""

PERMUTATIONS = {
    "permutations-xy": ("x·y", "xy"),
    "permutations-conjugate": ("x·y·x⁻¹", "xyx^-1"),
    "permutations-xyx": ("x·y·x", "xyx"),
}
"""Label and operation of the three on permutations."""

SAME = {"add-less-one": "x+y mod p−1", "multiply-nonzero": "x·y mod p without zeros"}
"""Two more, which are one group under two namings."""

RELATED = (("subtract", "add"), ("divide", "multiply"), ("x2+xy+y2+x", "x2+xy+y2"))
"""Operations that are not symmetric in their operands, each with a related one that is."""

REGULARISATIONS = {
    "full-batch": "Adam, full batch",
    "adam": "Adam",
    "adam-low": "Adam, learning rate 3e-4",
    "adam-high": "Adam, learning rate 3e-3",
    "update-noise": "Adam, full batch, noise on the update",
    "weight-noise": "Adam, noise .01 on the weights",
    "dropout": "Adam, dropout .1",
    "decay": "AdamW, decay 1",
    "decay-init": "AdamW, decay 1 towards the initial weights",
    "gradient-descent": "gradient descent, full batch",
    "sgd": "SGD",
    "decay-jiggle": "Adam, weights times exp(N(0, 1) · rate)",
    "decay-gradient": "Adam, L2 of 1e-3 in the gradient",
}
"""The source's eleven ways to train, and two more kinds of weight decay."""

KINDS_OF_DECAY = ("decay", "decay-init", "decay-jiggle", "decay-gradient")

NOISES = {
    "mini-batches": ("full-batch", "adam"),
    "noise on the update": ("full-batch", "update-noise"),
    "noise on the weights": ("adam", "weight-noise"),
}
"""Kinds of noise: the arm without it and the arm with it."""

DECAYS = {"decay": "AdamW, decay 1", "none": "Adam, no decay"}
"""Whether weights decay, where nothing else differs."""
