"""The Arrow types of everything bertpipe writes. Changing one changes `FORMAT_VERSION`."""

import pyarrow as pa

FORMAT_VERSION = 1
BOOKKEEPING = "_bertpipe"  # the folder in an output that holds what is not output


def list_of(item: pa.DataType) -> pa.DataType:
    """Return a list type whose items carry the name every Parquet reader expects."""
    return pa.list_(pa.field("element", item))


SOURCE_TYPE = pa.struct([("path", pa.string()), ("row", pa.int64())])
ERROR_TYPE = pa.struct([(name, pa.string()) for name in ("stage", "component", "type", "message")])
NER_TYPE = list_of(
    pa.struct(
        [
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("label", pa.string()),
            ("score", pa.float32()),
            ("text", pa.string()),
        ]
    )
)
SCORES_TYPE = list_of(pa.struct([("label", pa.string()), ("score", pa.float32())]))
CLASSIFICATION_TYPE = pa.struct(
    [
        ("label", pa.string()),
        ("score", pa.float32()),
        ("labels", list_of(pa.string())),
        ("scores", SCORES_TYPE),
    ]
)
CLASSIFIED_SPANS_TYPE = list_of(
    pa.struct([("start", pa.int32()), ("end", pa.int32()), *CLASSIFICATION_TYPE])
)
QA_TYPE = list_of(
    pa.struct(
        [
            ("question", pa.string()),
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("text", pa.string()),
            ("score", pa.float32()),
        ]
    )
)

# What components of spaCy find; a null string or number is one that they do not give.
SENTENCES_TYPE = list_of(pa.struct([("start", pa.int32()), ("end", pa.int32())]))
SPAN_GROUPS_TYPE = list_of(pa.struct([("group", pa.string()), *NER_TYPE.value_type]))
TOKENS_TYPE = list_of(
    pa.struct(
        [
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("text", pa.string()),
            ("pos", pa.string()),
            ("tag", pa.string()),
            ("lemma", pa.string()),
            ("morph", pa.string()),
            ("dep", pa.string()),
            ("head", pa.int32()),  # the index of a token of the same text
        ]
    )
)

SOURCE, ERROR, EXTRA = "_source", "_error", "_extra"
N_TOKENS, N_WINDOWS, TRUNCATED = "_n_tokens", "_n_windows", "_truncated"
STATISTICS = pa.schema([(N_TOKENS, pa.int32()), (N_WINDOWS, pa.int32()), (TRUNCATED, pa.bool_())])
OWN_COLUMNS = frozenset({SOURCE, ERROR, EXTRA, *STATISTICS.names})
