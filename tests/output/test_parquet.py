import json
import re
import resource
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.corpus.chunks import Slice
from bertpipe.errors import OutputError
from bertpipe.output.footer import Stamp, read_part
from bertpipe.output.parquet import (
    PART_NAME,
    ROW_GROUP_ROWS,
    PartWriter,
    TemporaryPart,
    commit_part,
    part_name,
)

STAMPS = {"a.jsonl": Stamp(10, 20), "b.jsonl": Stamp(30, 40)}
SOURCES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(lambda s: f"/c/{s}")
SLICES = st.lists(
    st.builds(Slice, SOURCES, st.integers(0, 10**12), st.integers(10**12, 10**13)), min_size=1
)


@pytest.fixture
def writer(out, schema, job):
    (out / "_bertpipe").mkdir(parents=True)
    return PartWriter(out, schema, job().metadata(), worker=3)


def _column(path, leaf):
    group = pq.read_metadata(path).row_group(0)
    columns = (group.column(i) for i in range(group.num_columns))
    return next(column for column in columns if column.path_in_schema == leaf)


def test_a_part_holds_what_was_written_in_order(writer, out, schema, batch):
    slices = [Slice("a.jsonl", 0, 5), Slice("b.jsonl", 2, 4)]
    writer.write(batch(slices), slices, STAMPS)
    writer.write(batch([Slice("b.jsonl", 4, 9)]), [Slice("b.jsonl", 4, 9, True)], STAMPS)
    part = commit_part(out, writer.close(), schema=schema)
    expected = pa.Table.from_batches([batch([slices[0], Slice("b.jsonl", 2, 9)])])
    assert pq.read_table(part.path).equals(expected)


def test_the_footer_says_slices_sources_errors_and_job(writer, out, schema, batch, job):
    slices = [Slice("a.jsonl", 0, 5), Slice("a.jsonl", 5, 14, True), Slice("b.jsonl", 6, 7)]
    writer.write(batch(slices), slices, STAMPS)
    part = read_part(commit_part(out, writer.close(), schema=schema).path)
    assert part is not None
    assert part.slices == (Slice("a.jsonl", 0, 14, True), Slice("b.jsonl", 6, 7))
    assert part.stamps == STAMPS
    assert part.errors == {"invalid_json": 3}
    assert part.job == job()
    assert part.job_hash == job().hash


def test_people_can_read_the_footer(writer, batch):
    writer.write(batch([Slice("a.jsonl", 0, 1)]), [Slice("a.jsonl", 0, 1)], STAMPS)
    footer = json.loads(pq.read_metadata(writer.close().path).metadata[b"bertpipe"])
    assert footer["job"]["fingerprint"]["precision"] == "fp32"
    assert footer["sources"] == {"a.jsonl": [10, 20, 0, ""]}
    assert footer["recorded"] == {"versions": {"torch": "2.13"}}


def test_a_temporary_part_survives_json(part, out):
    temporary = part(out, Slice("a.jsonl", 0, 3, True), Slice("b.jsonl", 0, 1))
    assert TemporaryPart.from_json(json.loads(json.dumps(temporary.to_json()))) == temporary


def test_an_open_part_is_not_called_parquet(writer, out, batch):
    writer.write(batch([Slice("a.jsonl", 0, 1)]), [Slice("a.jsonl", 0, 1)], STAMPS)
    names = [path.name for path in out.rglob("*") if path.is_file()]
    assert len(names) == 1
    assert "parquet" not in names[0]


def test_an_abandoned_part_leaves_nothing(writer, out, batch):
    writer.write(batch([Slice("a.jsonl", 0, 1)]), [Slice("a.jsonl", 0, 1)], STAMPS)
    writer.abandon()
    assert [path for path in out.rglob("*") if path.is_file()] == []


def test_rows_that_were_not_handed_out_are_refused(writer, batch):
    with pytest.raises(ValueError, match="other rows"):
        writer.write(batch([Slice("a.jsonl", 1, 4)]), [Slice("a.jsonl", 0, 3)], STAMPS)
    with pytest.raises(ValueError, match="other rows"):
        writer.write(batch([Slice("a.jsonl", 0, 2)]), [Slice("a.jsonl", 0, 3)], STAMPS)


def test_columns_of_another_job_are_refused(writer, batch):
    with pytest.raises(ValueError, match="columns"):
        writer.write(
            batch([Slice("a.jsonl", 0, 2)]).drop_columns(["ner"]), [Slice("a.jsonl", 0, 2)], STAMPS
        )


def test_small_chunks_share_a_row_group_and_count_towards_the_size(writer, batch):
    before = writer.n_bytes
    for row in range(10):
        slice_ = Slice("a.jsonl", row, row + 1)
        writer.write(batch([slice_]), [slice_], STAMPS)
    assert writer.n_bytes > before
    assert writer.n_rows == 10
    assert pq.read_metadata(writer.close().path).num_row_groups == 1


