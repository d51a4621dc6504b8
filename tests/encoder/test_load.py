"""Models that are refused, and what makes two of them the same."""

import shutil

import pytest
import torch
import torch._inductor.config

from bertpipe.encoder.load import load
from bertpipe.encoder.resolve import weights_digest
from bertpipe.errors import ConfigError, ModelError
from bertpipe.testing import tiny_model


def test_a_classifier_is_no_tagger_though_its_weights_fit(tmp_path):
    folder = tiny_model(tmp_path / "model", task="classifier")
    with pytest.raises(ModelError, match="is a BertForSequenceClassification, wanted is"):
        load(
            folder,
            auto_class="AutoModelForTokenClassification",
            states="tokens",
            device="cpu",
            precision="fp32",
        )


def test_another_tokenizer_setting_is_another_model(tmp_path):
    folder = tiny_model(tmp_path / "model", task="classifier")
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    assert weights_digest(other) == weights_digest(folder)
    settings = other / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace("64", "32"))
    assert weights_digest(other) != weights_digest(folder)


def compiled(folder):
    return load(
        folder,
        auto_class="AutoModelForTokenClassification",
        states="tokens",
        device="cpu",
        precision="fp32",
        compiled=True,
    )


def test_without_a_compiler_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    folder = tiny_model(tmp_path / "model", task="ner")
    nowhere = torch._inductor.config.patch({"cpp.cxx": (None, "/no/compiler")})
    with (
        nowhere,
        pytest.raises(ConfigError, match=r"install a C\+\+ compiler or leave compile out"),
    ):
        compiled(folder)


def test_a_model_that_has_no_packed_encoder_is_not_compiled(tmp_path):
    folder = tiny_model(tmp_path / "model", task="ner", architecture="albert")
    with pytest.raises(ConfigError, match="compile is not for a model of type 'albert'"):
        compiled(folder)
