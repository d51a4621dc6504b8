"""Rows in error are computed again; all others stay as they are."""

import json

import pyarrow.dataset as ds
import pytest

from bertpipe import api
from bertpipe.errors import ConfigError


@pytest.fixture
def corpus(tmp_path, regex_plugin):
    """600 documents in two files; 40 fail for a while, 2 always, 2 have no text."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a", "b"):
        texts: list[str | None] = [
            f"FLAKY {i}" if i % 15 == 3 else f"{i} " + "x" * 900 for i in range(300)
        ]
        texts[5], texts[299] = "POISON", None
        lines = (json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    return folder


def run(corpus, name="out", **settings):
    components = ["numbers=regex_numbers"]
    settings = {"workers": 0, "commit_every": 0, **settings}
    return api.run(corpus, output=corpus.parent / name, components=components, **settings)


def rows(corpus, name="out"):
    table = ds.dataset(corpus.parent / name, format="parquet").to_table()
    key = [("_source.path", "ascending"), ("_source.row", "ascending")]
    flat = table.append_column("_source.path", table.column("_source").combine_chunks().field(0))
    flat = flat.append_column("_source.row", table.column("_source").combine_chunks().field(1))
    return flat.sort_by(key).to_pylist()


@pytest.fixture
def failed(corpus, monkeypatch):
    """An output with 44 rows in error, of which 40 need not be."""
    monkeypatch.setenv("FLAKY", "1")
    report = run(corpus)
    assert report.errors_by_type == {"OSError": 40, "ValueError": 2, "NullText": 2}
    monkeypatch.delenv("FLAKY")
    return {path.name for path in (corpus.parent / "out").glob("*.parquet")}


@pytest.mark.parametrize("workers", [0, 2])
def test_after_a_retry_the_output_is_as_if_nothing_had_failed(
    corpus, failed, workers, assert_whole
):
    report = run(corpus, retry_errors=True, workers=workers)
    assert (report.n_retried, report.n_new, report.n_rows) == (44, 0, 600)
    assert report.errors_by_type == {"ValueError": 2, "NullText": 2}
    run(corpus, "undisturbed")
    assert rows(corpus) == rows(corpus, "undisturbed")
    assert {path.name for path in (corpus.parent / "out").glob("*.parquet")} == failed
    assert_whole(corpus.parent / "out", corpus)


def test_without_a_retry_rows_in_error_stay(corpus, failed, assert_whole):
    assert (run(corpus).n_retried, run(corpus).n_errors) == (0, 44)
    assert_whole(corpus.parent / "out", corpus)


def test_a_retry_computes_what_is_missing_too(corpus, failed, assert_whole):
    (corpus / "c.jsonl").write_text('{"text": "7"}\n')
    report = run(corpus, retry_errors=True)
    assert (report.n_retried, report.n_new, report.n_rows) == (44, 1, 601)
    assert_whole(corpus.parent / "out", corpus)


def test_a_source_that_is_gone_keeps_its_rows_in_error(corpus, failed, assert_whole):
    (corpus / "a.jsonl").unlink()
    report = run(corpus, retry_errors=True)
    assert (report.n_retried, report.n_errors, report.n_rows) == (22, 24, 600)
    assert_whole(corpus.parent / "out", corpus)


def test_retry_and_overwrite_exclude_each_other(corpus):
    with pytest.raises(ConfigError, match="give one of them"):
        run(corpus, retry_errors=True, overwrite=True)
