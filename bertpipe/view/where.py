"""Choose rows by an expression over their columns, such as `ner.label == PER and stars > 7`.

The expression is parsed as Python, but only comparisons, `in`, `and`, `or`, `not` and parentheses
mean something; Arrow evaluates them, nothing is executed.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.errors import ConfigError

_COMPARISONS: Mapping[type[ast.cmpop], Callable[..., Any]] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}


@dataclass(frozen=True)
class _Values:
    """What a path leads to: one value a row, or the items of the lists in a column.

    array: (n,). rows: (n,), the row of each item, or None for one value a row. items: the path of
    the list that they are items of.
    """

    array: pa.Array
    rows: np.ndarray | None = None
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Truth:
    """Where a condition holds; mask: (n,), over rows or over items as in `_Values`."""

    mask: np.ndarray
    rows: np.ndarray | None = None
    items: tuple[str, ...] = ()

    def by_row(self, n_rows: int) -> np.ndarray:
        """Return the rows (n_rows,) that have an item for which the condition holds."""
        if self.rows is None:
            return self.mask
        found = np.zeros(n_rows, dtype=bool)
        found[self.rows[self.mask]] = True
        return found


class Where:
    """A parsed expression; `columns` are those it reads.

    Conditions on one list that `and` joins have to hold for one and the same item of it.

    Raises:
        ConfigError: The expression does not parse or does not fit the columns.
    """

    def __init__(self, text: str, schema: pa.Schema) -> None:
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConfigError(
                f"The condition {text!r} cannot be read; write one such as ner.label == PER, with"
                " quotes around what is no single word."
            ) from error
        names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        self.columns = tuple(name for name in schema.names if name in names)
        self.mask(pa.RecordBatch.from_pylist([], schema=schema))  # raises what does not fit

    def mask(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return for each row (n_rows,) whether the expression holds."""
        return _truth(self._tree, batch).by_row(batch.num_rows)


def _truth(node: ast.expr, batch: pa.RecordBatch) -> _Truth:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return _join([_truth(part, batch) for part in parts], np.logical_and, batch.num_rows)
        case ast.BoolOp(op=ast.Or(), values=parts):
            return _join([_truth(part, batch) for part in parts], np.logical_or, batch.num_rows)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return _Truth(~_truth(part, batch).by_row(batch.num_rows))
        case ast.Compare(left=left, ops=[ast.In()], comparators=[path]):
            return _contains(path, left, batch)
        case ast.Compare(left=path, ops=[operator], comparators=[right]):
            return _compare(path, operator, right, batch)
        case ast.Name() | ast.Attribute():
            return _is_present(node, batch)
    raise _does_not_fit(node, "it is no condition; join conditions with and, or, not")


def _join(parts: list[_Truth], operator: np.ufunc, n_rows: int) -> _Truth:
    """Combine conditions: those on one list item by item, then all of them row by row."""
    groups: dict[tuple[str, ...], list[_Truth]] = {}
    for part in parts:
        groups.setdefault(part.items, []).append(part)
    joined = [
        _Truth(operator.reduce([part.mask for part in group]), group[0].rows, items)
        for items, group in groups.items()
    ]
    if len(joined) == 1:
        return joined[0]
    return _Truth(operator.reduce([part.by_row(n_rows) for part in joined]))


def _compare(path: ast.expr, operator: ast.cmpop, right: ast.expr, batch: pa.RecordBatch) -> _Truth:
    compare = _COMPARISONS.get(type(operator))
    if compare is None:
        raise _does_not_fit(path, "it can be compared by == != < <= > >= alone")
    values = _items(_follow(path, batch), _names(path))
    return _holds(values, path, lambda: compare(values.array, _scalar(right, values.array.type)))


def _contains(path: ast.expr, part: ast.expr, batch: pa.RecordBatch) -> _Truth:
    values = _items(_follow(path, batch), _names(path))
    text = str(_constant(part))
    return _holds(values, path, lambda: pc.match_substring(values.array, text))


def _holds(values: _Values, path: ast.expr, evaluate: Callable[[], Any]) -> _Truth:
    try:
        found = evaluate()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise _does_not_fit(path, f"what it is compared with is no {values.array.type}") from error
    return _Truth(_as_mask(found), values.rows, values.items)


def _is_present(path: ast.expr, batch: pa.RecordBatch) -> _Truth:
    """Return where there is a value: true, not null, or a list that is not empty."""
    values = _follow(path, batch)
    array = values.array
    if _is_list(array.type):
        array = pc.greater(pc.list_value_length(array), 0)
    elif not pa.types.is_boolean(array.type):
        array = array.is_valid()
    return _Truth(_as_mask(array), values.rows, values.items)


def _follow(path: ast.expr, batch: pa.RecordBatch) -> _Values:
    first, *fields = names = _names(path)
    if first not in batch.schema.names:
        columns = ", ".join(batch.schema.names)
        raise _does_not_fit(path, f"there is no column {first!r} among {columns}")
    values = _Values(batch.column(first))
    for depth, field in enumerate(fields, start=1):
        values = _items(values, names[:depth])
        if not pa.types.is_struct(values.array.type) or (
            values.array.type.get_field_index(field) < 0
        ):
            raise _does_not_fit(path, f"{'.'.join(names[:depth])} has no field {field!r}")
        values = _Values(pc.struct_field(values.array, field), values.rows, values.items)
    return values


def _items(values: _Values, names: Sequence[str]) -> _Values:
    """Return the items of the lists that a path leads to; other values as they are."""
    if not _is_list(values.array.type):
        return values
    rows = pc.list_parent_indices(values.array).to_numpy()
    if values.rows is not None:
        rows = values.rows[rows]
    return _Values(pc.list_flatten(values.array), rows, tuple(names))


def _names(path: ast.expr) -> list[str]:
    match path:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=value, attr=name):
            return [*_names(value), name]
    raise _does_not_fit(path, "a column has to stand there, such as ner.label")


def _constant(node: ast.expr) -> str | int | float | bool:
    match node:
        case ast.Constant(value=str() | int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Name(id=word):
            return word
    raise _does_not_fit(node, "a word, a number or a text in quotes has to stand there")


def _scalar(node: ast.expr, type_: pa.DataType) -> pa.Scalar:
    """Return a constant; a number is as exact as the column, so that 0.9 equals a stored 0.9."""
    value = _constant(node)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return pa.scalar(value, type_ if is_number and pa.types.is_floating(type_) else None)


def _as_mask(array: pa.Array) -> np.ndarray:
    return pc.fill_null(array, fill_value=False).to_numpy(zero_copy_only=False).astype(bool)


def _is_list(type_: pa.DataType) -> bool:
    return pa.types.is_list(type_) or pa.types.is_large_list(type_)


def _does_not_fit(node: ast.expr, why: str) -> ConfigError:
    return ConfigError(f"The condition on {ast.unparse(node)!r} does not fit: {why}.")
