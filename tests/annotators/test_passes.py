"""One trip through an encoder: what is done once, and what happens when memory does not last."""

from dataclasses import replace

import pyarrow as pa
import pytest
import torch

from bertpipe.annotators.ner import BertNer
from bertpipe.annotators.qa import BertQa
from bertpipe.records import ERROR, ERROR_TYPE
from bertpipe.stages import Stages

from .conftest import ENCODER

TEXTS = ["Angela Merkel met Barack Obama in Berlin. " * n for n in (1, 30, 2, 4, 1, 7, 3, 2)]


def annotated(stages, texts):
    batch = pa.record_batch(
        {"text": pa.array(texts, pa.string()), ERROR: pa.nulls(len(texts), ERROR_TYPE)}
    )
    return stages.annotate(batch)


@pytest.fixture
def ner(tiny):
    return BertNer("ner", model=tiny("ner"), encoder=ENCODER)


@pytest.fixture
def wanted(tiny):
    stages = Stages([BertNer("ner", model=tiny("ner"), encoder=ENCODER)], text_field="text")
    return annotated(stages, TEXTS)["ner"].to_pylist()


class SmallMemory:
    """The heads, in front of an allocator without room: it raises what that of a device raises."""

    def __init__(self, scorer, n_tokens):
        self.heads_on = scorer._heads_on
        self.n_tokens = n_tokens
        self.sizes = []

    def __call__(self, batch):
        self.sizes.append(len(batch.ids))
        if len(batch.ids) > self.n_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.heads_on(batch)


def test_a_batch_that_does_not_fit_the_memory_is_halved_and_gives_what_it_would(ner, wanted):
    stages = Stages([ner], text_field="text")
    (step,) = stages.steps
    step.shared.scorer._heads_on = SmallMemory(step.shared.scorer, 70)  # type: ignore[attr-defined]
    found = annotated(stages, TEXTS)
    assert found["ner"].to_pylist() == wanted
    assert found[ERROR].null_count == len(TEXTS)
    assert stages.counts()["halvings"] > 1


def test_a_pass_goes_on_with_the_budget_that_fitted_the_memory(ner, wanted):
    stages = Stages([ner], text_field="text")
    (step,) = stages.steps
    scorer = step.shared.scorer  # type: ignore[attr-defined]
    memory = scorer._heads_on = SmallMemory(scorer, 70)
    assert annotated(stages, TEXTS)["ner"].to_pylist() == wanted
    n_halvings = scorer.counts["halvings"]
    (said,) = stages.passes()
    assert said["batch_tokens"] == scorer.batch_tokens < 2 * 70
    memory.sizes.clear()
    assert annotated(stages, TEXTS)["ner"].to_pylist() == wanted
    assert scorer.counts["halvings"] == n_halvings
    assert max(memory.sizes) <= 70


def test_a_document_whose_one_window_does_not_fit_the_memory_is_the_only_one_in_error(ner, wanted):
    stages = Stages([ner], text_field="text")
    (step,) = stages.steps
    step.shared.scorer._heads_on = SmallMemory(step.shared.scorer, 40)  # type: ignore[attr-defined]
    found = annotated(stages, TEXTS)
    errors = found[ERROR].to_pylist()
    assert {error["type"] for error in errors if error} == {"OutOfMemoryError"}
    for text, error, value, right in zip(
        TEXTS, errors, found["ner"].to_pylist(), wanted, strict=True
    ):
        assert value == (None if error else right), text
    assert 0 < found[ERROR].null_count < len(TEXTS)


def test_equal_texts_of_a_chunk_are_computed_once(tiny):
    def computed(texts):
        stages = Stages([BertNer("ner", model=tiny("ner"), encoder=ENCODER)], text_field="text")
        return annotated(stages, texts)["ner"].to_pylist(), stages.counts()

    once, counts = computed(TEXTS[:4])
    again, counts_again = computed([*TEXTS[:4], TEXTS[1], *TEXTS[:4]])
    assert again == [*once, once[1], *once]
    assert counts_again == counts


def test_questions_about_a_text_share_its_tokens(tiny):
    questions = {name: f"Who met {name}?" for name in ("Merkel", "Obama", "Berlin")}
    annotator = BertQa("qa", model=tiny("qa"), encoder=ENCODER, questions=questions)
    stages = Stages([annotator], text_field="text")
    (step,) = stages.steps
    shared = step.shared  # type: ignore[attr-defined]
    tokenize, asked = shared.tokenize, []

    def counting(tokenizer, texts):
        asked.extend(texts)
        return tokenize(tokenizer, texts)

    shared.tokenize = counting
    annotated(stages, [*TEXTS, TEXTS[0]])
    assert sorted(asked) == sorted({*TEXTS, *questions.values()})
    # Each text is read once a question all the same.
    assert stages.counts()["windows"] >= len(set(TEXTS)) * len(questions)
    asked.clear()
    annotated(stages, TEXTS[:1])
    assert asked == TEXTS[:1]


@pytest.mark.parametrize("n_times", [1, 700, 5_000])
def test_a_document_of_any_length_makes_no_batch_over_the_budget(n_times, tiny):
    encoder = replace(ENCODER, batch_tokens=200)
    stages = Stages([BertNer("ner", model=tiny("ner"), encoder=encoder)], text_field="text")
    (step,) = stages.steps
    memory = SmallMemory(step.shared.scorer, 200)  # type: ignore[attr-defined]
    step.shared.scorer._heads_on = memory  # type: ignore[attr-defined]
    found = annotated(stages, ["Barack Obama in Berlin. " * n_times, "Berlin"])
    assert found[ERROR].null_count == 2
    assert "halvings" not in stages.counts()
    assert max(memory.sizes) <= 200
    assert sum(memory.sizes) >= found["_n_tokens"][0].as_py() >= 4 * n_times


def test_a_document_of_too_many_windows_is_in_error_and_says_how_many(ner, wanted):
    found = annotated(Stages([ner], text_field="text", max_windows=5), TEXTS)
    errors = found[ERROR].to_pylist()
    assert [error is not None for error in errors] == [n == 30 for n in (1, 30, 2, 4, 1, 7, 3, 2)]
    assert "windows, more than max_windows 5; raise that, or" in errors[1]["message"]
    assert found["ner"].to_pylist() == [wanted[0], None, *wanted[2:]]


def test_a_real_allocator_that_runs_out_is_heard(ner, wanted, monkeypatch):
    """The processor's own allocator raises another class than a device's: it is bisected too."""

    def forward(batch):
        torch.empty(1 << 60)

    stages = Stages([ner], text_field="text")
    (step,) = stages.steps
    monkeypatch.setattr(step.shared.scorer, "_heads_on", forward)  # type: ignore[attr-defined]
    found = annotated(stages, TEXTS)
    assert found[ERROR].null_count == 0
    assert "allocate" in found[ERROR][0].as_py()["message"]
