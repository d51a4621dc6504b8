"""The parts whose speed decides how the CPU path is built, each against what it was chosen over."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch.nn import functional

from bertpipe.encoder.attention import _attend_equal
from bertpipe.encoder.packed import activation, norm_of_sum
from bertpipe.encoder.product import Product

N_TOKENS, WIDTH, N_HEADS = 1536, 384, 12
LENGTHS = (512, 192, 64)


def run(repeats: int) -> list[str]:
    """Return lines: the part, milliseconds as bertpipe does it and as torch does by itself."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        return [*_products(repeats), *_attention(repeats), *_pointwise(repeats), _memory()]


def _products(repeats: int) -> Iterator[str]:
    for dtype in (torch.float32, torch.bfloat16):
        for n_in, n_out in ((WIDTH, 3 * WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)):
            layer = torch.nn.Linear(n_in, n_out)
            product, plain = Product([layer], dtype, "cpu"), layer.to(dtype)
            states = torch.randn(N_TOKENS, n_in).to(dtype)
            name = f"product {N_TOKENS} x {n_in} x {n_out}, {_name(dtype)}"
            yield _line(name, repeats, partial(product, states), partial(plain, states))


def _attention(repeats: int) -> Iterator[str]:
    for length in LENGTHS:
        shape = (N_TOKENS // length, N_HEADS, length, WIDTH // N_HEADS)
        query, key, value = (torch.randn(shape).bfloat16() for _ in range(3))

        fused = partial(functional.scaled_dot_product_attention, query, key, value)
        ours = partial(_attend_equal, query, key, value)
        yield _line(f"attention of windows of {length}, bf16", repeats, ours, fused)


def _pointwise(repeats: int) -> Iterator[str]:
    """Measure what `run.compile` would change: here the compiled kernel is the other way."""
    norm = torch.nn.LayerNorm(WIDTH)
    for dtype in (torch.float32, torch.bfloat16):
        residual, change = torch.randn(N_TOKENS, WIDTH), torch.randn(N_TOKENS, WIDTH).to(dtype)
        inner = torch.randn(N_TOKENS, 4 * WIDTH).to(dtype)
        arguments = (residual, change, norm.weight, norm.bias, norm.eps)
        plain, compiled = (partial(norm_of_sum(compiled=c), *arguments) for c in (False, True))
        yield _line(f"norm of a sum, {_name(dtype)}, compiled", repeats, plain, compiled)
        plain, compiled = (partial(activation("gelu", compiled=c), inner) for c in (False, True))
        yield _line(f"activation, {_name(dtype)}, compiled", repeats, plain, compiled)


def _name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]


def _line(name: str, repeats: int, ours: Callable[[], object], plain: Callable[[], object]) -> str:
    first, second = _milliseconds(ours, repeats), _milliseconds(plain, repeats)
    return f"| {name} | {first:.2f} ms | {second:.2f} ms | {second / first:.2f} |"


def _milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Return the least CPU time of some calls: what another process does is left out."""
    call()
    found = []
    for _ in range(3 * repeats):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found) * 1000


WORKER = """
import json, resource
from bertpipe import api
found = api.annotate(["Ada Lovelace loved London. " * 150] * 40, components=["ner", "sentiment"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def _memory() -> str:
    """Measure what pool.WORKER_BYTES reserves for a worker."""
    found = subprocess.run(
        [sys.executable, "-c", WORKER], capture_output=True, text=True, check=True
    ).stdout
    return f"| peak memory of a process with ner and sentiment | {int(found) / 1e6:.0f} MB | | |"
