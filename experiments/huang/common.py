"""What the experiments of the study of Huang et al. share: the task, Nanda et al.'s one-layer decoder, its optimizer.

The source gives neither learning rate, weight decay nor number of epochs. At its modulus they are those of Nanda et
al., whose architecture it is; pilots, which the docstring of `dynamics` has, chose those of the small presets.
Batches are full, so an epoch is a step.
"""

import dataclasses

import grokjax as gj

MODEL = gj.models.Decoder(num_layers=1, norm="none", bias="mlp", positions="learned", init_scheme="nanda")
"""Four heads, an MLP of 4 x width hidden units with biases, no norms."""

ADDITION = gj.Config(
    task=gj.tasks.modular("add", 113, output="numbers"),
    model=MODEL,
    optimizer=gj.optimizers.AdamW(learning_rate=1e-3, weight_decay=1.0),
    batch_rule="full",
    epochs=40_000,
    hold_steps=500,
    eval_at="every:50",
)
"""a + b modulo 113 as the tokens a, b and '=', in batches of all rows that train."""

MIXTURE = dataclasses.replace(ADDITION, task=gj.tasks.Mixture("add", "random", 113, 480, "numbers"))
"""Additions beside subtractions with random labels, told apart by the operator token; the latter never validate."""

SMALL = dict(modulus=31, split_by="pair", learning_rate=1e-2, epochs=3000, eval_at="every:10")
"""What quick presets have in place of the source's modulus; their rows and widths are scaled with it.

At so small a modulus a model needs half of the table to generalise, and then most validation rows have their swap
among the training rows: a model that memorises gets them right too, up to 40 % of all. So both rows of a pair fall on
one side of the split, and validation accuracy stays at chance until the model generalises."""

ENDS = dict(stop_accuracy=0.99)
"""A run ends once validation accuracy has held 99 % over 500 steps, the median of these. Its kind of dynamics is then
decided, unless it collapses later: the runs of `dynamics` go on to the end, and show whether they do."""
