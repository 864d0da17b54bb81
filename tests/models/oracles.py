"""The PKU study's models in NumPy float64, written from their description: every position, every step, every head.

They read nothing of `grokjax` but the parameters, and also take complex ones (see `reference`).
"""

import numpy as np
from reference import ACTIVATIONS, layer_norm, linear, sinusoid


def _softmax(scores):
    powers = np.exp(scores - scores.real.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _attention(layer, prefix, x, memory, visible, num_heads):
    """Attention of x [rows, q, width] to memory [rows, k, width]; a hidden score is -1e9, as in the original."""
    query = linear(layer[f"{prefix}query"], x)
    key, value = (linear(layer[f"{prefix}{name}"], memory) for name in ("key", "value"))
    features = x.shape[-1] // num_heads
    heads = []
    for h in range(num_heads):
        own = slice(h * features, (h + 1) * features)
        scores = query[..., own] @ key[..., own].swapaxes(1, 2) / features**0.5
        weights = _softmax(np.where(visible, scores, -1e9))
        heads.append(weights @ value[..., own])
    return linear(layer[f"{prefix}output"], np.concatenate(heads, axis=-1))


def _mlp(model, layer, x):
    return linear(layer["mlp_out"], ACTIVATIONS[model.activation](linear(layer["mlp_in"], x)))


def encoder_decoder_logits(model, params, tokens, position=0):
    """[rows, 1, classes]: the logits of one decoder position."""
    rows, length = tokens.shape
    not_padding = tokens != 0 if model.zero_is_padding else np.ones_like(tokens, bool)
    keys_seen = np.broadcast_to(not_padding[:, None, :], (rows, length, length))
    causal = np.broadcast_to(np.tril(np.ones((length, length), bool)), (rows, length, length))
    decoder_sees = causal & not_padding[:, :, None]  # by the token that asks, not the one that is asked
    positions = sinusoid(length, params["embedding_source"].shape[1])

    x = params["embedding_source"][tokens] + positions
    for i in range(model.num_layers):
        layer = params[f"encoder_{i}"]
        x = layer_norm(layer["norm_attention"], x + _attention(layer, "", x, x, keys_seen, model.num_heads))
        x = layer_norm(layer["norm_mlp"], x + _mlp(model, layer, x))
    y = params["embedding_target"][tokens] + positions
    for i in range(model.num_layers):
        layer = params[f"decoder_{i}"]
        y = layer_norm(layer["norm_attention"], y + _attention(layer, "", y, y, decoder_sees, model.num_heads))
        y = layer_norm(layer["norm_cross"], y + _attention(layer, "cross_", y, x, keys_seen, model.num_heads))
        y = layer_norm(layer["norm_mlp"], y + _mlp(model, layer, y))
    return linear(params["output"], y[:, position : position + 1])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _cell(layer, x, h, c):
    """One step, gate by gate; the gates' columns come in the order i, f, g, o."""
    width = h.shape[-1]

    def gate(k):
        own = slice(k * width, (k + 1) * width)
        return (
            x @ layer["input"][:, own]
            + layer["bias_input"][own]
            + h @ layer["hidden"][:, own]
            + layer["bias_hidden"][own]
        )

    c = _sigmoid(gate(1)) * c + _sigmoid(gate(0)) * np.tanh(gate(2))
    return _sigmoid(gate(3)) * np.tanh(c), c


def lstm_logits(model, params, tokens):
    """[rows, 1, classes]: step by step, and within a step layer by layer."""
    zeros = np.zeros((len(tokens), model.width))
    states = [(zeros, zeros)] * model.num_layers
    for stack in ("source", "target"):
        outputs = []
        for t in range(tokens.shape[1]):
            x = params[f"embedding_{stack}"][tokens[:, t]]
            for i in range(model.num_layers):
                states[i] = _cell(params[f"{'encoder' if stack == 'source' else 'decoder'}_{i}"], x, *states[i])
                x = states[i][0]
            outputs.append(x)
    return linear(params["output"], outputs[0])[:, None]


def _pooled(params, tokens):
    return sum(params["embedding"][column] for column in tokens.T) / tokens.shape[1]


def _side_by_side(params, tokens):
    return np.concatenate([params["embedding"][column] for column in tokens.T], axis=1)


def mlp_logits(model, params, tokens):
    """[rows, 1, classes]."""
    activation = ACTIVATIONS[model.activation]
    h = _pooled(params, tokens) if model.pool == "mean" else _side_by_side(params, tokens)
    for i in range(model.num_layers):
        h = activation(linear(params[f"layer_{i}"], h))
    return linear(params["output"], h)[:, None]


def resnet_logits(model, params, tokens):
    """[rows, 1, classes]."""
    activation = ACTIVATIONS[model.activation]
    x0 = _pooled(params, tokens) if model.pool == "mean" else linear(params["entry"], _side_by_side(params, tokens))
    h = x0
    for i in range(model.num_layers):
        h = activation(activation(linear(params["layer_0" if model.shared else f"layer_{i}"], h)) + x0)
    return linear(params["output"], h)[:, None]
