"""The packed encoder computes what the model of transformers computes, without padding."""

import shutil
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from bertpipe.batching.plan import Batch, pack
from bertpipe.batching.tokens import Tokens, find_template, prepare, tokenize
from bertpipe.batching.windows import Items, Windows, cut
from bertpipe.encoder.base import Encoder, SharedRun, to_device
from bertpipe.encoder.hf import hf_encoder
from bertpipe.encoder.packed import packed_encoder
from bertpipe.testing import ARCHITECTURES, TEXTS, tiny_model

PACKED = [name for name in ARCHITECTURES if name != "albert"]


@cache
def batch_of(architecture: str, folder: str) -> Batch:
    """Return windows of the test texts, some of equal length, packed."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    backend = prepare(tokenizer)
    template = find_template(backend, has_types="token_type_ids" in tokenizer.model_input_names)
    tokens: Tokens = tokenize(backend, [*TEXTS, *TEXTS])
    items = Items(np.arange(len(TEXTS) * 2))
    windows: Windows = cut(tokens, items, template, max_length=48, stride=8)
    order = np.argsort(-windows.lengths, kind="stable")
    return pack(order, tokens, windows, template)


@pytest.fixture
def model(request, tmp_path):
    """Return the base model of an architecture and a batch for it."""
    architecture = request.param
    folder = str(tiny_model(tmp_path / architecture, task="ner", architecture=architecture))
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    return model.base_model, batch_of(architecture, folder)


@torch.inference_mode()
def run(encoder: Encoder | None, batch: Batch) -> torch.Tensor:
    assert encoder is not None
    (hidden,) = SharedRun([encoder])(to_device(batch, "cpu"))
    return hidden


@pytest.mark.parametrize("first_token", [False, True])
@pytest.mark.parametrize("model", PACKED, indirect=True)
def test_packed_states_are_those_of_transformers(model, first_token):
    base, batch = model
    how = {"device": "cpu", "precision": "fp32", "first_token": first_token}
    expected = run(hf_encoder(base, **how), batch)
    found = run(packed_encoder(base, **how), batch)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-5


@pytest.mark.parametrize("model", ARCHITECTURES, indirect=True)
def test_padding_changes_nothing(model):
    base, batch = model
    expected = []
    for first, last in zip(batch.offsets, batch.offsets[1:], strict=False):
        inputs = {"input_ids": torch.from_numpy(batch.ids[first:last])[None]}
        if batch.types.any():
            inputs["token_type_ids"] = torch.from_numpy(batch.types[first:last])[None]
        with torch.inference_mode():
            expected.append(base(**inputs).last_hidden_state[0])
    found = run(hf_encoder(base, device="cpu", precision="fp32", first_token=False), batch)
    assert (found - torch.cat(expected)).abs().max() < 2e-5


@pytest.mark.parametrize("model", PACKED, indirect=True)
def test_half_precision_is_near(model):
    base, batch = model
    exact = run(packed_encoder(base, device="cpu", precision="fp32", first_token=False), batch)
    near = run(packed_encoder(base, device="cpu", precision="bf16", first_token=False), batch)
    assert near.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(exact, near).min() > 0.99


@pytest.mark.parametrize("model", ["albert"], indirect=True)
def test_another_architecture_has_no_packed_encoder(model):
    base, _ = model
    assert packed_encoder(base, device="cpu", precision="fp32", first_token=False) is None


def sibling(base):
    """Return a model with other weights in its last layer only."""
    other = transformers.BertModel(base.config, add_pooling_layer=False).eval()
    other.load_state_dict(base.state_dict())
    with torch.no_grad():
        for parameter in other.encoder.layer[-1].parameters():
            parameter += 0.1
    return other


def counted(encoder: Encoder, calls: list[str]) -> Encoder:
    """Return an encoder that writes down the keys of the stages that are run."""

    def watch(stage):
        def run_stage(hidden, inputs):
            calls.append(stage.key)
            return stage.run(hidden, inputs)

        return replace(stage, run=run_stage)

    return replace(encoder, stages=tuple(watch(stage) for stage in encoder.stages))


@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_siblings_compute_their_common_layers_once_and_change_nothing(model):
    base, batch = model
    how: Any = {"device": "cpu", "precision": "fp32"}
    calls: list[str] = []
    encoders = [
        counted(encoder, calls)
        for encoder in (
            packed_encoder(base, first_token=False, **how),
            packed_encoder(sibling(base), first_token=False, **how),
            packed_encoder(base, first_token=True, **how),
            packed_encoder(base, first_token=False, **how),
        )
        if encoder is not None
    ]
    apart = [run(encoder, batch) for encoder in encoders]
    n_layers = base.config.num_hidden_layers
    assert len(calls) == 4 * (1 + n_layers)
    calls.clear()
    shared = SharedRun(encoders)
    with torch.inference_mode():
        together = shared(to_device(batch, "cpu"))
    # Embeddings and lower layers; then the last of base, of its sibling, and for first tokens.
    assert len(calls) == len(set(calls)) == shared.n_stages == n_layers + 3
    for one, other in zip(apart, together, strict=True):
        assert torch.equal(one, other)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("first_token", [False, True])
@pytest.mark.parametrize("model", ["bert"], indirect=True)
def test_compiled_kernels_give_the_same_states_and_are_made_once_for_all_lengths(
    model, first_token
):
    base, batch = model
    how = partial(packed_encoder, base, device="cpu", precision="fp32", first_token=first_token)
    plain, compiled = how(compiled=False), how(compiled=True)
    assert plain is not None
    assert compiled is not None
    assert compiled.stages[-1].key != plain.stages[-1].key
    run(compiled, part_of(batch, 5))
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n_windows in (3, 4, len(batch.offsets) - 1):
            part = part_of(batch, n_windows)
            assert (run(compiled, part) - run(plain, part)).abs().max() < 2e-5


def part_of(batch: Batch, n_windows: int) -> Batch:
    """Return the first windows of a batch."""
    n_tokens = batch.offsets[n_windows]
    return replace(
        batch,
        ids=batch.ids[:n_tokens],
        types=batch.types[:n_tokens],
        positions=batch.positions[:n_tokens],
        offsets=batch.offsets[: n_windows + 1],
    )
