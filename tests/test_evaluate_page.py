"""docs/evaluate.md is followed: its commands are run, one after the other."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from transformers import AutoConfig, AutoModelForNextSentencePrediction

from bertpipe.cli import main
from bertpipe.testing import tiny_model

PAGE = (Path(__file__).parents[1] / "docs/evaluate.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"(?ms)^```sh\n(.*?)^```", PAGE) for line in block.splitlines()
]
RECIPE = """
[paths]
base = null
output = "mood"

[tasks]

[tasks.mood]
kind = "text_classification"

[tasks.mood.train]

[tasks.mood.train.reviews]
path = "train.csv"

[tasks.mood.dev]

[tasks.mood.dev.reviews]
path = "reviews.csv"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with the models and the files that the page names."""
    monkeypatch.chdir(tmp_path)
    labels = ("bad", "good")
    tiny_model(Path("mood"), task="classifier", labels=labels, max_length=256)
    tiny_model(
        Path("topics"),
        task="classifier",
        labels=labels,
        max_length=256,
        problem_type="multi_label_classification",
    )
    tiny_model(Path("language"), task="fill_mask", max_length=256)
    follows = tiny_model(Path("follows"), task="encoder", max_length=256)
    config = AutoConfig.from_pretrained(follows)
    AutoModelForNextSentencePrediction.from_config(config).save_pretrained(follows)
    Path("mood/README.md").write_text("# mood\n\n## Scores\n\n## Limits\n", encoding="utf-8")
    for name, names in (("reviews", labels), ("train", labels), ("numbered", "01")):
        rows = [f"a {labels[i % 2]} sea {i},{names[i % 2]}\n" for i in range(20)]
        Path(f"{name}.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    rows = [json.dumps({"text": f"sea {i}", "label": labels[: i % 3]}) + "\n" for i in range(9)]
    Path("labelled.jsonl").write_text("".join(rows), encoding="utf-8")
    rows = [json.dumps({"text": "A sea. A good sea. A bad sea."}) + "\n"] * 4
    Path("texts.jsonl").write_text("".join(rows), encoding="utf-8")
    pairs = "text,then,label\na sea,good,next\na sea,bad,not_next\n"
    Path("pairs.csv").write_text(pairs, encoding="utf-8")
    Path("recipe.cfg").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def test_the_commands_of_the_page_work_one_after_the_other(folder):
    printed = {}
    for command in COMMANDS:
        _, *arguments = shlex.split(command)
        workers = ["--workers", "0"] if arguments[0] == "run" else []
        result = CliRunner().invoke(main, [*arguments, *workers])
        assert result.exit_code == 0, f"{command}: {result.output}"
        printed[command] = result.output
    assert len(printed) == 11
    figures = json.loads((folder / "scores.json").read_text())["scores"]["figures"]
    accuracy = f"{figures['accuracy']:.4f}"
    assert f"| reviews | {accuracy} |" in (folder / "mood/README.md").read_text()
    assert accuracy in printed["bertpipe evaluate reviews.annotated --gold reviews.csv"]
    assert "best threshold" in printed["bertpipe evaluate topics labelled.jsonl --find-threshold"]
    assert (folder / "report/report.html").is_file()
