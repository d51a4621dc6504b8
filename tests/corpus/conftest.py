from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from bertpipe.corpus import open_corpus


def read_all(*paths, **options) -> pa.Table:
    corpus = open_corpus([str(path) for path in paths], **options)
    batches = [batch for source in corpus.sources for batch in corpus.read(source)]
    return pa.Table.from_batches(batches, corpus.record_schema)


@pytest.fixture
def read() -> Callable[..., pa.Table]:
    """All rows of a corpus as one table."""
    return read_all


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file below the test's folder and return its path."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file
