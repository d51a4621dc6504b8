"""One transformer block for BERT, RoBERTa, ELECTRA, DistilBERT and their kin, without padding.

Windows lie end to end in one row of tokens; only attention looks at where each begins. Built from
the weights of the model that transformers loads: query, key and value as one product, and the last
layer for first tokens alone where nothing else is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from bertpipe.encoder.base import Encoder, Inputs, Stage, digest

SCORES_IN_CACHE = 1 << 21  # of attention in bf16 on a CPU core; found by trying
BERT_LIKE = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "electra"})


@dataclass(frozen=True)
class _Names:
    """Where a model of transformers keeps the parts of a layer (dotted attribute names)."""

    query: str
    key: str
    value: str
    attention_out: str
    attention_norm: str
    up: str
    down: str
    norm: str


_BERT = _Names(
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
_DISTILBERT = _Names(
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
)


class Embeddings(nn.Module):
    """Sum word, position and segment embeddings, normalise, and project where ELECTRA does."""

    def __init__(self, base: Any, *, first_position: int) -> None:
        super().__init__()
        source = base.embeddings
        self.words = source.word_embeddings
        self.positions = source.position_embeddings
        self.types = getattr(source, "token_type_embeddings", None)
        self.norm = source.LayerNorm
        self.project = getattr(base, "embeddings_project", None)
        self.first_position = first_position
        self.signature = ("embeddings", first_position, self.norm.eps)

    def forward(self, inputs: Inputs) -> Tensor:
        """Return hidden states (n_tokens, width) in fp32."""
        hidden = self.words(inputs.ids) + self.positions(inputs.positions + self.first_position)
        if self.types is not None:
            hidden = hidden + self.types(inputs.types)
        hidden = self.norm(hidden)
        return hidden if self.project is None else self.project(hidden)


class Layer(nn.Module):
    """A transformer layer with the norm after each residual sum.

    Matrix products run in `dtype`; residual sums and norms stay in fp32.
    """

    def __init__(self, source: nn.Module, names: _Names, config: Any, dtype: torch.dtype) -> None:
        super().__init__()
        part = source.get_submodule
        self.n_heads: int = config.num_attention_heads
        self.activation: Callable[[Tensor], Tensor] = ACT2FN[_activation_name(config)]
        projections = [part(name) for name in (names.query, names.key, names.value)]
        self.qkv = _linear(projections, dtype)
        self.attention_out = _linear([part(names.attention_out)], dtype)
        self.up = _linear([part(names.up)], dtype)
        self.down = _linear([part(names.down)], dtype)
        self.attention_norm = part(names.attention_norm)
        self.norm = part(names.norm)
        self.dtype = dtype
        eps = (self.attention_norm.eps, self.norm.eps)
        self.signature = ("layer", self.n_heads, _activation_name(config), eps)

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Map hidden states (n_tokens, width) to the same shape."""
        n_tokens, width = hidden.shape
        qkv = self.qkv(hidden.to(self.dtype)).view(n_tokens, 3, self.n_heads, -1)
        mixed = attend(qkv, inputs).reshape(n_tokens, width)
        return self._feed_forward(hidden, mixed)

    def first_tokens(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Compute the layer for each window's first token alone: (n_windows, width).

        Keys and values need every token; queries and all that follows need one a window.
        """
        n_tokens, width = hidden.shape
        cast = hidden.to(self.dtype)
        weight, bias = self.qkv.weight, self.qkv.bias
        key_value = functional.linear(cast, weight[width:], bias[width:])
        query = functional.linear(cast[inputs.first], weight[:width], bias[:width])
        mixed = attend_first(
            query.view(len(query), self.n_heads, -1),
            key_value.view(n_tokens, 2, self.n_heads, -1),
            inputs,
        )
        return self._feed_forward(hidden[inputs.first], mixed.reshape(len(query), width))

    def _feed_forward(self, residual: Tensor, mixed: Tensor) -> Tensor:
        hidden = self.attention_norm(residual + self.attention_out(mixed).float())
        inner = self.activation(self.up(hidden.to(self.dtype)))
        return self.norm(hidden + self.down(inner).float())


def attend(qkv: Tensor, inputs: Inputs) -> Tensor:
    """Let each window attend to itself.

    (n_tokens, 3, n_heads, depth) -> (n_tokens, n_heads, depth).
    On CUDA in half precision one variable-length kernel serves the batch; elsewhere one call a
    group of windows of equal length.
    """
    if qkv.is_cuda and qkv.dtype != torch.float32:
        from torch.nn.attention.varlen import varlen_attn

        query, key, value = qkv.unbind(1)
        longest = max(inputs.lengths)
        offsets = inputs.offsets
        found: Tensor = varlen_attn(query, key, value, offsets, offsets, longest, longest)  # type: ignore[assignment]
        return found
    mixed = torch.empty_like(qkv[:, 0])
    for start, count, length in inputs.groups:
        end = start + count * length
        group = qkv[start:end].unflatten(0, (count, length)).permute(2, 0, 3, 1, 4)
        out = _attend_equal(group[0], group[1], group[2])
        mixed[start:end] = out.transpose(1, 2).flatten(0, 1)
    return mixed


def _attend_equal(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend within windows of equal length: each (n_windows, n_heads, length, depth).

    In bf16 on a CPU two matrix products on slices that stay in the cache are 1.4 times as fast as
    the fused kernel, which computes in fp32 there.
    """
    if query.is_cuda or query.dtype == torch.float32:
        return functional.scaled_dot_product_attention(query, key, value)
    n_windows, n_heads, length, depth = query.shape
    query, key, value = (each.flatten(0, 1) for each in (query, key.transpose(2, 3), value))
    out = torch.empty_like(query)
    unused = query.new_empty(1, 1, 1)  # baddbmm wants a summand, even for beta 0
    step = max(1, SCORES_IN_CACHE // length**2)
    for i in range(0, n_windows * n_heads, step):
        part = slice(i, i + step)
        scores = torch.baddbmm(unused, query[part], key[part], beta=0, alpha=depth**-0.5)
        torch.bmm(scores.softmax(-1), value[part], out=out[part])
    return out.unflatten(0, (n_windows, n_heads))


def attend_first(query: Tensor, key_value: Tensor, inputs: Inputs) -> Tensor:
    """Let each window's first token attend to its window.

    query (n_windows, n_heads, depth), key_value (n_tokens, 2, n_heads, depth) -> as query.
    """
    mixed = torch.empty_like(query)
    window = 0
    for start, count, length in inputs.groups:
        end = start + count * length
        group = key_value[start:end].unflatten(0, (count, length)).permute(2, 0, 3, 1, 4)
        one = query[window : window + count].unsqueeze(2)
        out = functional.scaled_dot_product_attention(one, group[0], group[1])
        mixed[window : window + count] = out.squeeze(2)
        window += count
    return mixed


def packed_encoder(base: Any, *, device: str, precision: str, first_token: bool) -> Encoder | None:
    """Build the packed encoder of a model, or return None where its architecture is another."""
    config = base.config
    layers, names = _layers(base)
    if names is None or not _is_plain(config):
        return None
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    embeddings = Embeddings(base, first_position=_first_position(config)).to(device).eval()
    stages = [_stage(embeddings, lambda _, inputs: embeddings(inputs), "", device, precision, 0)]
    for i, source in enumerate(layers):
        layer = Layer(source, names, config, dtype).to(device).eval()
        only_first = first_token and i == len(layers) - 1
        run = layer.first_tokens if only_first else layer.forward
        suffix = "/first" if only_first else ""
        stages.append(_stage(layer, run, suffix, device, precision, 1))  # type: ignore[arg-type]
    return Encoder(tuple(stages), device, precision, "packed")


def _layers(base: Any) -> tuple[list[nn.Module], _Names | None]:
    kind = base.config.model_type
    if kind in BERT_LIKE:
        return list(base.encoder.layer), _BERT
    if kind == "distilbert":
        return list(base.transformer.layer), _DISTILBERT
    return [], None


def _is_plain(config: Any) -> bool:
    """Tell whether attention is the plain kind, neither relative nor causal."""
    relative = getattr(config, "position_embedding_type", None) not in (None, "absolute")
    return not relative and not getattr(config, "is_decoder", False)


def _first_position(config: Any) -> int:
    # RoBERTa and its kin count positions from the one after the padding token's id.
    kind = config.model_type
    if kind in ("roberta", "xlm-roberta", "camembert"):
        return config.pad_token_id + 1
    return 0


def _activation_name(config: Any) -> str:
    return getattr(config, "hidden_act", None) or config.activation


def _linear(parts: list[Any], dtype: torch.dtype) -> nn.Linear:
    weight = torch.cat([part.weight for part in parts]).to(dtype)
    linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=dtype, device=weight.device)
    linear.weight = nn.Parameter(weight, requires_grad=False)
    bias = torch.cat([part.bias for part in parts]).to(dtype)
    linear.bias = nn.Parameter(bias, requires_grad=False)
    return linear


def _stage(
    module: nn.Module,
    run: Callable[[Tensor | None, Inputs], Tensor],
    suffix: str,
    device: str,
    precision: str,
    n_layers: int,
) -> Stage:
    return Stage(f"{digest(module)}/{device}/{precision}{suffix}", run, module, n_layers)
