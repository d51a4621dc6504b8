"""Life beside spacy-transformers, which holds transformers at its oldest version for us."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip(
    "spacy_transformers",
    reason="spacy-transformers needs its own environment: sh scripts/test --all",
    exc_type=ImportError,
)
PAGE = Path(__file__).parents[1] / "docs" / "spacy-transformers.md"


def test_this_environment_has_the_oldest_transformers():
    assert version("transformers") == "4.53.2"


def test_spacy_finds_their_components_and_ours():
    code = (
        "import spacy; nlp = spacy.blank('en');"
        "print(nlp.has_factory('transformer'), nlp.has_factory('bert_ner'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["True", "True"], result.stderr


def test_a_reader_of_the_page_trains_a_tagger_beside_our_entities(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w+\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    _install, trainer, tags, train, code, printed, corpus, run, again, columns = blocks
    for name, content in (("train_tagger.py", trainer), ("tags.txt", tags), ("news.jsonl", corpus)):
        (tmp_path / name).write_text(content, encoding="utf-8")

    def call(*command: str) -> str:
        arguments = [sys.executable, *command]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    call(*shlex.split(train)[1:])
    assert call("-c", code) == printed
    call("-m", *shlex.split(run))
    assert call("-c", again) == columns
