"""Arms and groups of weights that experiments, figures and claims of this study name: ids and labels."""

CONTROLS = {
    "base": "LayerNorm, decay $\\lambda$",
    "no-norm": "no norm",
    "batch-norm": "BatchNorm",
    "no-decay": "no decay",
    "half-decay": "decay $\\lambda$/2",
    "double-decay": "decay $2\\lambda$",
    "little-data": "train fraction .1",
    "much-data": "train fraction .8",
    "operator": "operator and '=' kept",
    "difference": "x-y instead of x+y",
}

DECAYS = {
    "half-decay": ("decay $\\lambda$/2", 0.5),
    "base": ("decay $\\lambda$", 1.0),
    "double-decay": ("decay $2\\lambda$", 2.0),
}
"""Labels, and factors of the decay."""

NORMS = {
    "pre": "before branches",
    "pre-affine": "before branches, affine",
    "post": "after residual sums",
    "post-affine": "after residual sums, affine",
}

TYPICAL = {"decay": "AdamW, decay 1", "no-decay": "AdamW, no decay"}

INVARIANCE = {
    "pre": "norms before branches, inside the MLP, before the output",
    "post": "norms after residual sums and inside the MLP",
    "none": "no norms",
}
"""Networks whose scale-invariant weights are looked for."""

GROUPS = {
    "embedding": "embedding",
    "position": "positions",
    "query": "queries",
    "key": "keys",
    "value": "values",
    "output": "attention output",
    "mlp_in": "MLP, first matrix",
    "mlp_out": "MLP, second matrix",
    "logits": "matrix of the logits",
    "declared": "all declared invariant",
    "all": "all weights",
}
"""Weights that are scaled together: a kind of matrix in all layers, or several kinds."""

PLANES = ("declared", "all")
"""The groups along whose rays and circles the loss is measured."""
