"""Look at a corpus and a config before a run: a sample is read and tokenised, no weights loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.annotators.create import create_all
from bertpipe.config import RunConfig
from bertpipe.corpus import Corpus
from bertpipe.errors import ConfigError
from bertpipe.job import open_configured
from bertpipe.output.schema import output_schema
from bertpipe.records import ERROR

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from bertpipe.annotators.base import BertAnnotator
    from bertpipe.batching.tokens import Template

N_SAMPLED = 1_000


@dataclass(frozen=True)
class ComponentCheck:
    """What one component will read of the sample.

    n_tokens: special tokens not counted. max_length: tokens of a window. n_long: documents that
    need more than one window. All None for a component without an encoder.
    """

    name: str
    type: str
    model: str | None = None
    max_length: int | None = None
    n_tokens: int | None = None
    n_windows: int | None = None
    n_long: int | None = None


@dataclass(frozen=True)
class Check:
    """What a run would read and write.

    n_documents, n_chars, errors, examples: of the sample; is_whole when that is the whole corpus.
    columns: Arrow types of the output by name.
    """

    n_files: int
    n_bytes: int
    n_documents: int
    is_whole: bool
    n_chars: int
    errors: dict[str, int]
    examples: dict[str, str]
    components: list[ComponentCheck]
    columns: dict[str, str]
    skipped: list[str] = field(default_factory=list)

    @property
    def n_errors(self) -> int:
        """Return how many records of the sample are in error."""
        return sum(self.errors.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain JSON values."""
        return asdict(self)


def check(corpus: Sequence[str], *, config: RunConfig, n_documents: int = N_SAMPLED) -> Check:
    """Read about `n_documents` records, from the beginnings of the files, and say what they need.

    Raises:
        UsageError: What `run` would raise for the same corpus and config, the output folder aside.
    """
    annotators: list[Any] = list(create_all(config))
    opened = open_configured(corpus, config)
    schema = output_schema(opened.schema, {each.name: each.type for each in annotators})
    sample, is_whole = read_sample(opened, n_documents)
    texts = _texts(sample, config.text_field)
    errors, examples = _errors(sample.column(ERROR))
    return Check(
        n_files=len(opened.sources),
        n_bytes=opened.n_bytes,
        n_documents=sample.num_rows,
        is_whole=is_whole,
        n_chars=pc.sum(pc.utf8_length(texts.column("text"))).as_py() or 0,
        errors=errors,
        examples=examples,
        components=[check_component(annotator, texts) for annotator in annotators],
        columns={name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)},
        skipped=list(opened.skipped),
    )


def read_sample(corpus: Corpus, n_documents: int) -> tuple[pa.RecordBatch, bool]:
    """Return the first records of the files, evenly spaced files where there are many.

    The second value tells whether that is the whole corpus.
    """
    step = -(-len(corpus.sources) // n_documents)
    sources = corpus.sources[::step]
    share = -(-n_documents // len(sources))
    sampled = [pa.RecordBatch.from_pylist([], schema=corpus.record_schema)]
    is_whole = step == 1
    for source in sources:
        n_left = share
        for batch in corpus.read(source, stop=share + 1):
            sampled.append(batch.slice(0, n_left))
            n_left -= batch.num_rows
        is_whole = is_whole and n_left >= 0
    return pa.concat_batches(sampled), is_whole


def check_component(annotator: Any, texts: pa.RecordBatch) -> ComponentCheck:
    """Return how many tokens and windows the texts are for a component."""
    if not hasattr(annotator, "request"):
        return ComponentCheck(annotator.name, str(annotator.type))
    from bertpipe.annotators.request import slices

    tokenizer, template, max_length = _open(annotator)
    parts = slices(texts, annotator.n_readings(texts))
    measured = [_measure(annotator, part, tokenizer, template, max_length) for part in parts]
    n_tokens, n_windows, n_long = map(sum, zip(*measured, strict=True))
    return ComponentCheck(
        name=annotator.name,
        type=str(annotator.type),
        model=annotator.model,
        max_length=max_length,
        n_tokens=n_tokens,
        n_windows=n_windows,
        n_long=n_long,
    )


def _open(annotator: BertAnnotator) -> tuple[Tokenizer, Template, int]:
    """Return the tokenizer of an annotator's model, its template and the tokens of a window."""
    from transformers import AutoConfig

    from bertpipe.batching.tokens import find_template, prepare
    from bertpipe.encoder.opening import open_tokenizer, window_limit

    path = annotator.folder.path
    tokenizer = open_tokenizer(path)
    config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    limit = window_limit(config, tokenizer)
    max_length = annotator.encoder.max_length or limit
    if max_length > limit:
        raise ConfigError(
            f"Component {annotator.name!r}: max_length {max_length} is more than the {limit} "
            f"tokens that model {annotator.model!r} takes."
        )
    prepared = prepare(tokenizer)
    return prepared, find_template(prepared), max_length


def _measure(
    annotator: BertAnnotator,
    texts: pa.RecordBatch,
    tokenizer: Tokenizer,
    template: Template,
    max_length: int,
) -> tuple[int, int, int]:
    """Return how many tokens, windows and long documents the rows have.

    A document is long if it, or a part of it that is read alone, needs more than one window.
    """
    from bertpipe.batching.tokens import tokenize
    from bertpipe.batching.windows import cut

    request = annotator.request(texts)
    tokens = tokenize(tokenizer, request.texts)
    windows = cut(
        tokens,
        request.items,
        template,
        max_length=max_length,
        stride=annotator.encoder.stride,
        prefixes=tokenize(tokenizer, request.prefixes) if request.prefixes else None,
    )
    items = request.row_items
    n_tokens = tokens.lengths[request.items.text][items].sum()
    n_windows = np.diff(windows.offsets)[items]
    row = np.repeat(np.arange(texts.num_rows), np.diff(request.row_offsets))
    return int(n_tokens), int(n_windows.sum()), len(np.unique(row[n_windows > 1]))


def _texts(sample: pa.RecordBatch, text_field: str) -> pa.RecordBatch:
    """Return the columns that annotators read, the text under the name `text`."""
    columns = dict(zip(sample.schema.names, sample.columns, strict=True))
    columns["text"] = sample.column(text_field)
    usable = columns["text"].is_valid()
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)).filter(usable)


def _errors(column: pa.Array) -> tuple[dict[str, int], dict[str, str]]:
    """Return how often each type of error occurs, and one message of each."""
    found = list(_present(column))
    counts = Counter(error["type"] for error in found)
    examples = {error["type"]: error["message"] for error in reversed(found)}
    return dict(sorted(counts.items())), dict(sorted(examples.items()))


def _present(column: pa.Array) -> Iterator[dict[str, str]]:
    return (error for error in column.to_pylist() if error is not None)
