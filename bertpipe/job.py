"""What makes a job: its models on this machine, its fingerprint, its columns, its chunks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from bertpipe.annotators.code import code_digest
from bertpipe.annotators.spacy_folder import FACTORY as SPACY_FACTORY
from bertpipe.annotators.spacy_folder import find_pipeline
from bertpipe.config import Component, RunConfig
from bertpipe.corpus import Corpus, open_corpus
from bertpipe.corpus.sources import STANDARD_INPUT
from bertpipe.encoder.resolve import resolve
from bertpipe.errors import ConfigError, OutputError
from bertpipe.masking import without_secrets
from bertpipe.messages import Message
from bertpipe.output import shards
from bertpipe.output.footer import LINES, RELATIVE_TO, Job
from bertpipe.output.ledger import Ledger
from bertpipe.output.shards import Shard
from bertpipe.pool import Pool
from bertpipe.records import FORMAT_VERSION
from bertpipe.report import versions

CHUNK_CHARS = {"cpu": 1_000_000, "cuda": 64_000_000}
MIN_CHUNK_CHARS = {"cpu": 16_384, "cuda": 1_000_000}
# A small corpus is cut at least this fine: a worker with a GPU has three chunks at work.
CHUNKS_A_WORKER = {"cpu": 8, "cuda": 16}


def open_configured(
    paths: Sequence[str], config: RunConfig, schema: pa.Schema | None = None
) -> Corpus:
    """Open the corpus; with the schema that an earlier run fixed, if one did."""
    return open_corpus(
        paths,
        format=config.format,
        text_field=config.text_field,
        id_field=config.id_field,
        lines=config.lines,
        keep=config.keep,
        relative_to=config.relative_to,
        max_document_chars=config.max_document_chars,
        schema=schema,
    )


def with_local_models(config: RunConfig) -> RunConfig:
    """Resolve every model once, so that a wrong name ends the run before a worker starts."""
    return replace(config, components=tuple(_localized(each, config) for each in config.components))


def _localized(component: Component, config: RunConfig) -> Component:
    model = component.settings.get("model")
    if model is None:
        return component
    if component.factory == SPACY_FACTORY:
        return replace(
            component, settings={**component.settings, "model": find_pipeline(model).name}
        )
    revision = component.settings.get("revision")
    folder = resolve(model, revision=revision, offline=config.encoder.offline)
    return replace(component, settings={**component.settings, "model": str(folder.path)})


def fingerprint(config: RunConfig, components: Sequence[Message]) -> dict[str, Any]:
    """Return what makes two runs the same job: settings and weights, not versions or workers."""
    items: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "columns kept": config.keep and list(config.keep),
        LINES: config.lines,
        RELATIVE_TO: config.relative_to,
    }
    if config.code is not None:
        items["code"] = code_digest(config.code)
    for component, described in zip(config.components, components, strict=True):
        items[f"component {component.name}"] = {
            "factory": component.factory,
            **{k: v for k, v in component.own_settings.items() if k not in ("model", "revision")},
            **described.get("fingerprint", {}),
        }
    hidden: dict[str, Any] = without_secrets(items)
    return hidden


def column_types(components: Sequence[Message]) -> dict[str, pa.DataType]:
    """Return the type of each component's column."""
    schemas = [
        pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(each["schema"]))) for each in components
    ]
    return {field.name: field.type for schema in schemas for field in schema}


def recorded(pool: Pool, config: RunConfig, components: Sequence[Message]) -> dict[str, Any]:
    """Return what each part records of its making; it is not compared on resuming."""
    return {
        "versions": versions(),
        "workers": pool.n_workers,
        "code": config.code and os.path.abspath(config.code),
        "components": without_secrets(
            [
                {
                    "factory": component.factory,
                    "settings": component.own_settings,
                    **without_schema(described),
                }
                for component, described in zip(config.components, components, strict=True)
            ]
        ),
    }


def chunk_chars(n_bytes: int, devices: Sequence[str]) -> int:
    """Return the size of a chunk: a small corpus is cut finer, so that every worker is busy."""
    kind = devices[0].partition(":")[0]
    if not n_bytes:
        return CHUNK_CHARS[kind]
    fair = n_bytes // (CHUNKS_A_WORKER[kind] * len(devices))
    return min(CHUNK_CHARS[kind], max(MIN_CHUNK_CHARS[kind], fair))


def refuse_own_output(corpus: Corpus, output: Path) -> None:
    """Raise OutputError if a source lies in the output folder."""
    for source in corpus.sources:
        if Path(source.path).parent.resolve() == output.resolve():
            raise OutputError(
                f"{source.name} lies in the output folder {output}; give another --output."
            )


def begin_shard(ledger: Ledger, shard: Shard, corpus: Corpus, limit: int | None) -> None:
    """Agree with the other shards on what each of them does, or raise UsageError."""
    if STANDARD_INPUT in (source.name for source in corpus.sources):
        raise ConfigError("Standard input cannot be divided into shards; save it to a file.")
    if ledger.stale:
        raise OutputError(
            f"Rows of {ledger.folder} are to be computed again, since a line has grown; run once"
            " without --shard."
        )
    shards.enlist(
        ledger.folder,
        shard,
        corpus.sources,
        chunk_chars=ledger.job.chunk_chars,
        limit=limit,
    )


def refuse_second_input(ledger: Ledger) -> None:
    """Standard input has no name or time by which one could know that it is the same again."""
    if STANDARD_INPUT in ledger.done:
        raise OutputError(
            f"{ledger.folder} holds rows of an earlier standard input, which cannot be compared "
            "with this one; give another --output, or --overwrite."
        )


def agreed_chunk_chars(folder: Path, recorded: Job | None) -> int | None:
    """Return the size of chunks that is fixed: by the parts, or by shards that have none yet."""
    return recorded.chunk_chars if recorded else shards.agreed_chunk_chars(folder)


def without_schema(component: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a worker said of a component, less the type of its column."""
    return {name: value for name, value in component.items() if name != "schema"}
