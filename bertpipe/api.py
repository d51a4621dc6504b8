"""Annotate from Python: texts to dicts, or a corpus to Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from bertpipe.config import RunConfig, load_config
from bertpipe.corpus.streams import is_unicode
from bertpipe.engine import run as run_config
from bertpipe.errors import ConfigError
from bertpipe.job import with_local_models
from bertpipe.output.shards import Shard
from bertpipe.pool import start_pool, wait_until_ready, worker_devices
from bertpipe.records import ERROR, ERROR_TYPE
from bertpipe.report import Report
from bertpipe.rewrite import in_order
from bertpipe.tolerance import tolerance

CHUNK_TEXTS = 1_024
CHUNK_CHARS = 250_000
NOT_UNICODE = {
    "stage": "read",
    "component": None,
    "type": "InvalidUnicode",
    "message": "The text holds a lone surrogate, which is no character; decode it anew.",
}


def run(
    corpus: str | Path | Sequence[str | Path],
    *,
    output: str | Path,
    components: Sequence[str] | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    retry_errors: bool = False,
    changed: str | None = None,
    final: bool = False,
    shard: str | None = None,
    on_error: str = "record",
    max_errors: str | int | None = None,
    **settings: Any,
) -> Report:
    """Annotate a corpus into a folder of Parquet parts, as the command `bertpipe run` does.

    settings: those of the `[run]` block, such as `workers=2` or `precision="fp32"`.
    overrides: settings by dotted name, such as `{"components.ner.aggregation": "first"}`.
    retry_errors: compute the rows in error again first.
    changed: "recompute" or "ignore" a source that is no longer what its rows were made from.
    final: count the last line of a growing file though it does not end.
    shard: "2/3" computes the second third of the work, which other processes do the rest of.
    on_error: "record", or "fail" to end at the first row in error. max_errors: a number or a share
    such as "1%" of the rows of the output that may be in error; with more the run ends early.

    Raises:
        UsageError: Something cannot be done as asked.
        BusyError: Another run is at work there.
        LimitError: Too many rows are in error; what was whole is committed.
    """
    paths = [corpus] if isinstance(corpus, str | Path) else corpus
    return run_config(
        [str(path) for path in paths],
        config=_config(components, config, overrides, settings),
        output=Path(output),
        limit=limit,
        overwrite=overwrite,
        retry=retry_errors,
        changed=changed,
        final=final,
        shard=Shard.parse(shard) if shard else None,
        tolerance=tolerance(on_error, max_errors),
    )


def annotate(
    texts: Iterable[str | Mapping[str, Any]],
    *,
    components: Sequence[str] | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    workers: int = 0,
    **settings: Any,
) -> Iterator[dict[str, Any]]:
    """Annotate texts and yield one dict for each, in order: a value a component, and `_error`.

    A text may be a mapping with the key `text` and what else a component reads, such as `question`.
    workers: processes; 0 works in this one. The texts are read as they are needed.
    """
    if isinstance(texts, str | Mapping):
        raise ConfigError("annotate takes several texts; put one alone in a list: [text].")
    run = _config(components, config, overrides, {**settings, "workers": workers})
    return _annotated(with_local_models(run), texts)


def _annotated(
    run: RunConfig, texts: Iterable[str | Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    names = [component.name for component in run.components]
    with closing(start_pool(run, worker_devices(run, n_bytes=0))) as pool:
        wait_until_ready(pool)
        for batch in in_order(pool, _batches(texts)):
            yield from batch.select([*names, ERROR]).to_pylist()


def _config(
    components: Sequence[str] | None,
    path: str | Path | None,
    overrides: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> RunConfig:
    dotted = {
        f"run.{name}": str(value) if isinstance(value, Path) else value
        for name, value in settings.items()
    }
    return load_config(Path(path) if path else None, components, {**dotted, **(overrides or {})})


def _batches(texts: Iterable[str | Mapping[str, Any]]) -> Iterator[pa.RecordBatch]:
    rows: list[Mapping[str, Any]] = []
    n_chars = 0
    for number, text in enumerate(texts):
        row = text if isinstance(text, Mapping) else {"text": text}
        if not isinstance(row.get("text"), str):
            raise ConfigError(f"Text {number} is {row.get('text')!r}; give a string.")
        rows.append(row)
        n_chars += len(row["text"])
        if len(rows) == CHUNK_TEXTS or n_chars >= CHUNK_CHARS:
            yield _batch(rows)
            rows, n_chars = [], 0
    if rows:
        yield _batch(rows)


def _batch(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    names = dict.fromkeys(name for row in rows for name in row if name != "text")
    texts = [row["text"] if is_unicode(row["text"]) else None for row in rows]
    columns = {name: _column(name, [row.get(name) for row in rows]) for name in names}
    errors = pa.array([NOT_UNICODE if text is None else None for text in texts], ERROR_TYPE)
    return pa.record_batch({"text": pa.array(texts, pa.string()), **columns, ERROR: errors})


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise ConfigError(
            f"The values of {name!r} cannot stand in one column ({error}); give values of one type."
        ) from error
