"""Models with random weights and a labelled file for each task."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bertpipe.cli import main
from bertpipe.testing import tiny_model

SENTENCE = "Angela Merkel met Barack Obama in Berlin and likes the sea very much"
WORDS = SENTENCE.split()
MOODS = ("bad", "good", "so-so")


def sentence(drawn: random.Random, n_words: int) -> list[str]:
    return [drawn.choice(WORDS) for _ in range(n_words)]


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, str]:
    """Return the folders of the models by task."""
    folder = tmp_path_factory.mktemp("models")
    size: dict[str, Any] = {"max_length": 256}
    several: dict[str, Any] = {**size, "problem_type": "multi_label_classification"}
    return {
        "ner": str(tiny_model(folder / "ner", task="ner", **size)),
        "qa": str(tiny_model(folder / "qa", task="qa", **size)),
        "mood": str(tiny_model(folder / "mood", task="classifier", labels=MOODS, **size)),
        "topics": str(tiny_model(folder / "topics", task="classifier", labels=MOODS, **several)),
    }


@pytest.fixture
def data(tmp_path) -> dict[str, Path]:
    """Return a labelled file by task; some texts have several windows."""
    drawn = random.Random(3)
    texts = [" ".join(sentence(drawn, n)) for n in (3, 5, 150, 8, 2, 90, 4, 6, 7, 3)]
    paths = {
        name: tmp_path / name for name in ("ner.conll", "mood.jsonl", "topics.jsonl", "qa.json")
    }
    paths["mood.jsonl"].write_text(
        "".join(json.dumps({"text": t, "label": MOODS[i % 3]}) + "\n" for i, t in enumerate(texts))
    )
    paths["topics.jsonl"].write_text(
        "".join(
            json.dumps({"text": t, "label": [m for j, m in enumerate(MOODS) if (i + j) % 3 != 1]})
            + "\n"
            for i, t in enumerate(texts)
        )
    )
    tags = {"Angela": "B-PER", "Merkel": "I-PER", "Berlin": "B-LOC"}
    blocks = ["\n".join(f"{w} {tags.get(w, 'O')}" for w in text.split()) for text in texts]
    paths["ner.conll"].write_text("\n\n".join(blocks) + "\n")
    paragraphs = [
        {
            "context": text,
            "qas": [
                {
                    "id": str(i),
                    "question": "who likes the sea?",
                    "answers": [{"text": text.split()[0], "answer_start": 0}] if i % 3 else [],
                }
            ],
        }
        for i, text in enumerate(texts)
    ]
    paths["qa.json"].write_text(json.dumps({"data": [{"title": "all", "paragraphs": paragraphs}]}))
    return {path.stem: path for path in paths.values()}


@pytest.fixture
def call() -> Callable[..., Result]:
    """Return a function that calls the command line."""
    return lambda *arguments: CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture
def evaluate(call, tmp_path):
    """Return a function that evaluates and gives what is in the JSON file."""

    def evaluate(*arguments):
        result = call("evaluate", *arguments, "--json", tmp_path / "scores.json")
        assert result.exit_code == 0, result.output
        return json.loads((tmp_path / "scores.json").read_text())

    return evaluate
