"""Life beside spacy-transformers, which holds transformers at its oldest version for us."""

import subprocess
import sys
from importlib.metadata import version

import pytest

pytest.importorskip(
    "spacy_transformers",
    reason="spacy-transformers needs its own environment: sh scripts/test --all",
    exc_type=ImportError,
)


def test_this_environment_has_the_oldest_transformers():
    assert version("transformers") == "4.53.2"


def test_spacy_finds_their_components_and_ours():
    code = (
        "import spacy; nlp = spacy.blank('en');"
        "print(nlp.has_factory('transformer'), nlp.has_factory('bert_ner'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["True", "True"], result.stderr
