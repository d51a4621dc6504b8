"""The factories take the settings of a run's config, with the same defaults."""

import inspect
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
import spacy
from spacy.language import Language
from thinc.api import get_current_ops, prefer_gpu, require_cpu

from bertpipe.annotators.factories import spacy_device
from bertpipe.annotators.plugins import BUILT_IN
from bertpipe.config import EncoderSettings, default_tree
from bertpipe.errors import ConfigError

UPSTREAM = "encoder"  # of pipelines alone
ENCODER = {"device", "precision", "batch_tokens", "max_length", "stride", "truncation"}


def constructor(factory: str) -> dict:
    module, _, name = BUILT_IN[factory].partition(":")
    parameters = inspect.signature(getattr(import_module(module), name)).parameters
    return {
        key: value.default for key, value in parameters.items() if key not in ("name", "encoder")
    }


def defaults(factory: str) -> dict:
    spacy.blank("en")  # which reads the entry points
    return Language.get_factory_meta(factory).default_config or {}


@pytest.mark.parametrize("factory", BUILT_IN)
def test_both_routes_have_the_same_defaults(factory):
    own = {
        name: value for name, value in defaults(factory).items() if name not in ENCODER | {UPSTREAM}
    }
    assert own == constructor(factory)
    encoder = {name: getattr(EncoderSettings(), name) for name in ENCODER}
    assert {name: defaults(factory)[name] for name in ENCODER} == encoder


@pytest.mark.parametrize("name", default_tree()["components"])
def test_the_blocks_of_the_default_config_say_the_defaults(name):
    block = dict(default_tree()["components"][name])
    assert constructor(block.pop("factory")) == block


def test_importing_the_factories_loads_no_model_code():
    code = (
        "import sys, bertpipe.annotators.factories;"
        "print(*{'bertpipe.annotators.base', 'transformers', 'tokenizers'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize(
    ("factory", "settings", "message"),
    [
        (
            "bert_ner",
            {"aggregation": "best"},
            "aggregation 'best' is unknown; use auto, none, simple",
        ),
        ("bert_ner", {"alignment_mode": "x"}, "alignment_mode 'x' is unknown"),
        ("bert_ner", {"truncation": "tail"}, "truncation 'tail' is unknown"),
        ("bert_classifier", {"function": "tanh"}, "function 'tanh' is unknown; use softmax"),
        ("bert_classifier", {"pooling": "last"}, "pooling 'last' is unknown"),
        ("bert_classifier", {"top_k": 0}, "top_k 0 must be at least 1"),
        ("bert_qa", {}, "exactly one of questions .* neither is given"),
        ("bert_qa", {"questions": {}}, "neither is given"),
        ("bert_qa", {"questions": {"a": "A?"}, "question_field": "q"}, "both are given"),
        ("bert_qa", {"questions": {"a": " "}}, "question 'a' is blank"),
        ("bert_qa", {"question_field": "q", "no_answer_threshold": 2.0}, "between 0 and 1"),
        ("bert_qa", {"question_field": "q", "max_answer_length": 0}, "at least 1"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(factory, settings, message):
    with pytest.raises(ConfigError, match=message):
        spacy.blank("en").add_pipe(factory, config=settings)


def test_the_device_is_the_one_that_spacy_was_told_to_use():
    require_cpu()
    assert spacy_device() == "cpu"
    nlp = spacy.blank("en")
    followed: Any = nlp.add_pipe("bert_ner")
    assert followed.encoder.device == "cpu"
    named: Any = nlp.add_pipe("bert_ner", name="other", config={"device": "cuda:1"})
    assert named.encoder.device == "cuda:1"


def test_a_gpu_that_spacy_prefers_is_used():
    if not prefer_gpu():
        pytest.skip("spaCy finds no GPU")
    try:
        assert spacy_device() == f"cuda:{get_current_ops().device_id}"
    finally:
        require_cpu()
