import pytest
import spacy
from my_annotator.annotator import MyAnnotator

import bertpipe
from bertpipe import EncoderSettings
from bertpipe.testing import check_annotator, tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("model") / "bert"
    return str(tiny_model(made, task="classifier", labels=["rating"], max_length=128))


def test_it_keeps_the_contract(folder):
    encoder = EncoderSettings(device="cpu", precision="fp32", stride=8)
    check_annotator(MyAnnotator("rating", model=folder, encoder=encoder))


def test_it_is_installed(folder):
    overrides = {"components.my_annotator.model": folder, "run.precision": "fp32"}
    (row,) = bertpipe.annotate(["Bread."], components=["my_annotator"], overrides=overrides)
    nlp = spacy.blank("en")
    nlp.add_pipe("my_annotator", config={"model": folder, "precision": "fp32"})
    assert nlp("Bread.")._.bertpipe["my_annotator"] == pytest.approx(row["my_annotator"], abs=1e-5)
