"""How many rows in error a run bears, and how it ends when there are more."""

import json

import pyarrow.dataset as ds
import pytest

from bertpipe import api
from bertpipe.errors import ConfigError, LimitError
from bertpipe.tolerance import Tolerance, commonest, tolerance


@pytest.fixture
def corpus(tmp_path, regex_plugin):
    """4,000 documents of 700 characters; every fifth has no text, number 7 fails."""
    file = tmp_path / "corpus.jsonl"
    texts = ["POISON" if i == 7 else None if i % 5 == 0 else f"{i} " * 140 for i in range(4_000)]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return file


def run(corpus, **settings):
    output = corpus.parent / "out"
    components = ["numbers=regex_numbers"]
    return api.run(corpus, output=output, components=components, workers=0, **settings)


def n_rows(corpus):
    return ds.dataset(corpus.parent / "out", format="parquet").count_rows()


def test_with_record_any_number_of_rows_may_be_in_error(corpus):
    assert run(corpus).n_errors == 801


@pytest.mark.parametrize("limit", [{"on_error": "fail"}, {"max_errors": 2}, {"max_errors": "1%"}])
def test_a_run_that_goes_wrong_early_ends_early_and_keeps_what_is_whole(corpus, limit):
    with pytest.raises(LimitError, match=r"NullText .*, 1 ValueError") as caught:
        run(corpus, **limit)
    assert caught.value.exit_code == 1
    assert "corpus.jsonl, line 1: the field 'text' is null" in str(caught.value)
    assert "corpus.jsonl, row 7: numbers: the text is poison" in str(caught.value)
    assert 0 < n_rows(corpus) < 4_000
    report = json.loads((corpus.parent / "out/_bertpipe/report.json").read_text())
    assert report["n_rows"] == n_rows(corpus)


def test_without_a_limit_the_next_run_goes_on_where_the_limit_ended_it(corpus):
    with pytest.raises(LimitError):
        run(corpus, max_errors=2)
    report = run(corpus)
    assert report.n_rows == n_rows(corpus) == 4_000
    assert report.n_new < 4_000


def test_rows_of_earlier_runs_count(corpus):
    run(corpus, limit=1_000)
    before = n_rows(corpus)
    with pytest.raises(LimitError, match=r"200 NullText \(.*line 1: .*\), 1 ValueError \("):
        run(corpus, max_errors=200)
    assert n_rows(corpus) == before == 1_000


def test_a_share_of_few_rows_is_judged_at_the_end(corpus):
    with pytest.raises(LimitError, match=r"3 of 10 rows .* limit of 29%"):
        run(corpus, limit=10, max_errors="29%")
    assert run(corpus, limit=10, max_errors="30%").n_errors == 3


@pytest.mark.parametrize("text", ["-1", "101%", "some", "1.5", "%", ""])
def test_what_is_no_number_of_errors_is_refused(text):
    with pytest.raises(ConfigError, match="neither a number nor a percentage"):
        Tolerance.parse(text)


def test_fail_and_a_limit_contradict_each_other():
    with pytest.raises(ConfigError, match="give one of the two"):
        tolerance("fail", "3")
    with pytest.raises(ConfigError, match="use record or fail"):
        tolerance("ignore", None)


def test_the_commonest_types_come_first_and_the_others_are_counted():
    told = commonest({"A": 1, "B": 1_200, "C": 7, "D": 2, "E": 1}, {"B": "one\n line"})
    assert told == "1,200 B (one line), 7 C, 2 D and 2 more types"
