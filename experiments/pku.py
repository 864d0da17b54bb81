"""What the experiments of the PKU study share: its token format, its batches, its models, by flag.

Where the study's text and its recorded code differ, the code's value stands here (experiments that follow the text are
variants of their scripts). Batches are fixed for the whole run, the last one of an epoch short; there is no warm-up.
"""

from grokjax.command import variant_text

DATA = dict(operation="add", tokens="a o b =", batch_rule="fixed", warmup_steps="0", eval_at="log:200")
"""x1 + x2 + ... modulo p as the study writes it: operands, signs and '=', each number a token."""

TRANSFORMER = DATA | dict(model="encoder_decoder", dropout="0.1", metrics="train_mode_accuracy,unswapped_accuracy")
"""The encoder-decoder, 2 + 2 layers of width 128, and the training accuracy as the study reports it, dropout on."""


SHORT = dict(stop_accuracy="0.99", eval_at="log:100")
"""What quick presets spare: a run ends once validation accuracy has held 99 %, and is evaluated half as often."""


def labelled(*configurations: tuple[str, dict]) -> str:
    """Labelled configurations as the flag --variant takes them."""
    return variant_text(dict(configurations))