def test_a_large_chunk_is_cut_into_row_groups(out, job):
    n_rows = ROW_GROUP_ROWS + 1
    source = pa.StructArray.from_arrays(
        [pa.repeat("a.jsonl", n_rows), pa.array(range(n_rows))], ["path", "row"]
    )
    error = pa.nulls(n_rows, pa.struct([("type", pa.string())]))
    batch = pa.record_batch({"_source": source, "_error": error})
    (out / "_bertpipe").mkdir(parents=True)
    writer = PartWriter(out, batch.schema, job().metadata(), worker=0)
    writer.write(batch, [Slice("a.jsonl", 0, n_rows)], STAMPS)
    assert pq.read_metadata(writer.close().path).num_row_groups == 2


def test_pages_are_zstd_with_checksums_and_an_index(writer, batch):
    slice_ = Slice("a.jsonl", 0, 50)
    writer.write(batch([slice_]), [slice_], STAMPS)
    path = writer.close().path
    column = _column(path, "_source.row")
    assert column.compression == "ZSTD"
    assert column.has_offset_index
    assert column.has_column_index
    _flip_a_bit(path, _column(path, "ner.list.element.start").data_page_offset + 40)
    with pytest.raises(OSError, match=r"CRC|checksum"):
        pq.read_table(path, page_checksum_verification=True)


@pytest.mark.parametrize(
    ("leaf", "has_dictionary", "has_statistics"),
    [
        ("_source.path", True, True),
        ("_error.type", True, True),
        ("ner.list.element.label", True, True),
        ("sentiment.labels.list.element", True, True),
        ("ner.list.element.start", False, True),
        ("ner.list.element.text", False, False),
        ("id", False, True),
        ("text", False, False),
    ],
)
def test_labels_have_dictionaries_and_texts_no_statistics(
    writer, batch, leaf, has_dictionary, has_statistics
):
    slice_ = Slice("a.jsonl", 0, 50)
    writer.write(batch([slice_]), [slice_], STAMPS)
    column = _column(writer.close().path, leaf)
    assert column.has_dictionary_page == has_dictionary
    assert column.is_stats_set == has_statistics


def test_a_part_that_is_not_as_announced_is_not_committed(part, out, schema):
    temporary = part(out, Slice("a.jsonl", 0, 3))
    wrong = TemporaryPart(temporary.path, temporary.name, 4, temporary.slices, {})
    with pytest.raises(OutputError, match="does not hold the 4 rows"):
        commit_part(out, wrong, schema=schema)
    with pytest.raises(OutputError, match="columns"):
        commit_part(out, temporary, schema=schema.remove(1))
    assert list(out.glob("*.parquet")) == []


def test_a_second_commit_of_the_same_slices_replaces_the_first(part, out, schema):
    for _ in range(2):
        commit_part(out, part(out, Slice("a.jsonl", 0, 3)), schema=schema)
    assert len(list(out.glob("*.parquet"))) == 1


def test_a_full_disk_ends_in_an_error_and_leaves_no_part(writer, batch):
    slice_ = Slice("a.jsonl", 0, 5_000)
    writer.write(batch([slice_]), [slice_], STAMPS)
    with _file_size_limit(4_096), pytest.raises(OSError, match="too large"):
        writer.close()
    writer.abandon()


@contextmanager
def _file_size_limit(n_bytes):
    # Python ignores SIGXFSZ, so the write fails with an error as on a full disk.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _flip_a_bit(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


@given(SLICES)
def test_any_source_gives_a_name_that_every_reader_sees(slices):
    name = part_name(slices)
    assert PART_NAME.fullmatch(name)
    assert "/" not in name
    assert name[0] not in "_.-"
    assert len(name.encode()) <= 255
    assert part_name(list(slices)) == name


@given(SLICES, SLICES)
def test_other_slices_give_another_name(first, second):
    assert (part_name(first) == part_name(second)) == (first == second)


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("/corpus/reviews.jsonl", "reviews"),
        ("/corpus/reviews.jsonl.gz", "reviews"),
        ("/corpus/news 2024.01.csv", "news-2024.01"),
        ("/corpus/_hidden.txt", "hidden"),
        ("/corpus/新闻.txt", "新闻"),
        ("/corpus/---.txt", "part"),
        ("-", "part"),
    ],
)
def test_a_name_begins_with_the_file_it_came_from(source, stem):
    name = part_name([Slice(source, 7, 9)])
    assert re.fullmatch(rf"{stem}-0000000007-[0-9a-f]{{12}}\.parquet", name)


def test_names_sort_in_corpus_order():
    slices = [Slice(f"/c/{stem}.txt", row, row + 1) for stem in "ab" for row in (0, 9, 10, 999)]
    names = [part_name([slice_]) for slice_ in slices]
    assert names == sorted(names)
