"""Models that are refused, and what makes two of them the same."""

import shutil

import pytest

from bertpipe.encoder.load import load
from bertpipe.encoder.resolve import weights_digest
from bertpipe.errors import ModelError
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
