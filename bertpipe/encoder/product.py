"""The matrix products of linear layers, with weights laid out for the processor."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# oneDNN prepares a product for each number of rows that it meets, and keeps it: over a corpus that
# would be thousands and gigabytes. Rows are therefore made up to a multiple of this.
ROW_STEP = 32


class Product:
    """Several linear layers as one: (n, n_in) -> (n, n_out), their outputs side by side.

    On a CPU oneDNN multiplies, in fp32 too, and its weights are laid out once. torch would leave
    fp32 to MKL, which on AMD is half as fast (`python -m benchmarks parts`).
    """

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype, device: str) -> None:
        weight = torch.cat([layer.weight for layer in layers]).to(device, dtype)
        self.bias = torch.cat([layer.bias for layer in layers]).to(device, dtype)
        self.is_packed = device == "cpu" and has_onednn(dtype)
        self.weight: Tensor = _packed(weight) if self.is_packed else weight

    def __call__(self, states: Tensor) -> Tensor:
        """Multiply states (n, n_in); (n, n_out)."""
        if self.is_packed:
            return _multiply(whole_steps(states), self.weight, self.bias)[: len(states)]
        return functional.linear(states, self.weight, self.bias)


def whole_steps(states: Tensor) -> Tensor:
    """Add rows of zeros to states (n, width) on a CPU until n is a multiple of `ROW_STEP`."""
    n_missing = -len(states) % ROW_STEP
    if states.is_cuda or not n_missing:
        return states
    return functional.pad(states, (0, 0, 0, n_missing))


@cache
def has_onednn(dtype: torch.dtype) -> bool:
    """Tell whether oneDNN's product works here: torch keeps it to itself, so it is tried."""
    states, weight = torch.ones(2, 16, dtype=dtype), torch.ones(4, 16, dtype=dtype)
    try:
        found = _multiply(states, _packed(weight), torch.ones(4, dtype=dtype))
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(found, torch.full_like(found, 17))


def _packed(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight)


def _multiply(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
