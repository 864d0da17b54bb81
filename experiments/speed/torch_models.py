"""The models of the papers, put together from PyTorch's own layers: what this project's are compared with.

Their outputs, gradients and training are recorded in tests/golden, and `benchmark.py --against=torch` times them. They
need nothing but PyTorch. `MODELS` makes each kind from its sizes.

What a forward pass needs besides parameters (sinusoids, masks) are buffers, in float64 until the model is given a dtype
by `.to(...)` or `.float()`, which must come first.
"""

import math

import torch
from torch import nn
from torch.nn import functional


def sinusoid(length: int, width: int) -> torch.Tensor:
    """[length, width] of Vaswani et al. 2017: sine in even columns, cosine in odd ones."""
    table = torch.zeros(length, width, dtype=torch.float64)
    for position in range(length):
        for pair in range(width // 2):
            angle = position / math.pow(10_000, 2 * pair / width)
            table[position, 2 * pair] = math.sin(angle)
            table[position, 2 * pair + 1] = math.cos(angle)
    return table


def causal(length: int) -> torch.Tensor:
    """[length, length] added to scores: 0, and minus infinity where a query must not see a key."""
    return nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm of each feature over batch and positions, for [batch, length, features]."""

    def forward(self, x):
        return super().forward(x.flatten(0, 1)).view_as(x)


def layer_norm(width: int) -> nn.Module:
    return nn.LayerNorm(width, eps=1e-5)


def bare_layer_norm(width: int) -> nn.Module:
    return nn.LayerNorm(width, eps=1e-5, elementwise_affine=False)


def bare_batch_norm(width: int) -> nn.Module:
    return BatchNorm(width, affine=False)


def no_norm(width: int) -> nn.Module:
    return nn.Identity()


class AttentionOnly(nn.Module):
    """A layer that is nothing but residual attention."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, bias=False, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask):
        return x + self.dropout(self.self_attn(x, x, x, attn_mask=mask, need_weights=False)[0])


def dropped_on_branches(layer: nn.Module) -> nn.Module:
    """The layer of PyTorch's with dropout on its residual branches alone, not on attention weights or hidden units."""
    layer.dropout = nn.Identity()
    for module in layer.modules():
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return layer


def decoder_layer(width, heads, mlp_width, norm, *, pre=False, inner=False, bias="none", dropout=0.0) -> nn.Module:
    """A layer of a decoder-only transformer: PyTorch's encoder layer, which is one when it is given a causal mask.

    Its `bias=False` would take the biases of the norms, too, so the norms are put in afterwards.

    Args:
      width, heads, mlp_width: sizes.
      norm: makes a norm of so many features.
      pre: whether the norms precede the branches; else they follow the residual sums.
      inner: one more norm before the ReLU.
      bias: 'none', 'mlp' or 'all' of the matrix products.
      dropout: rate on the residual branches.
    """
    activation = nn.Sequential(norm(mlp_width), nn.ReLU()) if inner else functional.relu
    options = dict(dropout=dropout, activation=activation, batch_first=True, norm_first=pre, bias=bias == "all")
    layer = nn.TransformerEncoderLayer(width, heads, mlp_width, **options)
    layer.norm1, layer.norm2 = norm(width), norm(width)
    if bias == "mlp":
        layer.linear1, layer.linear2 = nn.Linear(width, mlp_width), nn.Linear(mlp_width, width)
    return dropped_on_branches(layer)


class DecoderOnly(nn.Module):
    """Embedding plus positions, causal layers, maybe a norm, output without bias; all positions go through all layers.

    Args:
      layers: modules of a state and a mask.
      vocabulary, classes, width, length: sizes.
      read: positions whose logits are returned, side by side.
      learned: whether the positions are; else they are sinusoids.
      norm: before the output, or None.
      dropout: rate on the embeddings.
    """

    def __init__(self, layers, vocabulary, classes, width, length, read, *, learned=False, norm=None, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(length, width) if learned else None
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.output = nn.Linear(width, classes, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.read = slice(read[0], read[-1] + 1)
        if not learned:
            self.register_buffer("sinusoid", sinusoid(length, width), persistent=False)
        self.register_buffer("mask", causal(length), persistent=False)

    def forward(self, tokens):
        x = self.embedding(tokens) + (self.sinusoid if self.position is None else self.position.weight)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, self.mask)
        if self.norm is not None:
            x = self.norm(x)
        return self.output(x[:, self.read])


class AttentionWithUniformRows(nn.MultiheadAttention):
    """Self-attention in which the queries marked by `uniform` [batch, length] weigh all positions alike.

    This is what becomes of a row whose every score is replaced by the same large negative number: no gradient
    reaches its scores.
    """

    uniform = None

    def forward(self, query, key, value, **options):
        mixed, _ = super().forward(query, key, value, **options)
        width = query.shape[2]
        values = functional.linear(value, self.in_proj_weight[2 * width :], self.in_proj_bias[2 * width :])
        even = self.out_proj(values.mean(1, keepdim=True))
        return torch.where(self.uniform[:, :, None], even, mixed), None


class EncoderDecoder(nn.Module):
    """Post-LN encoder and decoder, both fed the same tokens; the logits of decoder position 0.

    With `zero_is_padding`, token 0 is no key of the encoder and of cross-attention, and a decoder row whose own token
    is 0 attends uniformly to all positions.
    """

    def __init__(
        self, vocabulary, classes, width, length, heads, mlp_width, num_layers=2, zero_is_padding=False, dropout=0.0
    ):
        super().__init__()
        options = dict(dropout=dropout, activation="relu", batch_first=True)
        encoder = lambda: dropped_on_branches(nn.TransformerEncoderLayer(width, heads, mlp_width, **options))  # noqa: E731
        decoder = lambda: dropped_on_branches(nn.TransformerDecoderLayer(width, heads, mlp_width, **options))  # noqa: E731
        self.embedding_source = nn.Embedding(vocabulary, width)
        self.embedding_target = nn.Embedding(vocabulary, width)
        self.encoder = nn.ModuleList(encoder() for _ in range(num_layers))
        self.decoder = nn.ModuleList(decoder() for _ in range(num_layers))
        self.output = nn.Linear(width, classes)
        self.dropout = nn.Dropout(dropout)
        self.zero_is_padding = zero_is_padding
        if zero_is_padding:
            for layer in self.decoder:
                layer.self_attn = AttentionWithUniformRows(width, heads, batch_first=True)
        self.register_buffer("sinusoid", sinusoid(length, width), persistent=False)
        self.register_buffer("mask", causal(length), persistent=False)

    def forward(self, tokens):
        padding = (tokens == 0) if self.zero_is_padding else None
        memory = self.dropout(self.embedding_source(tokens) + self.sinusoid)
        for layer in self.encoder:
            memory = layer(memory, src_key_padding_mask=padding)
        x = self.dropout(self.embedding_target(tokens) + self.sinusoid)
        for layer in self.decoder:
            if self.zero_is_padding:
                layer.self_attn.uniform = padding
            x = layer(x, memory, tgt_mask=self.mask, memory_key_padding_mask=padding)
        return self.output(x[:, :1])


class Lstm(nn.Module):
    """LSTM layers read the tokens; as many more start from their state and read them again; position 0 answers."""

    def __init__(self, vocabulary, classes, width, num_layers=2):
        super().__init__()
        self.embedding_source = nn.Embedding(vocabulary, width)
        self.embedding_target = nn.Embedding(vocabulary, width)
        self.encoder = nn.LSTM(width, width, num_layers, batch_first=True)
        self.decoder = nn.LSTM(width, width, num_layers, batch_first=True)
        self.output = nn.Linear(width, classes)

    def forward(self, tokens):
        _, state = self.encoder(self.embedding_source(tokens))
        x, _ = self.decoder(self.embedding_target(tokens), state)
        return self.output(x[:, :1])


class Mlp(nn.Module):
    """The mean embedding through Linear + ReLU several times, then a Linear."""

    def __init__(self, vocabulary, classes, width, num_layers=4):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers))
        self.output = nn.Linear(width, classes)

    def forward(self, tokens):
        x = self.embedding(tokens).mean(1)
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.output(x)[:, None]


