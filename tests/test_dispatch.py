"""Work is handed out until all of it has an answer, whoever dies of it."""

from collections import Counter, deque

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.dispatch import MAX_TRIES, hand_out
from bertpipe.errors import WorkerError
from bertpipe.messages import from_bytes
from bertpipe.records import ERROR, ERROR_TYPE, SOURCE, SOURCE_TYPE


class MortalPool:
    """Workers that die of the text `deadly`, of `together` twice in a batch, and when told to.

    They do one message at a turn of `receive`. died_at: the turns at which worker 0 dies anyway.
    n_at_once: messages of which a worker may die before it answers the first.
    """

    def __init__(self, n_workers, died_at=(), n_at_once=1):
        self.n_workers = n_workers
        self.n_at_once = n_at_once
        self.inbox: list[deque] = [deque() for _ in range(n_workers)]
        self.turn = 0
        self.died_at = set(died_at)
        self.n_died = 0

    def send(self, worker, message, payload=None):
        self.inbox[worker].append((message, from_bytes(payload)))

    def receive(self, timeout=None):
        self.turn += 1
        return [(each, self.answer(each)) for each, inbox in enumerate(self.inbox) if inbox]

    def answer(self, worker):
        at_work = [self.alive(each) for _, each in list(self.inbox[worker])[: self.n_at_once]]
        message, records = self.inbox[worker].popleft()
        if any("deadly" in texts or texts.count("together") > 1 for texts in at_work) or (
            worker == 0 and self.turn in self.died_at
        ):
            self.inbox[worker].clear()
            self.n_died += 1
            return {"type": "died", "how": "was ended by signal 11"}
        return {"type": "annotated", "number": message["number"], "records": records}

    @staticmethod
    def alive(records):
        return records.filter(records[ERROR].is_null())["text"].to_pylist()

    def close(self):
        pass


def records(texts):
    source = [{"path": "a.jsonl", "row": row} for row in range(len(texts))]
    return pa.record_batch(
        {
            SOURCE: pa.array(source, SOURCE_TYPE),
            "text": pa.array(texts, pa.string()),
            ERROR: pa.nulls(len(texts), ERROR_TYPE),
        }
    )


def answers(pool, tasks, stopping=lambda: False):
    work = (({"type": "annotate", "number": i}, records(each)) for i, each in enumerate(tasks))
    heard = hand_out(pool, work, stopping)
    return [each for each in heard if each["type"] == "annotated"]


@given(
    tasks=st.lists(
        st.lists(st.sampled_from(["fine"] * 12 + ["deadly"]), min_size=2, max_size=40).map(
            lambda texts: [*texts, *["fine"] * 3]
        ),
        max_size=8,
    ),
    n_workers=st.integers(1, 3),
    died_at=st.lists(st.integers(1, 40), max_size=2),
    n_at_once=st.integers(1, 3),
)
def test_whoever_dies_each_task_is_answered_once_and_what_kills_is_in_error(
    tasks, n_workers, died_at, n_at_once
):
    found = answers(MortalPool(n_workers, died_at, n_at_once), tasks)
    assert Counter(each["number"] for each in found) == Counter(range(len(tasks)))
    for each in found:
        texts = tasks[each["number"]]
        assert each["records"]["text"].to_pylist() == texts
        errors = each["records"][ERROR].to_pylist()
        guilty = [text for text, error in zip(texts, errors, strict=True) if error]
        # A worker that dies for another reason just when one document is tried accuses that.
        assert guilty.count("deadly") == texts.count("deadly")
        assert len(guilty) <= texts.count("deadly") + len(died_at)


def test_the_error_of_a_deadly_document_says_how_the_worker_ended():
    (found,) = answers(MortalPool(1), [["fine"] * 9 + ["deadly"] + ["fine"] * 90])
    assert found["records"][ERROR][9].as_py() == {
        "stage": "annotate",
        "component": None,
        "type": "WorkerError",
        "message": "The worker was ended by signal 11 at this document; leave it out, or mend the"
        " component.",
    }
    assert found["records"][ERROR].null_count == 99


def test_a_deadly_document_is_found_by_a_logarithmic_number_of_deaths():
    pool = MortalPool(1)
    answers(pool, [["fine"] * 1_000 + ["deadly"]])
    assert pool.n_died <= 11


def test_a_document_that_is_alone_in_its_task_is_tried_once_more_before_it_is_accused():
    (found,) = answers(MortalPool(1, died_at=[1]), [["fine"]])
    assert found["records"][ERROR].null_count == 1


def test_documents_that_kill_together_end_the_run_and_say_where_they_are():
    pool = MortalPool(1)
    with pytest.raises(
        WorkerError,
        match=r"signal 11 at 4 documents from a\.jsonl, record 0, to a\.jsonl, record 3, and none",
    ):
        answers(pool, [["together", "fine", "fine", "together"]])
    assert pool.n_died == MAX_TRIES


def test_a_task_whose_documents_all_kill_accuses_the_machine():
    with pytest.raises(WorkerError, match=r"each of them .* the component or the machine"):
        answers(MortalPool(1), [["deadly"] * 5])


def test_the_search_ends_when_the_run_is_stopped():
    pool = MortalPool(1)
    assert answers(pool, [["deadly"] * 64, ["fine"]], lambda: pool.n_died > 2) == []
    assert pool.n_died <= 3
