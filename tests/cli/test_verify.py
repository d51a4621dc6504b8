"""`bertpipe verify`: what it says and how it exits."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _output(call, folder, regex_plugin):
    call("run", "reviews.jsonl", "--components", f"numbers={regex_plugin}", "--run.workers=0")


def test_a_whole_output_is_counted_and_exits_with_0(call):
    result = call("verify", "reviews.annotated", "reviews.jsonl")
    assert result.exit_code == 0
    assert result.stdout == "reviews.annotated: 5 rows in 1 part of 1 source; 0 findings.\n"


def test_each_finding_is_a_line_and_the_exit_code_is_1(call):
    Path("reviews.jsonl").write_text("")
    result = call("verify", "reviews.annotated")
    assert result.exit_code == 1
    first, last = result.stdout.splitlines()
    assert "reviews.jsonl changed since its rows were written" in first
    assert last.endswith("1 finding.")
