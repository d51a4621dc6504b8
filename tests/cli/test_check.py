"""`bertpipe check`: what it says before a run."""

import json

import pytest


@pytest.fixture(autouse=True)
def _setup(folder, regex_plugin, model_package):
    pass


def test_the_sample_is_told_in_words(call):
    result = call("check", "reviews.jsonl", "--components", "numbers=regex_numbers")
    lines = result.stdout.splitlines()
    assert lines[0] == "corpus    1 file, 128 bytes"
    assert lines[1] == "sample    5 documents (all of it), 20 characters"
    assert lines[2] == "in error  2"
    assert lines[3].startswith("  InvalidJSON 1  e.g. ")
    assert lines[6].split() == [
        "COMPONENT", "MODEL", "WINDOW", "TOKENS", "WINDOWS", "PER", "DOCUMENT", "LONG",
    ]  # fmt: skip
    assert lines[7].split() == ["numbers", *"------"]
    assert "  numbers     list<struct<start, end, label, score, text>>" in lines
    assert result.exit_code == 0


def test_nothing_is_written(call, folder):
    before = sorted(folder.iterdir())
    call("check", "reviews.jsonl", "--components", "ner")
    assert sorted(folder.iterdir()) == before


def test_json_has_the_counts(call):
    result = call("check", "reviews.jsonl", "--components", "ner,sentiment", "--json")
    found = json.loads(result.stdout)
    assert found["n_documents"] == 5
    assert [each["n_windows"] for each in found["components"]] == [3, 3]


def test_a_sample_can_be_smaller(call):
    result = call("check", "reviews.jsonl", "--components", "ner", "--sample", "1")
    assert "sample    1 document (the beginnings of the files), 6 characters" in result.stdout
