import weakref

import numpy as np
import pytest

from bertpipe.testing import tiny_model
from bertpipe.training import scoring
from bertpipe.training.base import load_tokenizer
from bertpipe.training.decoding import MAX_ANSWER_TOKENS, best_span, decode_words
from bertpipe.training.features import Feature
from bertpipe.training.masking import Masker
from bertpipe.training.scoring import pieces, predict, score, score_words
from bertpipe.training.settings import Source, TaskSettings
from bertpipe.training.sources import Labelled, Question, Sentence
from bertpipe.training.tasks import Cutter, Dev, Task, open_model


def window(n_context, record=0):
    positions = [None, None, *((i, i + 1) for i in range(n_context)), None]
    return Feature([1] * (n_context + 3), [0] * (n_context + 3), (0, 0), record, positions)


def logits(n_context, **peaks):
    found = np.zeros((n_context + 3, 2), np.float32)
    for name, token in peaks.items():
        found[token, ("start", "end").index(name)] = 5.0
    return found


def test_the_best_span_lies_in_the_context_and_ends_after_its_start():
    value, start, end = best_span(window(6), logits(6, start=5, end=3))
    assert value == 5.0
    assert start < end
    value, start, end = best_span(window(6), logits(6, start=1, end=8))
    assert (value, start, end) == (0.0, 0, 1)


def test_a_span_is_no_longer_than_the_limit():
    n = MAX_ANSWER_TOKENS + 10
    _, start, end = best_span(window(n), logits(n, start=2, end=n + 1))
    assert end - start <= MAX_ANSWER_TOKENS


def test_a_span_scores_over_no_answer():
    scores = logits(4, start=3, end=4)
    scores[0] = 2.0
    assert best_span(window(4), scores) == (6.0, 1, 3)


def test_a_word_in_two_windows_is_labelled_by_the_one_where_it_is_farther_from_the_edge():
    records = [Sentence(["a", "b", "c"], ["O", "B-X", "O"], 0)]
    first = Feature([1] * 4, [0] * 4, [], 0, [-1, 0, 1, -1])
    second = Feature([1] * 5, [0] * 5, [], 0, [-1, -1, 1, 2, -1])
    near_edge = np.array([[1.0, 0.0]] * 4)
    inside = np.array([[1.0, 0.0]] * 5)
    inside[2] = [0.0, 1.0]
    dev = Dev(records, [first, second])
    found = decode_words(dev, [near_edge, inside], labels=["O", "B-X"])
    assert score_words(records, found)["f1"] == 1.0


def test_words_of_iob2_have_the_likeliest_valid_labels():
    records = [Sentence(["a", "b"], ["B-X", "I-X"], 0)]
    labels = ["B-X", "I-X", "O"]
    dev = Dev(records, [Feature([1] * 4, [0] * 4, [], 0, [-1, 0, 1, -1])])
    found = np.zeros((4, 3))
    found[1], found[2] = [2.0, 0.0, 2.1], [0.0, 3.0, 0.0]
    plain, valid = (decode_words(dev, [found], labels=labels, scheme=s) for s in (None, "IOB2"))
    assert score_words(records, plain)["f1"] == 0.0
    assert score_words(records, valid)["f1"] == 1.0


@pytest.mark.parametrize("budget", [16, 64, 512])
def test_scores_do_not_depend_on_the_batches(base, budget):
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(base, num_labels=3)
    features = [Feature(list(range(5, 5 + n)), [0] * n, [], i) for i, n in enumerate((3, 9, 5))]
    alone = predict(model, features, budget=1, bf16=False)
    together = predict(model, features, budget=budget, bf16=False)
    for one, other in zip(alone, together, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_stretches_hold_whole_records_and_all_of_them(monkeypatch):
    monkeypatch.setattr("bertpipe.training.scoring.N_WINDOWS", 2)
    owners = [0, 0, 0, 1, 3, 4, 4]  # the third record has no window
    dev = Dev([*"abcde"], [Feature([i], [0], None, record) for i, record in enumerate(owners)])
    found = list(pieces(dev))
    assert [piece.records for piece in found] == [["a"], ["b", "c", "d"], ["e"]]
    assert [[f.record for f in piece.features] for piece in found] == [[0] * 3, [0, 2], [0, 0]]
    assert [f.ids for piece in found for f in piece.features] == [[i] for i in range(7)]


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("token_classification", "ner"),
        ("text_classification", "classifier"),
        ("question_answering", "qa"),
        ("masked_language_model", "fill_mask"),
        ("next_sentence", "next_sentence"),
    ],
)
def test_the_scores_of_one_stretch_of_windows_are_held_at_once(tmp_path, monkeypatch, kind, task):
    """And the figures do not depend on the stretches."""
    model, dev = scored(tmp_path, kind, task)
    whole = score(dev, model, budget=200, bf16=False)["dev"]
    monkeypatch.setattr("bertpipe.training.scoring.N_WINDOWS", 5)
    name = "predict_hidden" if kind == "masked_language_model" else "predict"
    predicting = getattr(scoring, name)
    alive: list[weakref.ref] = []
    n_windows: list[int] = []

    def watched(*arguments, **settings):
        assert not any(each() is not None for each in alive)
        found = predicting(*arguments, **settings)
        alive.extend(map(weakref.ref, found))
        n_windows.append(len(arguments[1]))
        return found

    monkeypatch.setattr(scoring, name, watched)
    assert score(dev, model, budget=200, bf16=False)["dev"] == pytest.approx(whole, rel=1e-5)
    assert sum(n_windows) == len(dev.dev["dev"].features)
    assert max(n_windows) < 8


def scored(folder, kind, task):
    """Return a tiny model and its task with a dev file of some 20 windows."""
    labels = ("O", "B-X", "I-X") if task == "ner" else ("next", "not_next")
    path = tiny_model(folder / "model", task=task, labels=labels)
    words, tokenizer = ["Angela", "met", "Barack", "in", "Berlin"], load_tokenizer(path)
    of_task: dict[str, list] = {
        "ner": [Sentence(words * 3, ["B-X", "I-X", "O", "O", "B-X"] * 3, i) for i in range(7)],
        "qa": [Question("who?", " ".join(words * 3), ((0, "Angela"),), "a")] * 7,
        "fill_mask": [" ".join(words * 3)] * 7,
    }
    pairs = [Labelled(" ".join(words * 3), (labels[i % 2],), "Berlin") for i in range(7)]
    records = of_task.get(task, pairs)
    settings = TaskSettings(name="t", kind=kind, train={}, dev={}, max_length=20, stride=4)
    has_labels = task not in ("qa", "fill_mask")
    cut = Cutter(settings, tokenizer, labels if has_labels else ())
    features = cut.windows(Source(path=path), records)
    if task == "fill_mask":
        features = [Masker(tokenizer, seed=0)(f, str(i)) for i, f in enumerate(features)]
    dev = {"dev": Dev(records, features)}
    whole = Task(settings, cut.labels, [], dev, {})
    return open_model(whole, path, config={})[0], whole
