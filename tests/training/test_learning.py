"""Every task learns sixteen examples by heart, and what it learned is what a run finds."""

import json
from pathlib import Path
from typing import Any

import pytest

import bertpipe
from bertpipe.evaluation.evaluate import Options
from bertpipe.evaluation.recipe import evaluate_recipe
from bertpipe.testing import tiny_model
from bertpipe.training import trainer
from bertpipe.training.features import Feature
from bertpipe.training.loop import train
from bertpipe.training.masking import Masker
from bertpipe.training.settings import TrainSettings, settings_from
from bertpipe.training.tasks import DEV_SEED

pytestmark = pytest.mark.filterwarnings("default")
PEOPLE, PLACES = ("angela", "barack", "zoe", "merkel"), ("berlin", "paris", "one", "two")
PAIRS = [(person, place) for person in PEOPLE for place in PLACES]


def rows(task: str) -> list[dict[str, Any]]:
    """Return sixteen examples of a task, all different."""
    made = []
    for i, (person, place) in enumerate(PAIRS):
        text = f"{person} met {place} ."
        label: Any = ("good", "bad", "new")[(i + i // 4) % 3]
        row = {"text": text, "label": label}
        if task == "sets":
            row["label"] = [name for bit, name in enumerate(("p", "q", "r")) if (i + 1) >> bit & 1]
        elif task == "pairs":
            row = {"text": person, "pair": place, "label": label}
        elif task == "head":
            row["label"] = person
        elif task == "next":
            row = {"text": person, "pair": place, "label": ("next", "not_next")[i % 3 % 2]}
        elif task == "ner":
            spans = [[0, len(person), "PER"], [text.index(place), len(text) - 2, "LOC"]]
            row["spans"] = spans[i % 2 :]
        made.append(row)
    return made


def squad() -> dict[str, Any]:
    """Return sixteen questions."""
    paragraphs = []
    for i, (person, place) in enumerate(PAIRS):
        context = f"{person} met {place} long text ."  # words that count, next to the answer
        start = context.index(place)
        answers = [{"text": place, "answer_start": start}]
        qas = [{"id": str(i), "question": f"{person} met", "answers": answers}]
        paragraphs.append({"context": context, "qas": qas})
    return {"data": [{"title": "t", "paragraphs": paragraphs}]}


KINDS: dict[str, dict[str, Any]] = {
    "ner": {"kind": "token_classification"},
    "classes": {"kind": "text_classification"},
    "head": {"kind": "text_classification"},
    "sets": {"kind": "text_classification", "multi_label": True},
    "pairs": {"kind": "text_classification"},
    "qa": {"kind": "question_answering"},
    "masks": {"kind": "masked_language_model"},
    "next": {"kind": "next_sentence"},
}


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a base whose hidden states differ from text to text, so that a head can tell them."""
    return tiny_model(tmp_path_factory.mktemp("models") / "spread", task="fill_mask")


@pytest.fixture
def settings(tmp_path: Path, spread: Path):
    """A function that returns the settings to learn a task's examples by heart."""

    def make(name: str, **training: Any) -> TrainSettings:
        path = tmp_path / f"{name}.{'json' if name == 'qa' else 'jsonl'}"
        lines = [squad()] if name == "qa" else rows(name)
        path.write_text("\n".join(map(json.dumps, lines)))
        source: dict[str, Any] = {"path": str(path)} | (
            {"pair_field": "pair"} if name in ("pairs", "next") else {}
        )
        # Few evaluations, many readings.
        files: dict[str, Any] = {
            "train": {"file": {**source, "passes": 30.0}},
            "dev": {"file": source},
        }
        loop: dict[str, Any] = {"epochs": 2, "learning_rate": 3e-3, "batch_size": 8, "dropout": 0.0}
        loop |= {"attention_dropout": 0.0, "precision": "fp32", **training}
        return settings_from(
            {
                "paths": {"base": str(spread), "output": str(tmp_path / "out")},
                "training": loop,
                "tasks": {name: {**KINDS[name], "max_length": 32, "stride": 8, **files}},
            }
        )

    return make


class FixedMasks(Masker):
    """Hides in every epoch the tokens that are hidden in the dev file."""

    def __init__(self, tokenizer: Any, *, seed: int) -> None:
        super().__init__(tokenizer, seed=DEV_SEED)

    def __call__(self, feature: Feature, key: str) -> Feature:
        return super().__call__(feature, key.rpartition("/")[2])


@pytest.mark.parametrize("name", [name for name in KINDS if name != "head"])
def test_a_task_learns_sixteen_examples_by_heart(settings, name, monkeypatch):
    monkeypatch.setattr(trainer, "Masker", FixedMasks)
    made = settings(name)
    made.output.mkdir()
    trained = train(made)
    (figures,) = trained.scores[name].values()
    assert trained.n_records[name] == {"file": 16}
    assert {figure: value for figure, value in figures.items() if figure != "perplexity"} == {
        figure: 1.0 for figure in figures if figure != "perplexity"
    }
    (found,) = evaluate_recipe(str(made.output), made, Options())
    for figure, value in figures.items():
        assert found.scores.figures[figure] == pytest.approx(value, rel=1e-4)


def test_a_head_alone_learns_sixteen_examples_by_heart(settings):
    trained = train(settings("head", freeze_layers="encoder", learning_rate=3e-2))
    assert trained.scores["head"]["file"]["accuracy"] == 1.0
    assert trained.n_learning < trained.n_parameters / 10


def test_several_labels_are_found_by_a_run_as_the_training_scored_them(settings, tmp_path):
    made = settings("sets", epochs=1)
    trained = train(made)
    annotated = bertpipe.annotate(
        [row["text"] for row in rows("sets")],
        components=["mine=classifier"],
        overrides={
            "components.mine.model": str(made.output),
            "components.mine.precision": "fp32",
            "components.mine.stride": 8,
            "components.mine.threshold": 0.3,
        },
    )
    found = list(annotated)
    labels = [set(row["mine"]["labels"]) for row in found]
    gold = [set(row["label"]) for row in rows("sets")]
    scores = [{one["label"]: one["score"] for one in row["mine"]["scores"]} for row in found]
    assert labels == [{name for name, value in one.items() if value >= 0.3} for one in scores]
    at_half = [{name for name, value in one.items() if value >= 0.5} for one in scores]
    n_right = sum(len(one & two) for one, two in zip(at_half, gold, strict=True))
    n_all = sum(map(len, at_half)) + sum(map(len, gold))
    assert trained.scores["sets"]["file"]["micro_f1"] == pytest.approx(2 * n_right / n_all)
