"""A label or a span that does not fit is named with its file and line, whatever the format."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from spacy.tokens import DocBin, Span

from bertpipe.errors import CorpusError
from bertpipe.testing.models import IOB
from bertpipe.training.base import load_tokenizer
from bertpipe.training.settings import Kind, Source, TaskSettings
from bertpipe.training.tasks import load_dev

TASKS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "mood": ("text_classification", ("bad", "good")),
    "ner": ("token_classification", IOB),
}
TEXT = "Angela Merkel likes Berlin"
CONLL = "Angela B-PER\nMerkel I-PER\n\n-DOCSTART- O\n\nlikes O\nBerlin {}\n"
ROWS = [{"text": "The sea", "label": "good"}, {"text": TEXT, "label": "odd"}]


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def table(path: Path, *rows: dict) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def docs(path: Path, *spans: tuple[int, int, str], cats: str = "good") -> None:
    """Write two Docs, the second with these spans, of words, and a category."""
    make = spacy.blank("en").make_doc
    first, second = make("The sea"), make(TEXT)
    first.set_ents([], default="outside")
    first.spans["all"] = []
    second.spans["all"] = [Span(second, *span) for span in spans]
    second.set_ents(list(second.spans["all"])[:1], default="outside")
    first.cats, second.cats = {"good": 1.0}, {cats: 1.0}
    DocBin(docs=[first, second], store_user_data=True).to_disk(path)


def spans(*found: list) -> list[dict]:
    return [{"text": "The sea", "spans": []}, {"text": TEXT, "spans": list(found)}]


def squad(path: Path, start: int) -> None:
    answer = {"text": "Berlin", "answer_start": start}
    questions = [{"id": f"q{i}", "question": "where?", "answers": [answer]} for i in range(2)]
    paragraphs = [{"context": TEXT, "qas": questions}]
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}, indent=0))


LABELS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "x.jsonl": ("mood", lambda p: p.write_text(lines(*ROWS)), "line 2"),
    "x.csv": ("mood", lambda p: p.write_text('text,label\n"The\nsea",good\nx,odd\n'), "line 4"),
    "x.tsv": ("mood", lambda p: p.write_text("text\tlabel\nThe sea\tgood\nx\todd\n"), "line 3"),
    "x.parquet": ("mood", lambda p: table(p, *ROWS), "row 2"),
    "x.spacy": ("mood", lambda p: docs(p, cats="odd"), "document 2"),
    "x.conll": ("ner", lambda p: p.write_text(CONLL.format("B-odd")), "line 7"),
    "spans.jsonl": ("ner", lambda p: p.write_text(lines(*spans([0, 13, "odd"]))), "line 2"),
    "spans.parquet": (
        "ner",
        lambda p: table(p, *spans({"start": 0, "end": 13, "label": "odd"})),  # type: ignore[arg-type]
        "row 2",
    ),
    "ents.spacy": ("ner", lambda p: docs(p, (0, 2, "odd")), "document 2"),
}
SPANS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "x.conll": ("ner", lambda p: p.write_text(CONLL.format("PER")), "line 7: the tag 'PER'"),
    "x.jsonl": ("ner", lambda p: p.write_text(lines(*spans([0, 99, "PER"]))), "line 2: the span"),
    "x.csv": ("ner", lambda p: p.write_text("text,spans\nThe,[]\n"), "line 2: the spans are '[]'"),
    "x.parquet": (
        "ner",
        lambda p: table(p, *spans({"start": 1, "end": 13, "label": "PER"})),  # type: ignore[arg-type]
        "row 2: the span",
    ),
    "x.spacy": ("ner", lambda p: docs(p, (0, 2, "PER"), (1, 3, "PER")), "document 2: the span"),
    "x.json": ("qa", lambda p: squad(p, 3), "line 9, article 1 paragraph 1 question 1: the answer"),
}


def message(call, *arguments) -> str:
    result = call("evaluate", *arguments)
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("name", LABELS)
def test_a_label_that_the_model_lacks_is_named_with_its_place(call, models, tmp_path, name):
    task, write, place = LABELS[name]
    write(tmp_path / name)
    assert f"{name} {place} has the label 'odd', which model" in message(
        call, models[task], tmp_path / name
    )


@pytest.mark.parametrize("name", LABELS)
def test_a_dev_label_that_no_training_file_has_is_named_with_its_place(models, tmp_path, name):
    task, write, place = LABELS[name]
    write(tmp_path / name)
    kind, labels = TASKS[task]
    dev = {"file": Source(path=tmp_path / name)}
    settings = TaskSettings(name="mood", kind=kind, train={}, dev=dev)
    told = rf"{re.escape(name)} {place} has the label '(B-)?odd', which the training files of mood"
    with pytest.raises(CorpusError, match=told):
        load_dev(settings, load_tokenizer(Path(models[task])), labels)


@pytest.mark.parametrize("join", [[], ["--join-words", "9"]])
def test_a_tag_that_the_model_lacks_is_named_with_its_line_in_joined_sentences(
    call, models, tmp_path, join
):
    path = tmp_path / "x.conll"
    path.write_text("a O\n\nb O\n\nc O\nBerlin B-odd\n")
    assert "x.conll line 6 has the label 'odd'" in message(call, models["ner"], path, *join)


@pytest.mark.parametrize("task", ["mood", "ner"])
def test_a_mistake_is_told_with_its_file_and_line(evaluate, models, data, task):
    lines = data[task].read_text().splitlines()
    mistakes = evaluate(models[task], data[task])["scores"]["mistakes"]
    assert mistakes
    for mistake in mistakes:
        path, _, number = mistake["place"].rpartition(" line ")
        assert path == str(data[task])
        line = lines[int(number) - 1]
        if task == "mood":
            assert json.loads(line)["text"].startswith(mistake["text"].rstrip("…"))
        else:
            assert line.split()[0] in mistake["text"][mistake["start"] : mistake["end"]]


@pytest.mark.parametrize("name", SPANS)
def test_a_span_that_does_not_fit_is_named_with_its_place(call, models, tmp_path, name):
    task, write, place = SPANS[name]
    write(tmp_path / name)
    more = ["--data.spans_key", "all"] if name == "x.spacy" else []
    assert f"{name} {place}" in message(call, models[task], tmp_path / name, *more)


def test_a_label_of_the_baselines_data_that_the_model_lacks_is_named(call, models, data, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(lines(*ROWS))
    told = message(call, models["mood"], data["mood"], "--baseline", "--train", path)
    assert "train.jsonl line 2 has the label 'odd', which model" in told
