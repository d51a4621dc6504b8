"""What a dry run says is what the run then does; and it leaves no trace."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bertpipe import worker
from bertpipe.cli import main
from bertpipe.config import load_config
from bertpipe.engine import run
from bertpipe.errors import ConfigError, OutputError
from bertpipe.plan import plan

COMPONENTS = ["numbers=regex_numbers"]


@pytest.fixture
def what(tmp_path, regex_plugin):
    """The arguments of a run and of its plan: two files of 40 lines."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("a", "b"):
        (corpus / f"{name}.jsonl").write_text(lines(40))
    overrides = {"run.workers": 0, "run.commit_every": 0}
    config = load_config(components=COMPONENTS, overrides=overrides)
    return {"paths": [str(corpus)], "config": config, "output": tmp_path / "out"}


def lines(n):
    return "".join(json.dumps({"text": f"{i} " + "x" * 900}) + "\n" for i in range(n))


def do(what, **options):
    arguments = {**what, **options}
    return run(arguments.pop("paths"), **arguments)


def folder(what):
    return Path(what["paths"][0])


def state(what):
    out = what["output"]
    return {path: path.stat().st_mtime_ns for path in out.rglob("*")} if out.exists() else None


def test_before_the_first_run_everything_is_new_and_nothing_is_made(what, monkeypatch):
    monkeypatch.setattr(worker, "create_all", None)  # a model that is loaded would fail
    found = plan(**what)
    assert (found.n_rows, found.n_documents, len(found.new)) == (0, 80, 2)
    assert found.n_chunks > 2
    assert state(what) is None


def test_it_tells_what_the_run_then_does(what):
    do(what, limit=50)
    (folder(what) / "c.jsonl").write_text(lines(7))
    with (folder(what) / "a.jsonl").open("a") as file:
        file.write(lines(3) + "{ not finished")
    before = state(what)
    found = plan(**what)
    assert state(what) == before
    assert [Path(name).name for name in found.new] == ["c.jsonl"]
    named = {kind: [Path(name).name for name in names] for kind, names in found.sources.items()}
    assert named == {
        "grown": ["a.jsonl"],
        "changed": [],
        "ignored": [],
        "gone": [],
        "unfinished": ["a.jsonl"],
    }
    report = do(what)
    assert found.n_documents == report.n_new == 40
    assert plan(**what).n_documents == 0


def test_a_change_is_named_and_what_would_be_replaced_is_counted(what):
    do(what)
    (folder(what) / "b.jsonl").write_text(lines(60)[::-1])
    found = plan(**what)
    assert (found.is_refused, found.n_documents, found.n_replaced) == (True, 0, 0)
    assert found.sources["changed"] == [str(folder(what) / "b.jsonl")]
    found = plan(**what, changed="recompute")
    assert (found.is_refused, found.n_recomputed) == (False, 40)
    assert 0 < found.n_replaced < len(list(what["output"].glob("*.parquet")))
    assert not plan(**what, changed="ignore").is_refused


def test_other_settings_are_refused_without_a_model(what, monkeypatch):
    do(what)
    monkeypatch.setattr(worker, "create_all", None)
    assert plan(**what).n_documents == 0
    overrides = {"run.workers": 0, "run.commit_every": 0, "run.lines": True}
    other = load_config(components=COMPONENTS, overrides=overrides)
    with pytest.raises(OutputError, match="lines was false, now true"):
        plan(**{**what, "config": other})
    assert plan(**{**what, "config": other}, overwrite=True).n_documents == 80


def test_standard_input_cannot_be_looked_at(what):
    with pytest.raises(ConfigError, match="standard input"):
        plan(**{**what, "paths": ["-"]})


def test_the_command_prints_it(what):
    out = what["output"]
    arguments = ["run", *what["paths"], "-o", str(out), "--components", *COMPONENTS, "--dry-run"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    told = [line.split("  ")[0] for line in result.output.splitlines()]
    assert told == ["output", "to compute", "new"]
    assert "80 documents in" in result.output
    as_json = CliRunner().invoke(main, [*arguments, "--json"])
    assert json.loads(as_json.output)["n_documents"] == 80
