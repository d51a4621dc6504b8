"""Run again tomorrow: what is new is computed, what stands stays, and nothing is lost or doubled.

The measure is always the same: the output of a fresh run over the files as they are now.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertpipe import api, worker
from bertpipe.annotators.create import create_all
from bertpipe.errors import OutputError
from bertpipe.output.verify import verify


@pytest.fixture(autouse=True)
def plugin(regex_plugin, monkeypatch):
    """Every test here runs the regular expression; spaCy makes it once, for the sake of time."""
    made: list[tuple[Any, list[Any]]] = []

    def create_once(config):
        if not any(each.components == config.components for each, _ in made):
            made.append((config, create_all(config)))
        return next(found for each, found in made if each.components == config.components)

    monkeypatch.setattr(worker, "create_all", create_once)


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(corpus, output, **changes):
    components = ["numbers=regex_numbers"]
    options = {"workers": 0, "commit_every": 0, "lines": True, **changes}
    return api.run(corpus, output=output, components=components, **options)


def rows(output):
    """Return what each row says, by its identity; every row is there once."""
    table = ds.dataset(output, format="parquet").to_table().to_pylist()
    found = {
        (row["_source"]["path"], row["_source"]["row"]): (
            row["text"],
            row["numbers"] and [each["text"] for each in row["numbers"]],
            row["_error"] and row["_error"]["type"],
        )
        for row in table
    }
    assert len(found) == len(table)
    return found


def fresh(corpus, **changes):
    """Return the rows of a run that knows of no earlier one."""
    with tempfile.TemporaryDirectory() as folder:
        run(corpus, Path(folder) / "out", **changes)
        return rows(Path(folder) / "out")


def lines(first, end):
    return "".join(json.dumps({"text": f"line {i} " + "x" * 400}) + "\n" for i in range(first, end))


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def test_appended_lines_are_all_that_the_next_run_computes(assert_whole, corpus, out):
    (corpus / "log.jsonl").write_text(lines(0, 100))
    (corpus / "other.jsonl").write_text(lines(0, 3))
    run(corpus, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    append(corpus / "log.jsonl", lines(100, 160))
    report = run(corpus, out)
    assert (report.n_new, report.n_recomputed, report.n_rows) == (60, 0, 163)
    assert report.sources["grown"] == [str(corpus / "log.jsonl")]
    assert rows(out) == fresh(corpus)
    assert before.items() <= {p.name: p.stat().st_mtime_ns for p in out.glob("*.parquet")}.items()
    assert_whole(out, corpus)
    assert run(corpus, out).n_new == 0


def test_a_source_that_grew_again_before_its_growth_was_done_is_done_whole(
    assert_whole, corpus, out
):
    log = corpus / "log.jsonl"
    log.write_text(lines(0, 100))
    run(corpus, out)
    append(log, lines(100, 300))
    run(corpus, out, limit=180)
    append(log, lines(300, 310))
    assert run(corpus, out).n_rows == 310
    assert rows(out) == fresh(corpus)
    assert_whole(out, corpus)


def test_an_end_that_only_a_limit_or_blank_lines_follow_is_no_finding(assert_whole, corpus, out):
    (corpus / "a.jsonl").write_text(lines(0, 5))
    run(corpus, out, limit=5)
    for _ in range(2):
        assert_whole(out, corpus)
        append(corpus / "a.jsonl", "\n\n")
        assert run(corpus, out).n_new == 0
    append(corpus / "a.jsonl", lines(5, 6))
    (finding,) = verify(out).findings
    assert "a.jsonl has grown since its rows were written" in finding


@pytest.mark.parametrize("name", ["log.jsonl", "log.txt", "log.csv"])
def test_the_last_line_of_a_growing_file_waits_for_its_end(assert_whole, corpus, out, name):
    log = corpus / name
    whole = {"log.jsonl": '{"text": "%s"}\n'}.get(name, "%s\n")
    log.write_text(("text\n" if name == "log.csv" else "") + whole % "1" + whole % "2")
    run(corpus, out)
    append(log, whole % "3" + (whole % "4 and more")[:-6])
    for _ in range(2):
        report = run(corpus, out)
        assert report.n_rows == 3
        assert report.sources["unfinished"] == [str(log)]
        assert_whole(out)
    append(log, (whole % "4 and more")[-6:])
    report = run(corpus, out)
    assert (report.n_new, report.sources["unfinished"]) == (1, [])
    assert rows(out) == fresh(corpus)
    assert_whole(out, corpus)


def test_final_takes_a_last_line_without_its_end(assert_whole, corpus, out):
    log = corpus / "log.txt"
    log.write_text("1\n")
    run(corpus, out)
    append(log, "2\n3")
    assert run(corpus, out).n_rows == 2
    assert run(corpus, out, final=True).n_rows == 3
    again = run(corpus, out)
    assert (again.n_new, again.n_rows, again.sources["unfinished"]) == (0, 3, [])
    assert rows(out) == fresh(corpus)
    assert_whole(out, corpus)


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_last_line_of_a_growing_file_that_changed_waits_too(corpus, out, end, assert_whole):
    log = corpus / "log.jsonl"
    log.write_text(lines(0, 10))
    run(corpus, out)
    append(log, lines(10, 20))
    run(corpus, out)
    log.write_text(lines(50, 53) + '{"text": "half a')
    for _ in range(2):
        report = run(corpus, out, changed="recompute")
        assert (report.n_rows, report.n_errors) == (3, 0)
        assert report.sources["unfinished"] == [str(log)]
        assert_whole(out, corpus)
    append(log, ' line"}' + end)
    assert run(corpus, out, final=not end).n_new == 1
    assert rows(out) == fresh(corpus)
    assert_whole(out, corpus)


@pytest.mark.parametrize("content", ["4\n5", "4\n5\n6\n7"])
def test_the_last_line_of_a_file_that_changed_and_never_grew_counts(corpus, out, content):
    (corpus / "a.txt").write_text("1\n2\n3")
    run(corpus, out)
    (corpus / "a.txt").write_text(content)
    report = run(corpus, out, changed="recompute")
    assert (report.n_rows, report.sources["unfinished"]) == (len(content.split()), [])
    assert rows(out) == fresh(corpus)


def test_the_last_line_of_a_file_seen_for_the_first_time_counts(corpus, out):
    (corpus / "a.txt").write_text("1\n2")
    assert run(corpus, out).n_rows == 2
    assert run(corpus, out).n_new == 0


@pytest.mark.parametrize("limit", [None, 2])
def test_a_row_whose_line_went_on_is_computed_again(assert_whole, corpus, out, limit):
    log = corpus / "log.txt"
    log.write_text("1\n2")
    run(corpus, out, limit=limit)
    append(log, "2\n3\n")
    report = run(corpus, out)
    assert (report.n_recomputed, report.n_new, report.n_rows) == (1, 1, 3)
    assert [text for text, *_ in rows(out).values()] == ["1", "22", "3"]
    assert_whole(out, corpus)
    assert run(corpus, out).n_new == 0


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_only_got_its_end_is_not_computed_again(assert_whole, corpus, out, end):
    log = corpus / "log.txt"
    log.write_text("1\n2")
    run(corpus, out)
    append(log, f"{end}3\n")
    report = run(corpus, out)
    assert (report.n_recomputed, report.n_new) == (0, 1)
    assert rows(out) == fresh(corpus)
    assert_whole(out, corpus)


def test_touching_a_file_is_no_change(assert_whole, corpus, out):
    for name in ("a.jsonl", "b.txt"):
        (corpus / name).write_text(lines(0, 5))
    run(corpus, out, lines=False)
    for path in corpus.iterdir():
        os.utime(path, ns=(1, 1))
    report = run(corpus, out, lines=False)
    assert (report.n_new, report.n_recomputed, report.sources["changed"]) == (0, 0, [])
    assert_whole(out, corpus)


@pytest.mark.parametrize("content", [lines(0, 20), lines(5, 100), "", lines(500, 800)])
def test_a_file_that_changed_is_named_and_refused(assert_whole, corpus, out, content):
    (corpus / "a.jsonl").write_text(lines(0, 100))
    (corpus / "b.jsonl").write_text(lines(0, 10))
    run(corpus, out)
    before = rows(out)
    (corpus / "a.jsonl").write_text(content)
    with pytest.raises(OutputError, match=r"a\.jsonl changed since .* --changed recompute"):
        run(corpus, out)
    assert rows(out) == before
    report = run(corpus, out, changed="ignore")
    assert (report.n_new, report.n_rows) == (0, 110)
    assert rows(out) == before
    report = run(corpus, out, changed="recompute")
    assert rows(out) == fresh(corpus)
    assert_whole(out, corpus)
    assert run(corpus, out).n_new == 0


def test_a_text_file_that_got_longer_has_changed(assert_whole, corpus, out):
    (corpus / "a.txt").write_text("1")
    run(corpus, out, lines=False)
    append(corpus / "a.txt", " 2")
    with pytest.raises(OutputError, match=r"a\.txt changed since"):
        run(corpus, out, lines=False)
    assert run(corpus, out, lines=False, changed="recompute").n_recomputed == 1
    assert rows(out) == fresh(corpus, lines=False)
    assert_whole(out, corpus)


def test_in_a_part_of_many_sources_only_the_rows_of_the_changed_one_are_computed(
    assert_whole, corpus, out
):
    for i in range(20):
        (corpus / f"{i:02}.jsonl").write_text(lines(i, i + 3))
    run(corpus, out, commit_every=60)
    assert len(list(out.glob("*.parquet"))) == 1
    (corpus / "07.jsonl").write_text(lines(70, 72))
    (corpus / "08.jsonl").write_text("")
    (corpus / "09.jsonl").write_text(lines(90, 95))
    report = run(corpus, out, commit_every=60, changed="recompute")
    assert (report.n_recomputed, report.n_new) == (5, 2)
    assert rows(out) == fresh(corpus)
    assert_whole(out, corpus)


def test_a_csv_that_grew_within_quotes_has_changed(assert_whole, corpus, out):
    log = corpus / "log.csv"
    log.write_text('text\n1\n"2\n3\n')
    assert run(corpus, out).n_errors == 1
    append(log, '4"\n5\n')
    with pytest.raises(OutputError, match=r"log\.csv changed since"):
        run(corpus, out)
    run(corpus, out, changed="recompute")
    assert rows(out) == fresh(corpus)
    assert_whole(out, corpus)


def test_a_file_that_is_gone_keeps_its_rows_and_is_named(assert_whole, corpus, out):
    for name in ("a.jsonl", "b.jsonl"):
        (corpus / name).write_text(lines(0, 5))
    run(corpus, out)
    (corpus / "a.jsonl").unlink()
    report = run(corpus, out)
    assert (report.n_rows, report.sources["gone"]) == (10, [str(corpus / "a.jsonl")])
    assert_whole(out, corpus)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["a.jsonl", "b.txt", "c.csv", "d.jsonl"]),
        st.sampled_from(["append", "append", "cut", "replace", "touch"]),
        st.integers(0, 40),
        st.booleans(),  # the last line gets its end
    ),
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4), st.data())
def test_whatever_happens_to_the_files_the_output_is_that_of_a_fresh_run(
    assert_whole, nights, data
):
    with tempfile.TemporaryDirectory() as name:
        corpus, out = Path(name) / "corpus", Path(name) / "out"
        corpus.mkdir()
        (corpus / "first.jsonl").write_text(lines(0, 3))
        for night in nights:
            for change in night:
                _change(corpus, *change)
            limit = data.draw(st.none() | st.integers(1, 60))
            run(corpus, out, changed="recompute", limit=limit, commit_every=limit or 0)
        run(corpus, out, changed="recompute", final=True)
        assert rows(out) == fresh(corpus)
        assert_whole(out, corpus)
        again = run(corpus, out)
        assert (again.n_new, again.n_recomputed) == (0, 0)


def _change(corpus, name, how, n, is_whole):
    path = corpus / name
    old = path.read_text() if path.exists() else "text\n" * (name == "c.csv")
    if how == "touch":
        path.write_text(old)
        os.utime(path, ns=(n, n))
        return
    if how == "cut":
        path.write_text(old[: 5 + 20 * n] if name == "c.csv" else old[: 20 * n])
        return
    kept = old if how == "append" else "text\n" * (name == "c.csv")
    record = '{"text": "%s"}\n' if name.endswith("jsonl") else "%s\n"
    new = "".join(record % (f"{n + i} " + "x" * 300) for i in range(n))
    path.write_text(kept + (new if is_whole else new[:-10]))


def test_a_run_with_nothing_to_do_makes_no_annotator_and_one_with_work_does(
    corpus, out, monkeypatch
):
    (corpus / "a.jsonl").write_text(lines(0, 5))
    run(corpus, out)

    def fail(config):
        raise AssertionError("made")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "create_all", fail)
        assert run(corpus, out).n_rows == 5
        append(corpus / "a.jsonl", lines(5, 6))
        with pytest.raises(AssertionError, match="made"):
            run(corpus, out)
    assert run(corpus, out).n_new == 1


def test_other_settings_are_refused_though_the_components_are_recalled(corpus, out):
    (corpus / "a.jsonl").write_text(lines(0, 5))
    run(corpus, out)
    for _ in range(2):
        with pytest.raises(OutputError, match=r"pattern was .* now"):
            run(corpus, out, overrides={"components.numbers.pattern": "[0-4]+"})
    assert run(corpus, out).n_new == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"of": "cut'])
def test_what_is_no_memory_of_the_components_is_made_anew(corpus, out, content):
    (corpus / "a.jsonl").write_text(lines(0, 5))
    run(corpus, out)
    (out / "_bertpipe/components.json").write_text(content)
    assert run(corpus, out).n_rows == 5
    assert json.loads((out / "_bertpipe/components.json").read_text())["components"]
