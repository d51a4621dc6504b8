"""Thresholds of finished runs: those asked for, the run's own, and scores that a run left out."""

import json
import tracemalloc
from pathlib import Path

import pytest

from bertpipe.evaluation.evaluate import Options
from bertpipe.evaluation.stored import evaluate_output
from bertpipe.testing import tiny_model
from bertpipe.training.settings import Source


@pytest.fixture
def annotated(call, models, data, tmp_path):
    """Return a function that annotates the texts, or questions, of a task."""

    def annotate(task: str, *more: str) -> Path:
        factory = {"topics": "bert_classifier", "qa": "bert_qa"}[task]
        if task == "qa":
            (article,) = json.loads(data[task].read_text())["data"]
            rows = [
                {"text": each["context"], "question": each["qas"][0]["question"]}
                for each in article["paragraphs"]
            ]
        else:
            lines = data[task].read_text().splitlines()
            rows = [{"text": json.loads(line)["text"]} for line in lines]
        corpus, out = tmp_path / "corpus.jsonl", tmp_path / "out"
        corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
        run = ["run", corpus, "--components", f"found={factory}", "-o", out, "--quiet"]
        run += ["--workers", 0, "--precision=fp32", f"--components.found.model={models[task]}"]
        run += ["--components.found.question_field=question"] if task == "qa" else []
        result = call(*run, *more)
        assert result.exit_code == 0, result.output
        return out

    return annotate


def figures(call, folder, *arguments):
    path = folder.parent / "scores.json"
    result = call("evaluate", folder, *arguments, "--json", path)
    assert result.exit_code == 0, result.output
    return json.loads(path.read_text())["scores"]


def test_a_threshold_needs_the_scores_of_all_labels(call, annotated, data):
    out = annotated("topics", "--components.found.top_k=2")
    result = call("evaluate", out, "--gold", data["topics"], "--find-threshold")
    assert result.exit_code == 2
    assert (
        "--find-threshold needs the scores of all 3 labels, and a text has only 2 (top_k): "
        "annotate with --components.NAME.top_k 3 or more, and evaluate that."
    ) in " ".join(result.output.split())
    assert "roc_auc" not in figures(call, out, "--gold", data["topics"])["figures"]


def test_the_threshold_of_a_run_is_the_one_before_the_best(call, annotated, data):
    out = annotated("topics", "--components.found.threshold=0.3")
    found = figures(call, out, "--gold", data["topics"], "--find-threshold")
    assert found["threshold"]["before"] == 0.3
    assert found["threshold"]["value_before"] == pytest.approx(found["figures"]["micro_f1"])


def test_another_threshold_than_the_run_had_is_applied_to_its_scores(call, annotated, data, models):
    out = annotated("topics")
    asked = ("--threshold", 0.9)
    found = figures(call, out, "--gold", data["topics"], *asked)
    model = figures(call, Path(models["topics"]), data["topics"], *asked)
    assert found["figures"] == pytest.approx(model["figures"], abs=1e-5)
    own = figures(call, out, "--gold", data["topics"])
    assert found["figures"] != own["figures"]


def test_a_threshold_below_scores_that_are_missing_is_refused(call, annotated, data):
    out = annotated("topics", "--components.found.top_k=1")
    result = call("evaluate", out, "--gold", data["topics"], "--threshold", 0.01)
    assert result.exit_code == 2
    assert "--threshold 0.01 needs the scores of all 3 labels" in " ".join(result.output.split())


@pytest.mark.parametrize("asked", [("--find-threshold",), ("--threshold", "0.2")])
def test_answers_that_the_run_left_out_are_missed(call, annotated, data, asked):
    out = annotated("qa", "--components.found.no_answer_threshold=0.5")
    result = call("evaluate", out, "--gold", data["qa"], *asked)
    assert result.exit_code == 2
    assert (
        "The run left out answers that score below 0.5, and they are needed to tell: annotate with "
        "--components.NAME.no_answer_threshold 0, and evaluate that."
    ) in " ".join(result.output.split())
    assert figures(call, out, "--gold", data["qa"], "--threshold", "0.6")["n_records"] == 10


@pytest.fixture
def scored(call, tmp_path):
    """Return a function that measures the bytes at the peak of scoring a run on so many texts."""
    labels = [f"label {i}" for i in range(60)]
    problem = "multi_label_classification"
    size: dict = {"labels": labels, "problem_type": problem, "max_length": 256}
    model = tiny_model(tmp_path / "m", task="classifier", **size)

    def scored(n_texts: int) -> int:
        gold, out = tmp_path / f"{n_texts}.jsonl", tmp_path / f"{n_texts}"
        rows = ({"text": f"The sea {i}", "label": [labels[i % 60]]} for i in range(n_texts))
        gold.write_text("".join(json.dumps(row) + "\n" for row in rows))
        run = ["run", gold, "--components", "found=bert_classifier", "-o", out, "--quiet"]
        run += ["--workers", 0, f"--components.found.model={model}", "--components.found.top_k=60"]
        assert call(*run).exit_code == 0
        evaluate_output(out, Source(path=gold), Options())
        tracemalloc.start()
        try:
            evaluate_output(out, Source(path=gold), Options())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return scored


def test_the_scores_of_a_run_are_not_held_as_its_annotations(scored, monkeypatch):
    """60 scores as Python objects are some 20,000 bytes a text, as numbers and bools 300."""
    monkeypatch.setattr("bertpipe.evaluation.joining.N_ROWS", 200)
    small, large = scored(600), scored(1_600)
    assert (large - small) / 1_000 < 4_000
