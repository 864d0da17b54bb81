"""What the experiments of the PKU study share: its token format, its batches, its models.

Where the study's text and its recorded code differ, the code's value stands here (experiments that follow the text are
presets of their modules). Batches are fixed for the whole run, the last one of an epoch short; there is no warm-up.
"""

import dataclasses

import grokjax as gj

NO_WARMUP = dict(warmup_steps=0.0)
"""Of every optimizer; an arm that exchanges it has to say so again."""

ENCODER_DECODER = gj.Config(
    task=gj.tasks.modular("add", 97, tokens="a o b ="),
    model=gj.models.EncoderDecoder(),
    optimizer=gj.optimizers.AdamW(**NO_WARMUP),
    batch_rule="fixed",
    eval_at="log:200",
)
"""x1 + x2 + ... modulo p as the study writes it: operands, signs and '=', each number a token; 2 + 2 layers of width
128, without dropout."""

TRANSFORMER = dataclasses.replace(ENCODER_DECODER, dropout=0.1, metrics=("train_mode_accuracy", "unswapped_accuracy"))
"""The same with dropout, and with the training accuracy as the study reports it, dropout on."""

OTHERS = dataclasses.replace(
    ENCODER_DECODER,
    model=gj.models.Lstm(),
    optimizer=gj.optimizers.AdamW(**NO_WARMUP, b1=0.96, b2=0.99),
    metrics=("unswapped_accuracy",),
)
"""LSTM, MLP and ResNet are trained with other betas."""

REPLAY = dict(
    zero_is_padding=True, size="the source's code as it was: it masks token 0, the number zero, as if it were padding"
)
"""Of the presets `replay`, which are compared with what the source recorded."""

SHORT = dict(stop_accuracy=0.99, eval_at="log:100")
"""What quick presets spare: a run ends once validation accuracy has held 99 %, and is evaluated half as often."""
