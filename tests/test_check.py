"""The check before a run: it counts what a run would count, without weights."""

import json

import pytest

from bertpipe.check import check
from bertpipe.config import load_config
from bertpipe.errors import ConfigError, CorpusError
from bertpipe.testing import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model whose weights cannot be read."""
    folder = tiny_model(tmp_path_factory.mktemp("models") / "ner", task="ner", max_length=32)
    (folder / "model.safetensors").write_bytes(b"no weights")
    return folder


def config(model, **overrides):
    return load_config(
        components=["ner"],
        overrides={"components.ner.model": str(model), "run.stride": 8, **overrides},
    )


def write(folder, name, texts):
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"text": text}) for text in texts]
    (folder / name).write_text("\n".join(lines) + "\n")
    return str(folder)


def test_a_small_corpus_is_read_whole(tmp_path, model):
    corpus = write(tmp_path / "corpus", "a.jsonl", ["a", None, "a " * 100, ""])
    found = check([corpus], config=config(model))
    assert (found.n_files, found.n_documents, found.n_chars) == (1, 4, 201)
    assert found.is_whole
    assert found.errors == {"NullText": 1}
    (ner,) = found.components
    assert (ner.n_tokens, ner.max_length, ner.n_long) == (101, 32, 1)
    # A window has room for 30 tokens, of which 8 overlap: 30, 52, 74, 96, 118.
    assert ner.n_windows == 1 + 5


def test_a_sample_is_taken_from_the_beginning_of_each_file(tmp_path, model):
    for name in "abc":
        corpus = write(tmp_path / "corpus", f"{name}.jsonl", ["x"] * 50)
    found = check([corpus], config=config(model), n_documents=30)
    assert (found.n_documents, found.is_whole, found.n_files) == (30, False, 3)


def test_of_many_files_some_are_looked_at(tmp_path, model):
    for i in range(25):
        corpus = write(tmp_path / "corpus", f"{i}.jsonl", ["x"])
    found = check([corpus], config=config(model), n_documents=5)
    assert (found.n_documents, found.is_whole) == (5, False)


def test_the_columns_are_those_of_the_output(tmp_path, model):
    corpus = write(tmp_path / "corpus", "a.jsonl", ["a"])
    columns = check([corpus], config=config(model)).columns
    assert list(columns)[:3] == ["_source", "text", "ner"]
    assert list(columns)[-1] == "_error"


def test_a_corpus_of_errors_alone_has_no_tokens(tmp_path, model):
    corpus = write(tmp_path / "corpus", "a.jsonl", [None, None])
    found = check([corpus], config=config(model))
    assert found.errors == {"NullText": 2}
    assert found.components[0].n_windows == 0


def test_questions_are_counted_for_each_text(tmp_path, model):
    corpus = write(tmp_path / "corpus", "a.jsonl", ["a a", "a"])
    questions = load_config(
        components=["qa"],
        overrides={
            "components.qa.model": str(model),
            "components.qa.questions": {"one": "a", "two": "a a"},
            "run.stride": 8,
        },
    )
    (qa,) = check([corpus], config=questions).components
    assert (qa.n_windows, qa.n_tokens) == (4, 6)


def test_a_long_text_is_one_long_document_however_many_questions_are_asked(tmp_path, model):
    corpus = write(tmp_path / "corpus", "a.jsonl", ["a " * 60, "a", "a " * 70])
    questions = load_config(
        components=["qa"],
        overrides={
            "components.qa.model": str(model),
            "components.qa.questions": {"one": "a", "two": "a a", "three": "b"},
            "run.stride": 8,
        },
    )
    (qa,) = check([corpus], config=questions).components
    assert qa.n_long == 2
    assert qa.n_windows is not None
    assert qa.n_windows > 3 * 3


def test_a_component_without_an_encoder_has_no_tokens(tmp_path, regex_plugin):
    corpus = write(tmp_path / "corpus", "a.jsonl", ["a"])
    (numbers,) = check([corpus], config=load_config(components=[regex_plugin])).components
    assert numbers.n_tokens is None


def test_what_would_end_a_run_ends_the_check(tmp_path, model):
    corpus = write(tmp_path / "corpus", "a.jsonl", ["a"])
    with pytest.raises(ConfigError, match=r"max_length 99 is more than the 32 tokens"):
        check([corpus], config=config(model, **{"run.max_length": 99}))
    with pytest.raises(CorpusError, match="No record has the field 'body'"):
        check([corpus], config=config(model, **{"run.text_field": "body"}))