class ResNet(nn.Module):
    """Several times h <- ReLU(ReLU(W h + b) + x0) from the mean embedding x0, with one W or as many, then a Linear."""

    def __init__(self, vocabulary, classes, width, num_layers=4, shared=True):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(1 if shared else num_layers))
        self.output = nn.Linear(width, classes)
        self.num_layers = num_layers

    def forward(self, tokens):
        x = pooled = self.embedding(tokens).mean(1)
        for block in range(self.num_layers):
            x = torch.relu(torch.relu(self.layers[block % len(self.layers)](x)) + pooled)
        return self.output(x)[:, None]


def decoder(
    vocabulary, classes, width, length, read, heads, mlp_width, num_layers, norm, affine, inner, final, bias, learned,
    dropout=0.0,
) -> DecoderOnly:  # fmt: skip
    """A decoder-only transformer from the settings of this project's: `norm` is 'post', 'pre' or 'none'.

    `inner` and `final` add LayerNorms inside the MLPs and before the output; `mlp_width=0` leaves attention alone.
    """
    make_norm = layer_norm if affine else bare_layer_norm

    def layer():
        if not mlp_width:
            return AttentionOnly(width, heads, dropout)
        made = decoder_layer(
            width, heads, mlp_width, make_norm, pre=norm == "pre", inner=inner, bias=bias, dropout=dropout
        )
        if norm == "none":
            made.norm1 = made.norm2 = nn.Identity()
        return made

    return DecoderOnly(
        [layer() for _ in range(num_layers)],
        vocabulary,
        classes,
        width,
        length,
        read,
        learned=learned,
        norm=make_norm(width) if final else None,
        dropout=dropout,
    )


MODELS = {"decoder": decoder, "encoder_decoder": EncoderDecoder, "lstm": Lstm, "mlp": Mlp, "resnet": ResNet}
"""What makes a model of each kind, given its sizes by name."""
