"""`bertpipe status`: what it says of an output."""

import json
import re

import pytest

from bertpipe import __version__


@pytest.fixture(autouse=True)
def _output(call, folder, regex_plugin):
    call("run", "reviews.jsonl", "--components", f"numbers={regex_plugin}", "--run.workers=0")


def test_status_says_what_is_there_and_what_made_it(call):
    said = dict(
        re.findall(r"(?m)^(\S.*?|  \w+)  +(\S.*)$", call("status", "reviews.annotated").stdout)
    )
    assert said["running"] == "no"
    assert re.fullmatch(r"5 in 1 part, \d+\.\d kB", said["rows"])
    assert said["in error"] == "2"
    assert said["  InvalidJSON"].startswith("1  e.g. ")
    assert said["sources"] == "1 complete"
    assert said["components"] == "numbers"
    assert f"bertpipe {__version__}" in said["versions"]
    assert "5 new rows" in said["last run"]


def test_status_is_json_for_machines(call):
    found = json.loads(call("status", "reviews.annotated", "--json").stdout)
    assert found["errors_by_type"] == {"NullText": 1, "InvalidJSON": 1}
    assert found["last_run"]["n_new"] == 5


def test_what_is_no_output_is_wrong_use(call):
    result = call("status", ".")
    assert result.exit_code == 2
    assert "is no output of bertpipe" in result.stderr
