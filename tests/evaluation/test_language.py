"""Masked language models and next sentences, scored on a file without a recipe."""

import json
import math
from pathlib import Path

import pytest

from bertpipe.testing import tiny_model

TEXT = "Angela Merkel met Barack Obama. They like Berlin. The sea is far. One two. "
WINDOWS = ("--max-length", 32, "--stride", 8)


@pytest.fixture(scope="module")
def masked(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "masked", task="fill_mask")


@pytest.fixture(scope="module")
def follows(tmp_path_factory) -> Path:
    """Return a model that says what follows what, with random weights."""
    import transformers

    base = tiny_model(tmp_path_factory.mktemp("models") / "follows", task="encoder")
    config = transformers.AutoConfig.from_pretrained(base)
    transformers.AutoModelForNextSentencePrediction.from_config(config).save_pretrained(base)
    return base


@pytest.fixture
def texts(tmp_path) -> Path:
    path = tmp_path / "texts.jsonl"
    rows = [{"text": TEXT * (1 + i % 3)} for i in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_hidden_tokens_of_any_texts_are_scored_the_same_way_each_time(evaluate, masked, texts):
    found = evaluate(masked, texts, *WINDOWS)
    assert found["task"] == "masked_language_model"
    assert found["scores"]["n_records"] == 12
    assert found["settings"]["max_length"] == 32
    figures = found["scores"]["figures"]
    assert figures.keys() == {"accuracy", "perplexity"}
    # Random weights know nothing, and find about as much as a draw from the vocabulary.
    assert 0 <= figures["accuracy"] < 0.5
    assert figures["perplexity"] > 10
    assert evaluate(masked, texts, *WINDOWS)["scores"] == found["scores"]


def test_the_pieces_of_the_windows_do_not_change_the_figures(evaluate, masked, texts, monkeypatch):
    whole = evaluate(masked, texts, *WINDOWS)["scores"]["figures"]
    monkeypatch.setattr("bertpipe.training.scoring.N_WINDOWS", 1)
    again = evaluate(masked, texts, *WINDOWS)["scores"]["figures"]
    assert again == pytest.approx(whole, rel=1e-5)


def test_next_sentences_have_all_that_classes_have(evaluate, follows, texts):
    scores = evaluate(follows, texts, *WINDOWS)["scores"]
    assert scores["n_records"] == 3 * 4 + 4 * 7 + 4 * 11
    assert set(scores["rows"]) == {"next", "not_next"}
    n_wrong = round((1 - scores["figures"]["accuracy"]) * scores["n_records"])
    assert scores["n_mistakes"] == {"another class": n_wrong}
    assert math.isfinite(scores["calibration"]["error"])


def test_pairs_of_ones_own_are_scored_with_their_labels(evaluate, follows, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("text,then,label\nOne,Two,1\nThe sea,Berlin,0\nOne,Merkel,0\n")
    names = ("--rename", "1=next", "--rename", "0=not_next")
    scores = evaluate(follows, path, "--pair-field", "then", *names, *WINDOWS)["scores"]
    assert [row["n"] for _, row in sorted(scores["rows"].items())] == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--find-threshold"], "A threshold is for models that give any number"),
        (["--baseline", "--train", "{texts}"], "--baseline is for text classification"),
        (["--component.top_k", "3"], "No component runs a masked_language_model"),
        (["--max-length", "1000"], "max_length 1000 is more than the 64 tokens that model"),
        (["--precision", "int8"], "precision int8"),
        (["--task", "next_sentence"], "has no head for next_sentence (it lacks "),
        (["--data.columns", '["text"]'], "columns"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(call, masked, texts, options, message):
    arguments = [option.format(texts=texts) for option in options]
    result = call("evaluate", masked, texts, *arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())


def test_texts_without_a_token_are_named(call, masked, tmp_path):
    path = tmp_path / "zero.jsonl"
    path.write_text(json.dumps({"text": "\u200b"}) + "\n")
    result = call("evaluate", masked, path, *WINDOWS)
    assert result.exit_code == 2
    assert "zero.jsonl holds no text with a token to hide; give others." in result.output


def test_a_pair_with_another_label_is_named(call, follows, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("text,then,label\nOne,Two,1\n")
    result = call("evaluate", follows, path, "--pair-field", "then", *WINDOWS)
    assert result.exit_code == 2
    assert "pairs.csv line 2 has the label '1'" in result.output
    assert "rename it" in result.output
