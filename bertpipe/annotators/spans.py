"""Spans of characters in many texts at once, as flat arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from bertpipe.annotators.request import Windowed
from bertpipe.batching.windows import ranges


@dataclass(frozen=True)
class Characters:
    """The characters of many texts, end to end.

    A flat position counts code points from the beginning of the first text.
    whole: the texts, joined. codes: uint32 (n_characters,). offsets: int64 (n_texts + 1,).
    visible: int64, the flat positions of the characters that are not white space.
    """

    whole: str
    codes: np.ndarray
    offsets: np.ndarray
    visible: np.ndarray

    def trim(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Leave white space out at both ends of flat spans; a blank span becomes an empty one."""
        first = np.searchsorted(self.visible, start)
        last = np.searchsorted(self.visible, end) - 1
        is_blank = first > last
        padded = np.append(self.visible, 0)
        return (
            np.where(is_blank, start, padded[first]),
            np.where(is_blank, start, padded[last] + 1),
        )

    def cut(self, start: np.ndarray, end: np.ndarray) -> pa.Array:
        """Return the text of each flat span."""
        whole = self.whole
        pairs = zip(start.tolist(), end.tolist(), strict=True)
        return pa.array([whole[begin:stop] for begin, stop in pairs], pa.string())


def read_characters(texts: Sequence[str]) -> Characters:
    """Lay texts end to end."""
    whole = "".join(texts)
    codes = np.frombuffer(whole.encode("utf-32-le"), dtype=np.uint32)
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    spaces = _spaces()
    is_space = spaces[np.minimum(codes, len(spaces) - 1)]
    return Characters(whole, codes, offsets, np.flatnonzero(~is_space))


@cache
def _spaces() -> np.ndarray:
    """Return which code points are white space; the last entry stands for all higher ones."""
    return np.array([chr(code).isspace() for code in range(0x3001)] + [False])


@dataclass(frozen=True)
class Kept:
    """The tokens of all items, each with the scores of the window that speaks for it.

    All int64 (n_tokens,): ids; item; row, the place of its scores; start and end, flat positions.
    Tokens of an item stand together, in order.
    """

    ids: np.ndarray
    item: np.ndarray
    row: np.ndarray
    start: np.ndarray
    end: np.ndarray


def keep(windowed: Windowed, characters: Characters) -> Kept:
    """Choose for each token the window in which it is farthest from an edge."""
    windows, tokens = windowed.windows, windowed.tokens
    token = ranges(windows.keep_begin, windows.keep_end)
    window = np.repeat(np.arange(len(windows)), windows.keep_end - windows.keep_begin)
    item = windows.item[window].astype(np.int64)
    base = characters.offsets[windowed.request.items.text][item]
    return Kept(
        ids=tokens.ids[token].astype(np.int64),
        item=item,
        row=windows.rows[window] + 1 + token - windows.begin[window],
        start=base + tokens.starts[token],
        end=base + tokens.ends[token],
    )


def segments(begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last index of each segment that begins where `begins` is true."""
    firsts = np.flatnonzero(begins)
    return firsts, np.append(firsts, len(begins))[1:] - 1


def lists(
    item: np.ndarray, n_items: int, columns: dict[str, object], kind: pa.DataType
) -> pa.Array:
    """Return a list for each item from columns that are sorted by item.

    kind: a list type whose values are structs with the columns' names.
    """
    offsets = np.searchsorted(item, np.arange(n_items + 1)).astype(np.int32)
    fields = [kind.value_type.field(name) for name in columns]
    arrays = [
        pa.array(column, field.type) for column, field in zip(columns.values(), fields, strict=True)
    ]
    values = pa.StructArray.from_arrays(arrays, fields=fields)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)
