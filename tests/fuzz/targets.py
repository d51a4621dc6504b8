"""What holds for any bytes that bertpipe reads.

`scripts/fuzz` looks for bytes for which it does not hold; test_fuzz.py tries those that were found,
and some more, at every run of the tests.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from bertpipe.cli.overrides import split_overrides
from bertpipe.config import RunConfig, load_config
from bertpipe.corpus import Corpus, open_corpus
from bertpipe.corpus.chunks import SourceDone, iterate_chunks
from bertpipe.encoder.resolve import resolve, weight_files
from bertpipe.errors import BertpipeError, ConfigError, CorpusError, ModelError

NAMES = (
    "a.txt",
    "lines.txt",
    "a.jsonl",
    "a.csv",
    "a.tsv",
    "a.parquet",
    "a.jsonl.gz",
    "lines.txt.bz2",
    "a.csv.xz",
    "a.jsonl.zst",
)
LIMIT_CHARS = 1_000


def read_corpus(data: bytes) -> None:
    """Read the bytes behind the second as a file, after the columns that its first half fixed.

    The first byte chooses the name of the file, the second which rows are done already.
    """
    if len(data) < 2:
        return
    name, first_done = NAMES[data[0] % len(NAMES)], data[1]
    content = data[2:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        for part in (content, content[: len(content) // 2]):
            path.write_bytes(part)
            try:
                schema = _open(path).schema
            except CorpusError as error:
                _check_message(error, path)
                continue
            path.write_bytes(content)
            try:
                _check_rows(_open(path, schema), first_done)
            except CorpusError as error:
                _check_message(error, path)


def _open(path: Path, schema: pa.Schema | None = None) -> Corpus:
    lines = path.name.startswith("lines")
    return open_corpus([str(path)], lines=lines, max_document_chars=LIMIT_CHARS, schema=schema)


def _check_rows(corpus: Corpus, first_done: int) -> None:
    (source,) = corpus.sources
    batches = list(corpus.read(source))
    table = pa.Table.from_batches(batches, corpus.record_schema)
    table.validate(full=True)
    rows = table.to_pylist()
    n_rows = len(rows)
    assert [row["_source"]["row"] for row in rows] == list(range(n_rows))
    assert corpus.count(source) == n_rows
    for row in rows:
        assert (row["text"] is None) == (row["_error"] is not None), row
        assert len(row["text"] or "") <= LIMIT_CHARS
    done = SourceDone(((first_done, first_done + 2),) if first_done + 2 <= n_rows else ())
    chunks = iterate_chunks(corpus, chunk_chars=100, done={source.name: done})
    read = [row for chunk in chunks for row in chunk.batch.to_pylist()]
    assert repr(read) == repr([row for i, row in enumerate(rows) if not _is_done(done, i)])


def _is_done(done: SourceDone, row: int) -> bool:
    return any(first <= row < end for first, end in done.ranges)


def read_config(data: bytes) -> None:
    """Read the bytes as a config file and, behind a NUL, as arguments of the command line."""
    text, _, arguments = data.partition(b"\0")
    _, overrides = split_overrides(arguments.decode(errors="replace").split())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.cfg")
        path.write_bytes(text)
        try:
            config = load_config(path, None, overrides)
        except ConfigError as error:
            _check_message(error, path)
            return
        assert RunConfig.from_dict(config.to_dict()) == config


def open_model(data: bytes) -> None:
    """Take the bytes for three files of a model folder, divided by NULs, and look for it."""
    files = ("config.json", "model.safetensors.index.json", "tokenizer_config.json")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve() / "model"
        folder.mkdir()
        for file, content in zip(files, data.split(b"\0"), strict=False):
            (folder / file).write_bytes(content)
        try:
            found = resolve(str(folder)).path
        except ModelError as error:
            _check_message(error, folder)
            return
        for weights in weight_files(found):
            assert weights.resolve().is_relative_to(folder), weights


def _check_message(error: BertpipeError, path: Path) -> None:
    """Assert that a message is one line, valid Unicode and of bounded length."""
    message = str(error)
    message.encode()
    assert len(message.splitlines()) == 1, message
    assert len(message) < 2_000 + len(str(path)), message


TARGETS: Mapping[str, Callable[[bytes], Any]] = {
    "readers": read_corpus,
    "config": read_config,
    "model": open_model,
}
