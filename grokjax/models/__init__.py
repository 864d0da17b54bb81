"""What computes the answers: Flax Linen modules, inputs [batch, length] -> logits [batch, answers, classes].

What a model must have, and what it may have, is `grokjax.config.Model` and the contracts after it. Attention is
differentiated forward and backward, once or twice.
"""

from grokjax.models.decoder import Decoder
from grokjax.models.encoder_decoder import EncoderDecoder
from grokjax.models.export import to_transformer_lens
from grokjax.models.fitting import call_arguments, check_logits, fitted, parameter_shapes
from grokjax.models.lstm import Lstm
from grokjax.models.pooled import Mlp, ResNet

__all__ = [
    "MODELS",
    "Decoder",
    "EncoderDecoder",
    "Lstm",
    "Mlp",
    "ResNet",
    "call_arguments",
    "check_logits",
    "fitted",
    "parameter_shapes",
    "to_transformer_lens",
]

MODELS = {"decoder": Decoder, "encoder_decoder": EncoderDecoder, "lstm": Lstm, "mlp": Mlp, "resnet": ResNet}
"""Models by the name the command line uses."""
