"""Attention inside windows that lie end to end in one row of tokens."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bertpipe.encoder.base import Inputs
from bertpipe.encoder.product import ROW_STEP

SCORES_AT_ONCE = 1 << 19  # of attention in bf16 on a CPU core: they stay in its cache
SAFE_TOTALS = (1e-30, 1e30)  # sums of exponentials that lost nothing in bf16


def attend(qkv: Tensor, inputs: Inputs) -> Tensor:
    """Let each window attend to itself.

    (n_tokens, 3, n_heads, depth) -> (n_tokens, n_heads, depth).
    On CUDA in half precision one variable-length kernel serves the batch; elsewhere one call a
    group of windows of equal length.
    """
    if _has_kernel(qkv):
        offsets, longest = inputs.offsets, max(inputs.lengths)
        query, key, value = qkv.unbind(1)
        return _varlen(query, key, value, offsets, offsets, longest, longest)
    mixed = torch.empty_like(qkv[:, 0])
    mixed[len(inputs.ids) :] = 0
    for start, count, length in inputs.groups:
        end = start + count * length
        group = qkv[start:end].unflatten(0, (count, length)).permute(2, 0, 3, 1, 4)
        out = _attend_equal(group[0], group[1], group[2])
        mixed[start:end] = out.transpose(1, 2).flatten(0, 1)
    return mixed


def attend_first(query: Tensor, key_value: Tensor, inputs: Inputs) -> Tensor:
    """Let each window's first token attend to its window.

    query (n_windows, n_heads, depth), key_value (n_tokens, 2, n_heads, depth) -> as query.
    """
    if _has_kernel(query):
        key, value = key_value.unbind(1)
        one_each = torch.arange(len(query) + 1, dtype=torch.int32, device=query.device)
        return _varlen(query, key, value, one_each, inputs.offsets, 1, max(inputs.lengths))
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


def _has_kernel(states: Tensor) -> bool:
    """Tell whether flash attention of variable length takes these states (n, n_heads, depth)."""
    if not states.is_cuda or states.dtype == torch.float32 or _kernel() is None:
        return False
    depth = states.shape[-1]
    is_new = torch.cuda.get_device_capability(states.device) >= (8, 0)
    return is_new and depth % 8 == 0 and depth <= 256


@cache
def _kernel() -> Any:
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:  # before torch 2.10
        return None
    return varlen_attn


def _varlen(*arguments: Tensor | int) -> Tensor:
    """Call the kernel by position: the names of its arguments differ between versions of torch."""
    return _kernel()(*arguments)


def _attend_equal(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend within windows of equal length: each (n_windows, n_heads, length, depth)."""
    if query.is_cuda or query.dtype == torch.float32:
        return functional.scaled_dot_product_attention(query, key, value)
    n_windows, n_heads, length, _ = query.shape
    query, key, value = (_whole_steps(each) for each in (query, key, value))
    key, out = key.transpose(1, 2), torch.empty_like(query)
    step = max(1, SCORES_AT_ONCE // query.shape[1] ** 2)
    for i in range(0, n_windows * n_heads, step):
        part = slice(i, i + step)
        _attend_in_bf16(query[part], key[part], value[part], out[part], length)
    return out[:, :length].unflatten(0, (n_windows, n_heads))


def _whole_steps(states: Tensor) -> Tensor:
    """Lay out states (n_windows, n_heads, length, depth) as (n_windows x n_heads, steps, depth).

    steps: the length made up with zeros to a multiple of `ROW_STEP`.
    """
    n_windows, n_heads, length, depth = states.shape
    steps = length + -length % ROW_STEP
    laid = states.new_zeros(n_windows, n_heads, steps, depth)
    laid[:, :, :length] = states
    return laid.flatten(0, 1)


def _attend_in_bf16(query: Tensor, key: Tensor, value: Tensor, out: Tensor, length: int) -> None:
    """Write to `out` the attention of queries (n, steps, depth) on keys (n, depth, steps).

    Keys and values from `length` on are zeros: such values add nothing, and such keys are left out
    of the totals.
    On a CPU two matrix products are faster than the fused kernel, which computes in fp32, and
    exponentials of the scores as they are faster than torch's soft-max, which subtracts the largest
    first (`python -m benchmarks parts`). That changes nothing, unless a sum of exponentials leaves
    the range of the numbers: then the soft-max is taken.
    """
    weights = _scores(query, key).exp_()
    totals = weights[..., :length].sum(-1, keepdim=True)
    low, high = totals.aminmax()
    if not SAFE_TOTALS[0] < low.item() <= high.item() < SAFE_TOTALS[1]:
        weights, totals = _scores(query, key), totals.new_ones(())
        weights[..., length:] = -torch.inf
        weights = weights.softmax(-1)
    torch.bmm(weights, value, out=out)
    out /= totals


def _scores(query: Tensor, key: Tensor) -> Tensor:
    unused = query.new_empty(1, 1, 1)  # baddbmm wants a summand, even for beta 0
    return torch.baddbmm(unused, query, key, beta=0, alpha=query.shape[-1] ** -0.5)
