"""The ready recipes: a labelled file becomes a model by one command."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bertpipe.cli import main
from bertpipe.cli.train import HELP
from bertpipe.errors import ConfigError
from bertpipe.testing import tiny_model
from bertpipe.training.settings import READY, find_recipe, read_settings

NAMES = sorted(path.stem for path in READY.glob("*.cfg"))
FILES = {"classes": "x.csv", "labels": "x.csv", "entities": "x.jsonl", "answers": "x.json"}


def content(name: str) -> str:
    """Return 40 records of which each is another."""
    texts = [f"Anna {i} saw Paris." for i in range(40)]
    if name in ("classes", "labels"):
        labels = [("good", "bad")[i % 2] for i in range(40)]
        return "text,label\n" + "".join(f"{t},{la}\n" for t, la in zip(texts, labels, strict=True))
    if name == "entities":
        rows = [
            {"text": t, "spans": [[0, 4, "PER"], [len(t) - 6, len(t) - 1, "LOC"]]} for t in texts
        ]
        return "".join(json.dumps(row) + "\n" for row in rows)
    articles = []
    for i, text in enumerate(texts):
        answers = [{"text": "Paris", "answer_start": text.index("Paris")}]
        qas = [{"id": str(i), "question": "What did Anna see?", "answers": answers}]
        articles.append({"title": str(i), "paragraphs": [{"context": text, "qas": qas}]})
    return json.dumps({"data": articles})


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", NAMES)
def test_a_ready_recipe_trains_on_a_file_and_needs_no_other(name, tmp_path):
    base = tiny_model(tmp_path / "base", task="classifier", max_length=64)
    path = tmp_path / FILES[name]
    path.write_text(content(name))
    pairs = {"paths.base": base, "paths.train": path, "paths.output": tmp_path / "out"}
    pairs |= {f"tasks.{name}.max_length": 32, f"tasks.{name}.stride": 0, "training.epochs": 1}
    arguments = [word for pair in pairs.items() for word in (f"--{pair[0]}", str(pair[1]))]
    result = CliRunner().invoke(main, ["train", name, *arguments])
    assert result.exit_code == 0, result.output
    card = (tmp_path / "out/README.md").read_text()
    n_train, n_dev = map(int, re.findall(rf"\({path.name}\): (\d+) records", card))
    assert 0 < n_dev < n_train < n_train + n_dev == 40
    assert f"bertpipe train {name} --paths.base=BASE --paths.train=TRAIN" in card


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_recipe_begins_with_its_command_and_takes_a_dev_file(name):
    head = find_recipe(Path(name)).read_text(encoding="utf-8").partition("[paths]")[0]
    assert f"\n#   bertpipe train {name} --paths.train " in head
    found = read_settings(Path(name), {"paths.train": "a.csv", "paths.dev": "b.csv"}).tasks[name]
    assert (found.train["file"].part, found.dev["file"].part) == ("all", "all")
    assert found.dev["file"].path == Path("b.csv")


def test_columns_are_named_once(tmp_path):
    changes = {"tasks.classes.train.file.text_field": "review", "paths.train": "a.csv"}
    for more in ({}, {"paths.dev": "b.csv"}):
        task = read_settings(Path("classes"), {**changes, **more}).tasks["classes"]
        assert task.dev["file"].text_field == "review"


def test_a_dev_file_is_made_iob2_where_the_training_file_is():
    files = {"paths.train": "a.conll", "paths.dev": "b.conll"}
    changes = {**files, "tasks.entities.train.file.to_iob2": True}
    assert read_settings(Path("entities"), changes).tasks["entities"].dev["file"].to_iob2


def test_the_help_names_every_ready_recipe():
    assert sorted(re.findall(r"(?m)^  (\w+) {2,}", HELP)) == NAMES


def test_a_ready_recipe_is_shown_and_can_be_changed(tmp_path):
    result = CliRunner().invoke(main, ["train", "classes", "--show"])
    mine = tmp_path / "mine.cfg"
    mine.write_text(result.output)
    changes = {"paths.train": "a.csv"}
    assert read_settings(mine, changes) == read_settings(Path("classes"), changes)


def test_a_name_that_is_no_recipe_is_told_with_those_that_are():
    with pytest.raises(ConfigError, match=f"no ready recipe 'clases'; .* of {', '.join(NAMES)}"):
        read_settings(Path("clases"))
