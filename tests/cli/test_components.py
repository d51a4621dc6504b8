"""`bertpipe components`: a table for people, JSON for machines."""

import json

import pytest

from bertpipe import __version__


@pytest.fixture(autouse=True)
def _setup(regex_plugin, model_package):
    pass


def test_the_table_has_a_line_for_each_component(call):
    lines = call("components").stdout.splitlines()
    assert lines[0].split() == ["NAME", "FACTORY", "PACKAGE", "MODEL", "COLUMN"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:] if line}
    fields = ["list<struct<start,", "end,", "label,", "score,", "text>>"]
    assert rows["ner"] == ["bert_ner", "bertpipe", __version__, "en_ner_mini", *fields]
    assert rows["regex_numbers"] == ["regex_numbers", "regex-plugin", "1.0", "-", "-"]


def test_json_has_the_folder_and_the_labels_of_a_model(call, tiny_models):
    listed = {each["name"]: each for each in json.loads(call("components", "--json").stdout)}
    assert listed["ner"]["path"].endswith("en_ner_mini")
    assert listed["ner"]["problem"] is None
    assert set(listed["sentiment"]["labels"]) == {"negative", "positive"}
    assert listed["qa"]["labels"] == []


def test_a_model_that_is_not_there_is_marked_with_the_reason(call):
    result = call("components", "--components.ner.model", "nowhere")
    assert result.exit_code == 0
    assert "(no model)" in next(line for line in result.stdout.splitlines() if "bert_ner" in line)
    assert "ner: Model 'nowhere' is neither a folder nor an installed model" in result.stdout


def test_a_broken_plug_in_is_marked_and_not_fatal(call, tmp_path, monkeypatch):
    info = tmp_path / "broken-3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 3.0\n")
    (info / "entry_points.txt").write_text("[spacy_factories]\nbert_broken = nothing_there:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = call("components")
    line = next(line for line in result.stdout.splitlines() if line.startswith("broken"))
    assert line.split() == ["broken", "bert_broken", "broken", "3.0", "-", "(broken)"]
    assert "broken: The factory 'bert_broken' of the package broken 3.0 cannot" in result.stdout
    assert result.exit_code == 0
