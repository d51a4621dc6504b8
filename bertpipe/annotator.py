"""The contract of an annotator: all that the author of a plug-in has to read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from bertpipe.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from spacy.tokens import Doc
    from torch import Tensor

    from bertpipe.annotators.request import Windowed


class Annotator(Protocol):
    """A spaCy component that also knows its Arrow column.

    name: the component's name, which is the name of its output column.
    reads: the columns it needs, "text" or an input column or the column of an earlier component.
    """

    name: str
    reads: tuple[str, ...]

    @property
    def type(self) -> pa.DataType:
        """Return the type of the column; an attribute of the class will do."""
        ...

    def annotate(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one value of `type` for each row, in order.

        May raise on a row it cannot do: the caller then halves the batch until it knows the row.
        """
        ...

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        """Write one value, as plain Python, on a Doc whose text it belongs to."""
        ...


def origin(annotator: object) -> str:
    """Return the package that an annotator's class comes from, or the name of its file."""
    from importlib.metadata import packages_distributions

    module = type(annotator).__module__.partition(".")[0]
    file = Path(getattr(sys.modules.get(module), "__file__", None) or module)
    name = module if file.stem in (module, "__init__") else file.name
    return packages_distributions().get(module, [name])[0]


def checked(annotator: Annotator, values: object, n_rows: int) -> pa.Array:
    """Return what `annotate` returned if it is one value of the type for each row.

    Raises:
        ConfigError: It is not; the annotator is named with its package.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not isinstance(values, pa.Array):
        raise ConfigError(
            f"Component {annotator.name!r} of {origin(annotator)} returned a "
            f"{type(values).__name__}; annotate must return a pyarrow.Array."
        )
    if len(values) != n_rows or values.type != annotator.type:
        raise ConfigError(
            f"Component {annotator.name!r} of {origin(annotator)} returned {len(values)} values of "
            f"type {values.type} for {n_rows} rows; annotate must return one value of "
            f"{annotator.type} a row."
        )
    return values


class Head(Protocol):
    """What a BERT annotator adds to an encoder: hidden states to scores to annotations.

    n_scores: how many scores a token, or a window, has.
    """

    n_scores: int

    def scores(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n, width) to scores (n, n_scores), on the device.

        n counts windows when the annotator reads only first tokens, else first tokens and bodies.
        """
        ...

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return one annotation for each item from all its scores.

        scores: float32 (n_windows, n_scores), or (windows.rows[-1], n_scores) for token scores.
        """
        ...
