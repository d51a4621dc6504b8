"""Products and attention as a CPU likes them are those of torch's own layers."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from bertpipe.batching.plan import Batch
from bertpipe.encoder import product as products
from bertpipe.encoder.attention import attend
from bertpipe.encoder.base import to_device
from bertpipe.encoder.product import ROW_STEP, Product, has_onednn

LENGTHS = (7, 7, 3, 1)


def packed_batch():
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    zeros = np.zeros(int(offsets[-1]), dtype=np.int64)
    return Batch(np.arange(len(LENGTHS)), zeros, zeros, zeros, offsets, zeros, zeros)


def expected_attention(qkv):
    parts = [each.float().transpose(1, 2) for each in qkv.split(LENGTHS)]  # (length, heads, 3, d)
    found = []
    for part in parts:
        query, key, value = part.permute(2, 1, 0, 3)
        out = functional.scaled_dot_product_attention(query[None], key[None], value[None])
        found.append(out[0].transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("is_plain", [True, False], ids=["plain", "onednn"])
def test_a_product_is_its_linear_layers_side_by_side(dtype, tolerance, is_plain, monkeypatch):
    if is_plain:
        monkeypatch.setattr("bertpipe.encoder.product.has_onednn", lambda dtype: False)
    elif not has_onednn(dtype):
        pytest.skip(f"oneDNN has no product of {dtype} here")
    torch.manual_seed(0)
    layers = [torch.nn.Linear(16, width).requires_grad_(False) for width in (8, 24)]
    states = torch.randn(5, 16)
    product = Product(layers, dtype, "cpu")
    assert product.is_packed is not is_plain
    expected = torch.cat([layer(states) for layer in layers], dim=1)
    assert (product(states.to(dtype)).float() - expected).abs().max() < tolerance


def test_onednn_meets_few_numbers_of_rows_and_each_row_gets_its_product(monkeypatch):
    if not has_onednn(torch.float32):
        pytest.skip("oneDNN has no product of float32 here")
    met, multiply = set(), products._multiply

    def noted(states, weight, bias):
        met.add(len(states))
        return multiply(states, weight, bias)

    monkeypatch.setattr(products, "_multiply", noted)
    layer = torch.nn.Linear(16, 8).requires_grad_(False)
    product = Product([layer], torch.float32, "cpu")
    for n_rows in range(100):
        states = torch.randn(n_rows, 16)
        found = product(states)
        assert found.shape == (n_rows, 8)
        assert n_rows == 0 or (found - layer(states)).abs().max() < 1e-5
    assert met == {0, ROW_STEP, 2 * ROW_STEP, 3 * ROW_STEP, 4 * ROW_STEP}


@pytest.mark.parametrize("scale", [1, 20], ids=["usual scores", "scores beyond exp"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_windows_attend_to_themselves_whatever_the_scores(dtype, tolerance, scale):
    torch.manual_seed(0)
    qkv = torch.randn(sum(LENGTHS), 3, 2, 16)
    qkv[:, :2] *= scale
    qkv = qkv.to(dtype)
    found = attend(qkv, to_device(packed_batch(), "cpu"))
    error = (found.float() - expected_attention(qkv)).abs().max()
    # Scores of hundreds have few digits after the point in bf16.
    assert error < (tolerance if scale == 1 or dtype == torch.float32 else 1)
