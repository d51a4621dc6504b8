"""`bertpipe run`: outputs, exit codes, what it says."""

import json
import re
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from bertpipe.cli.run import default_output, is_allowed
from bertpipe.report import Report

NUMBERS = ("--components", "numbers=regex_numbers", "--run.workers=0")


@pytest.fixture(autouse=True)
def _plugin(regex_plugin):
    pass


@pytest.mark.parametrize(
    ("argument", "output"),
    [
        ("reviews.jsonl", "reviews.annotated"),
        ("a/b/reviews.jsonl.gz", "reviews.annotated"),
        ("reviews.v2.csv", "reviews.v2.annotated"),
        ("reviews.data", "reviews.data.annotated"),
        ("corpus/", "corpus.annotated"),
        ("corpus.txt", "corpus.txt.annotated"),
        ("corpus.txt/..", "folder.annotated"),
        ("texts/*.txt", "corpus.annotated"),
        ("-", "stdin.annotated"),
        (".hidden", ".hidden.annotated"),
        ("/", "corpus.annotated"),
    ],
)
def test_the_output_is_named_after_the_first_argument(
    argument: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "folder"
    (folder / "corpus").mkdir(parents=True)
    (folder / "corpus.txt").mkdir()
    monkeypatch.chdir(folder)
    assert default_output(argument) == output


def test_a_run_writes_only_to_standard_error(call, folder):
    result = call("run", "reviews.jsonl", *NUMBERS)
    assert result.stdout == ""
    assert ds.dataset("reviews.annotated").count_rows() == 5


def test_a_run_ends_with_a_table_and_a_query(call, folder):
    result = call("run", "reviews.jsonl", *NUMBERS, "--relative-to", ".")
    said = re.sub(r"(?m)^speed.*$", "speed ...", result.stderr)
    assert said == (
        "reviews.annotated holds 5 rows.\n"
        "speed ...\n"
        "numbers        NUMBER 5\n"
        "errors         2\n"
        "  InvalidJSON  1  e.g. reviews.jsonl, line 4: not readable as JSON (Expecting property "
        "name enclosed in double quotes: lin…\n"
        "  NullText     1  e.g. reviews.jsonl, line 2: the field 'text' is null; "
        "give it a string.\n"
        "Query it: SELECT numbers FROM 'reviews.annotated/*.parquet' (DuckDB) "
        "or pandas.read_parquet('reviews.annotated')\n"
    )
    assert result.exit_code == 3


def test_rows_in_error_stand_although_nothing_is_left_to_do(call, folder):
    call("run", "reviews.jsonl", *NUMBERS)
    again = call("run", "reviews.jsonl", *NUMBERS)
    assert again.exit_code == 3
    assert again.stderr.startswith("Nothing to do: reviews.annotated holds all 5 rows.\nerrors  ")


@pytest.mark.parametrize(
    ("allowed", "code"), [("1", 3), ("2", 0), ("39%", 3), ("40%", 0), ("100%", 0), ("0", 3)]
)
def test_allowed_errors_give_exit_code_0(call, folder, allowed: str, code: int):
    result = call("run", "reviews.jsonl", *NUMBERS, "--allow-errors", allowed, "--quiet")
    assert (result.exit_code, result.output) == (code, "")


@pytest.mark.parametrize("allowed", ["-1", "101%", "some", "1.5", "%"])
def test_what_is_no_number_of_errors_is_wrong_use(call, folder, allowed: str):
    result = call("run", "reviews.jsonl", *NUMBERS, f"--allow-errors={allowed}")
    assert result.exit_code == 2
    assert "is neither a number nor a percentage such as 1%." in result.stderr


def test_no_rows_are_within_any_limit():
    assert is_allowed(Report(Path("out")), (0.0, True))


def test_the_report_is_json_on_standard_output(call, folder):
    result = call("run", "reviews.jsonl", *NUMBERS, "--json", "--quiet", "-o", "out")
    report = json.loads(result.stdout)
    assert (report["output"], report["n_rows"], report["n_errors"]) == ("out", 5, 2)
    assert report["labels"] == {"numbers": {"NUMBER": 5}}
    assert result.stderr == ""


def test_limit_ends_a_run_early(call, folder):
    result = call("run", "reviews.jsonl", *NUMBERS, "--limit", "1")
    assert result.exit_code == 0
    assert ds.dataset("reviews.annotated").count_rows() == 1


def test_the_options_of_reading_reach_the_corpus(call, folder):
    (folder / "lines.txt").write_text("1 and 2\nnone\n3\n")
    result = call("run", "lines.txt", *NUMBERS, "--lines")
    assert result.exit_code == 0
    assert ds.dataset("lines.annotated").count_rows() == 3


def test_standard_input_is_a_corpus(call, folder):
    result = call("run", "-", *NUMBERS, stdin='{"text": "8"}\n')
    assert result.exit_code == 0
    assert ds.dataset("stdin.annotated").to_table()["numbers"][0][0]["text"].as_py() == "8"


def test_an_override_changes_a_component(call, folder):
    call("run", "reviews.jsonl", *NUMBERS, "--components.numbers.pattern", "n.ne")
    column = ds.dataset("reviews.annotated").to_table()["numbers"].to_pylist()
    assert [span["text"] for spans in column for span in spans or ()] == ["none"]


def test_other_settings_on_the_same_output_are_refused(call, folder):
    call("run", "reviews.jsonl", *NUMBERS)
    changed = ("run", "reviews.jsonl", *NUMBERS, "--components.numbers.pattern=x")
    result = call(*changed)
    assert result.exit_code == 2
    assert "pattern" in result.stderr
    assert call(*changed, "--overwrite").exit_code == 3


@pytest.mark.usefixtures("folder")
def test_an_unknown_component_comes_with_the_near_ones(call):
    result = call("run", "reviews.jsonl", "--components", "number", "--run.workers=0")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: bertpipe has no component or factory 'number'; did you mean ner or regex_numbers?\n"
    )


def test_a_retry_computes_the_rows_in_error_again(call, folder):
    call("run", "reviews.jsonl", *NUMBERS)
    again = call("run", "reviews.jsonl", *NUMBERS, "--retry-errors")
    assert again.stderr.startswith("reviews.annotated holds 5 rows; 2 in error computed again.\n")
    assert again.exit_code == 3


def test_too_many_errors_end_the_run_with_exit_code_1(call, folder):
    result = call("run", "reviews.jsonl", *NUMBERS, "--max-errors", "1", "--quiet")
    assert result.exit_code == 1
    assert (
        "2 of 5 rows of reviews.annotated are in error, more than the limit of 1" in result.stderr
    )
    assert call("run", "reviews.jsonl", *NUMBERS, "--on-error", "fail").exit_code == 1
