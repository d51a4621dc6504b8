"""Vectors as Arrow values: float32, float16, or int8 with the scale that makes them whole again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bertpipe import list_of

NUMBERS = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8()}
INT8_MAX = 127


def vector_type(width: int, dtype: str) -> pa.DataType:
    """Return the type of one vector; int8 has `scale` beside it: number * scale is the value."""
    numbers = pa.list_(pa.field("element", NUMBERS[dtype]), width)
    if dtype != "int8":
        return numbers
    return pa.struct([("vector", numbers), ("scale", pa.float32())])


def spans_type(width: int, dtype: str) -> pa.DataType:
    """Return the type of the vectors of parts of a text, with the characters of each part."""
    vector = vector_type(width, dtype)
    fields = list(vector) if dtype == "int8" else [pa.field("vector", vector)]
    return list_of(pa.struct([("start", pa.int32()), ("end", pa.int32()), *fields]))


def to_vectors(vectors: np.ndarray, dtype: str) -> pa.Array:
    """Return vectors (n, width) as values of `vector_type`."""
    kind = vector_type(vectors.shape[1], dtype)
    if dtype != "int8":
        numbers = pa.array(vectors.astype(dtype).ravel(), NUMBERS[dtype])
        return pa.FixedSizeListArray.from_arrays(numbers, type=kind)
    scale = np.abs(vectors).max(1, initial=0.0).astype(np.float32) / INT8_MAX
    steps = vectors / np.where(scale > 0, scale, 1)[:, None]
    numbers = pa.array(np.rint(steps).astype(np.int8).ravel())
    columns = [pa.FixedSizeListArray.from_arrays(numbers, type=kind[0].type), pa.array(scale)]
    return pa.StructArray.from_arrays(columns, fields=list(kind))


def to_spans(
    vectors: pa.Array, spans: np.ndarray, offsets: np.ndarray, kind: pa.DataType
) -> pa.Array:
    """Return a list for each text from vectors and the characters (n, 2) that each stands for.

    offsets: int64 (n_texts + 1,), those of text i are offsets[i]:offsets[i + 1].
    """
    columns = [vectors] if not pa.types.is_struct(vectors.type) else vectors.flatten()
    starts, ends = (pa.array(spans[:, i].astype(np.int32)) for i in (0, 1))
    values = pa.StructArray.from_arrays([starts, ends, *columns], fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values, type=kind)


def join(vectors: np.ndarray, firsts: np.ndarray, weights: np.ndarray, how: str) -> np.ndarray:
    """Make one vector of each text's windows: their maximum for `max`, else their weighted mean.

    vectors: float32 (n_windows, width). firsts: the first window of each text.
    weights: (n_windows,).
    """
    if how == "max":
        return np.maximum.reduceat(vectors, firsts)
    total = np.add.reduceat(weights, firsts).astype(np.float32)
    weighted = vectors * weights[:, None].astype(np.float32)
    return np.add.reduceat(weighted, firsts) / total[:, None]


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of length 1; one of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def from_value(value: Sequence[float] | dict[str, Any]) -> np.ndarray:
    """Return one value of `vector_type`, as plain Python, as a float32 vector."""
    if isinstance(value, dict):
        return (np.asarray(value["vector"]) * value["scale"]).astype(np.float32)
    return np.asarray(value, np.float32)
