"""What the experiments of the POWER study share: model, token format, batches and budget, and a smaller form."""

import dataclasses

import grokjax as gj

WRITTEN = dict(tokens="<eos> a o b = c <eos>", vocab_size=239)
"""A row as the source writes it, in its vocabulary of 239 tokens for all operations; both tokens after '=' count."""

LEAN = dict(tokens="a o b =", vocab_size=None)
"""The same row with nothing but the question, in the vocabulary that it needs."""

MODULAR = gj.Config(
    task=gj.tasks.modular("divide", 97, **WRITTEN),
    model=gj.models.Decoder(),
    optimizer=gj.optimizers.AdamW(),
    batch_size=512,
    min_batches=2,
    steps=100_000,
    eval_at="log:300",
)
"""x/y mod 97 on a decoder of two layers and width 128, AdamW 1e-3 with decay 1; batches of 512 or of half the
training rows where these are fewer; 10^5 updates."""

S5 = dataclasses.replace(MODULAR, task=gj.tasks.Permutations("xy", 5, **WRITTEN))
"""The same on the products of two permutations of five things, 14,400 rows."""

QUOTIENTS = dataclasses.replace(
    MODULAR,
    task=gj.tasks.modular("divide", 31, **LEAN),
    model=gj.models.Decoder(width=64),
    train_fraction=0.7,
    eval_at="log:100",
    stop_accuracy=0.99,
)
"""x/y mod 31 in lean rows at half the width, 930 rows, which quick presets train in place of S5.

S4, with 576 rows, is as small, but did not generalise in pilots (seed 100, width 64, AdamW with decay 1): at
fractions .5 and .7 it memorised after 128 and 181 steps and stayed at chance for 6,000; at .8 it had 10 % after 1,550
steps and at .9 16 % after 2,890, where the pilot was interrupted. x+y mod 31 on one layer
memorised after 279 (fraction .5) and 558 steps (.7) and had 49 and 69 % after 3,000, with and without decay: half of
its validation rows are training rows swapped, so that memorising alone gives a share as large as the fraction."""

SMALL = dict(**LEAN, width=64, eval_at="log:100")
"""What quick presets spare beside the size of the table: lean rows, half the width, a third of the evaluations."""

DECAYED = dict(optimizer="adamw", weight_decay=1.0)
FREE = dict(optimizer="adam", weight_decay=0.0)
"""The source's AdamW, and Adam without decay."""

SHORT = dict(stop_accuracy=0.99)
"""Where only the way to 99 % counts, a run ends once validation accuracy has held it."""
