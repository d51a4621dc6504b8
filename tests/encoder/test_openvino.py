"""OpenVINO computes what the packed encoder computes; its graph is made once and kept."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from bertpipe.batching.plan import pack
from bertpipe.batching.tokens import tokenize
from bertpipe.batching.windows import Items, cut
from bertpipe.encoder.base import SharedRun, to_device
from bertpipe.encoder.device import precisions_of, resolve_precision
from bertpipe.encoder.load import load
from bertpipe.errors import ConfigError
from bertpipe.testing import TEXTS, tiny_model

needs_openvino = pytest.mark.skipif(
    not (find_spec("openvino") and find_spec("nncf")),
    reason="needs the extra openvino; sh scripts/test --all brings it",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/bertpipe/openvino"


@torch.inference_mode()
def states_of(folder, precision, states="tokens"):
    classes = {
        "tokens": "AutoModelForTokenClassification",
        "first": "AutoModel",
        "mean": "AutoModel",
    }
    loaded = load(
        folder, auto_class=classes[states], states=states, device="cpu", precision=precision
    )
    tokens = tokenize(loaded.tokenizer, TEXTS)
    items = Items(np.arange(len(TEXTS)))
    windows = cut(tokens, items, loaded.template, max_length=48, stride=8)
    batch = pack(np.argsort(-windows.lengths), tokens, windows, loaded.template)
    (hidden,) = SharedRun([loaded.encoder])(to_device(batch, "cpu"))
    return hidden


def nearness(one, other):
    assert one.shape == other.shape
    return torch.nn.functional.cosine_similarity(one, other).min().item()


@needs_openvino
@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta", "electra"])
def test_its_states_are_those_of_the_packed_encoder(architecture, tmp_path):
    folder = tiny_model(tmp_path / "model", task="ner", architecture=architecture)
    expected, found = (states_of(folder, name) for name in ("fp32", "bf16-openvino"))
    assert nearness(expected, found) > 0.99


@needs_openvino
@pytest.mark.parametrize("states", ["first", "mean"])
def test_one_state_a_window_is_that_of_the_packed_encoder(states, tmp_path):
    folder = tiny_model(tmp_path / "model", task="encoder")
    expected, found = (states_of(folder, name, states) for name in ("fp32", "bf16-openvino"))
    assert nearness(expected, found) > 0.99


@needs_openvino
def test_an_int8_graph_is_made_once_for_weights_and_no_other(tmp_path, cache):
    folder = tiny_model(tmp_path / "model", task="ner")
    expected, found = (states_of(folder, name) for name in ("fp32", "int8"))
    assert nearness(expected, found) > 0.9
    (graph,) = cache.glob("*/encoder.xml")
    made = graph.stat().st_mtime_ns
    states_of(folder, "int8")
    assert graph.stat().st_mtime_ns == made
    states_of(tiny_model(tmp_path / "other", task="ner", seed=1), "int8")
    assert len(list(cache.glob("*/encoder.xml"))) == 2


@needs_openvino
def test_a_model_that_has_no_packed_encoder_is_refused(tmp_path):
    folder = tiny_model(tmp_path / "model", task="ner", architecture="albert")
    with pytest.raises(ConfigError, match="precision int8 is not for a model of type 'albert'"):
        states_of(folder, "int8")


def test_without_the_extra_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("bertpipe.encoder.device.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'bertpipe\[openvino\]'"):
        resolve_precision("int8", "cpu")
    assert "int8" not in precisions_of("cpu")


@pytest.mark.parametrize(("precision", "device"), [("int8", "cuda:0"), ("fp16", "cpu")])
def test_a_precision_of_another_device_is_refused(precision, device):
    with pytest.raises(ConfigError, match=f"precision {precision} is for"):
        resolve_precision(precision, device)
