"""`bertpipe bench` and `run --profile`: what they measure, and the line to use."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from bertpipe.bench import without_scores
from bertpipe.cli.options import PRECISIONS
from bertpipe.cli.profile import profile_lines
from bertpipe.report import Report

PAGE = (Path(__file__).parents[2] / "docs/speed.md").read_text(encoding="utf-8")


@pytest.fixture
def corpus(folder):
    lines = [json.dumps({"body": f"Anna met {n} people in Bad Ems."}) for n in range(12)]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    return "corpus.jsonl"


def test_the_printed_line_runs_with_the_fastest_setting(call, corpus, model_package):
    options = ("--components", "ner", "--text-field", "body", "--device", "cpu")
    result = call("bench", corpus, *options, "--limit", "5", "--run.workers=0")
    assert result.exit_code == 0, result.stderr
    tried = "--run.compile true" in result.stderr
    assert tried is (shutil.which("g++") is not None)
    head, *rows, line = result.stdout.splitlines()
    assert head.split()[:3] == ["precision", "batch_tokens", "workers"]
    assert rows[0].split()[0] in PRECISIONS
    assert "100.0%" in next(row for row in rows if row.startswith("fp32"))
    words = shlex.split(line)
    assert words[:3] == ["bertpipe", "run", corpus]
    assert words[words.index("--text-field") + 1] == "body"
    run = call(*words[1:], "--dry-run")
    assert run.exit_code == 0, run.stderr


def test_a_profile_adds_up_and_stands_in_the_report(call, corpus, model_package):
    options = ("--components", "ner", "--text-field", "body", "--workers", "0")
    result = call("run", corpus, *options, "--profile", "--json")
    report = json.loads(result.stdout)
    assert set(report["stages"]) >= {"tokenize", "forward", "decode", "write", "wait"}
    assert sum(report["stages"].values()) == pytest.approx(report["seconds"], rel=0.05, abs=0.01)
    assert 0 <= report["device_idle"] <= 1
    assert "forward" in result.stderr
    assert "device idle" in result.stderr


def test_a_profile_of_nothing_is_empty(tmp_path):
    assert list(profile_lines(Report(tmp_path))) == []


def test_scores_do_not_count_when_annotations_are_compared():
    one = {"label": "a", "score": 0.5, "scores": [{"label": "b", "score": 0.1}], "at": [1, 0.25]}
    assert without_scores(one) == {"label": "a", "score": None, "at": [1, None]}


def test_the_commands_of_the_page_have_the_options_that_it_gives_them(call):
    lines = [line for line in PAGE.splitlines() if line.startswith("bertpipe ")]
    assert {line.split()[1] for line in lines} == {"run", "bench", "evaluate"}
    for line in lines:
        _, command, *words = line.split()
        shown = call(command, "--help").stdout
        assert all(word in shown for word in words if word.startswith("--"))


def test_the_page_names_every_stage_and_precision(tmp_path):
    rows = {line.split("|")[1].strip(" `") for line in PAGE.splitlines() if line.startswith("| ")}
    assert rows >= {*Report(tmp_path).stages, *PRECISIONS}
