"""Annotators run over chunks; one bad record costs nobody else anything."""

import threading
import time

import pyarrow as pa
import pytest

from bertpipe.errors import ConfigError
from bertpipe.records import ERROR, ERROR_TYPE, EXTRA, SOURCE, SOURCE_TYPE
from bertpipe.stages import Stages


class Length:
    """Counts characters; refuses texts that hold a given word."""

    type: pa.DataType = pa.int32()
    reads: tuple[str, ...] = ("text",)

    def __init__(self, name="length", *, refuses="poison", column="text"):
        self.name = name
        self.refuses = refuses
        self.column = column
        self.n_calls = 0

    def annotate(self, batch):
        self.n_calls += 1
        texts = batch[self.column].to_pylist()
        for text in texts:
            if self.refuses in str(text):
                raise ValueError(f"I do not like {text!r}")
        return pa.array([len(str(text)) for text in texts], self.type)

    def set_annotations(self, doc, annotation):
        doc.user_data[self.name] = annotation


class Constant:
    """Returns what it was given, whatever the batch."""

    name = "constant"
    type: pa.DataType = pa.int32()
    reads: tuple[str, ...] = ("text",)

    def __init__(self, values):
        self.values = values

    def annotate(self, batch):
        return self.values

    def set_annotations(self, doc, annotation):
        doc.user_data[self.name] = annotation


def records(texts, *, field="text"):
    n_rows = len(texts)
    error = {"stage": "read", "component": None, "type": "NoText", "message": "no text"}
    return pa.record_batch(
        {
            SOURCE: pa.array([{"path": "a.jsonl", "row": i} for i in range(n_rows)], SOURCE_TYPE),
            field: pa.array(texts, pa.string()),
            EXTRA: pa.nulls(n_rows, pa.string()),
            ERROR: pa.array([error if text is None else None for text in texts], ERROR_TYPE),
        }
    )


def test_every_record_gets_its_value_in_order():
    annotated = Stages([Length()], text_field="text").annotate(records(["a", "", "ccc"]))
    assert annotated["length"].to_pylist() == [1, 0, 3]
    assert annotated[ERROR].null_count == 3


@pytest.mark.parametrize("position", range(7))
def test_a_record_that_makes_an_annotator_fail_is_the_only_one_in_error(position):
    texts = ["fine"] * 7
    texts[position] = "poison"
    annotated = Stages([Length()], text_field="text").annotate(records(texts))
    expected = [None if i == position else 4 for i in range(7)]
    assert annotated["length"].to_pylist() == expected
    error = annotated[ERROR][position].as_py()
    assert error == {
        "stage": "annotate",
        "component": "length",
        "type": "ValueError",
        "message": "I do not like 'poison'",
    }
    assert annotated[ERROR].null_count == 6


def test_one_failing_annotator_leaves_the_other_columns_filled():
    both = [Length("first"), Length("second", refuses="nothing")]
    annotated = Stages(both, text_field="text").annotate(records(["poison", "ok"]))
    assert annotated["first"].to_pylist() == [None, 2]
    assert annotated["second"].to_pylist() == [6, 2]


def test_the_error_of_the_first_component_stands_when_two_fail():
    both = [Length("first"), Length("second")]
    annotated = Stages(both, text_field="text").annotate(records(["poison"]))
    assert annotated[ERROR][0].as_py()["component"] == "first"


def test_a_record_without_text_is_seen_by_no_annotator_and_keeps_its_error():
    annotated = Stages([Length(refuses="None")], text_field="text").annotate(
        records([None, "four", None])
    )
    assert annotated["length"].to_pylist() == [None, 4, None]
    assert [each and each["type"] for each in annotated[ERROR].to_pylist()] == [
        "NoText",
        None,
        "NoText",
    ]


def test_a_chunk_of_bad_records_only_gives_nulls():
    annotated = Stages([Length()], text_field="text").annotate(records([None, None]))
    assert annotated["length"].to_pylist() == [None, None]


def test_annotators_see_the_text_field_as_text_and_earlier_columns_by_name():
    chain = [Length(), Length("digits", column="length")]
    annotated = Stages(chain, text_field="body").annotate(records(["x" * 100], field="body"))
    assert annotated["digits"].to_pylist() == [3]
    assert "text" not in annotated.schema.names or annotated.schema.names.count("text") == 0


def test_bisection_calls_an_annotator_a_logarithmic_number_of_times():
    annotator = Length()
    Stages([annotator], text_field="text").annotate(records(["ok"] * 255 + ["poison"]))
    assert annotator.n_calls <= 2 * 8 + 1


def test_a_wrong_number_of_values_stops_the_run_and_names_the_component():
    stages = Stages([Constant(pa.array([1, 2], pa.int32()))], text_field="text")
    with pytest.raises(ConfigError, match=r"'constant' of .* returned 2 values .* for 3 rows"):
        stages.annotate(records(["a", "b", "c"]))


def test_a_wrong_type_stops_the_run_and_names_the_component():
    stages = Stages([Constant(pa.array(["a"]))], text_field="text")
    with pytest.raises(ConfigError, match="type string for 1 rows"):
        stages.annotate(records(["a"]))


class Sleepy(Length):
    """Sleeps over some texts, and lets nothing disturb it."""

    def annotate(self, batch):
        for text in batch["text"].to_pylist():
            try:
                time.sleep(60 if text == "endless" else 0.001)
            except Exception:
                raise AssertionError("was disturbed") from None
        return super().annotate(batch)


@pytest.mark.parametrize("position", [0, 70, 150])
def test_a_document_that_takes_too_long_is_the_only_one_in_error(position):
    texts = ["fine"] * 151
    texts[position] = "endless"
    stages = Stages([Sleepy()], text_field="text", document_timeout=0.3)
    for _ in range(2):  # without and with knowledge of how long documents take
        annotated = stages.annotate(records(texts))
        expected = [None if i == position else 4 for i in range(151)]
        assert annotated["length"].to_pylist() == expected
        error = annotated[ERROR][position].as_py()
        assert error["type"] == "DocumentError"
        assert error["message"].startswith("The document took longer than 0.3 s; leave it out")


def test_a_batch_may_take_longer_than_a_document():
    stages = Stages([Sleepy()], text_field="text", document_timeout=0.05)
    annotated = stages.annotate(records(["fine"] * 300))
    assert annotated[ERROR].null_count == 300


def test_a_timeout_that_cannot_be_kept_is_refused():
    refused = []

    def make() -> None:
        with pytest.raises(ConfigError, match=r"document_timeout is 1 s, .*; give workers = 1"):
            Stages([Length()], text_field="text", document_timeout=1.0)
        refused.append(True)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert refused
