"""Cut token sequences into windows that fit the encoder."""

from dataclasses import dataclass

import numpy as np

from bertpipe.batching.tokens import Template, Tokens
from bertpipe.errors import ConfigError, DocumentError


@dataclass(frozen=True)
class Items:
    """What is to be annotated: texts, or texts with a prefix (a question) each.

    text: int32 (n_items,), the index of the item's text among the tokenised texts.
    prefix: int32 (n_items,), the index of its prefix among the tokenised prefixes, or None.
    """

    text: np.ndarray
    prefix: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True)
class Windows:
    """Slices of texts, in item order; every token of an item lies in at least one.

    item, prefix: int32 (n_windows,); prefix is -1 where there is none.
    begin, end: int64 (n_windows,), the window's body as a range of the flat tokens.
    keep_begin, keep_end: int64 (n_windows,), the tokens that this window speaks for: those that are
        farther from its edges than from the edges of its neighbours. They partition each item.
    lengths: int64 (n_windows,), tokens with prefix and special tokens.
    rows: int64 (n_windows + 1,). A head that scores tokens gives 1 + (end - begin) rows a window,
        for its first token and its body, in that order.
    truncated: bool (n_items,), true where tokens were left out.
    """

    item: np.ndarray
    prefix: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    keep_begin: np.ndarray
    keep_end: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.item)

    @property
    def n_items(self) -> int:
        """Return the number of items, those without a window included."""
        return len(self.truncated)

    @property
    def offsets(self) -> np.ndarray:
        """Return where each item's windows begin, int64 (n_items + 1,)."""
        return np.searchsorted(self.item, np.arange(self.n_items + 1))


def cut(
    tokens: Tokens,
    items: Items,
    template: Template,
    *,
    max_length: int,
    stride: int,
    truncation: str = "window",
    prefixes: Tokens | None = None,
) -> Windows:
    """Cut each item into the fewest windows that overlap by at least `stride` tokens.

    The windows of one item have equal lengths (to a token), so none is a short remainder with
    little context, and together they hold no more tokens than a greedy cut would.
    An item without tokens has no window. `truncation` is `window`, `head` (the first window only)
    or `error` (raise DocumentError when an item needs more than one).
    """
    n_tokens = tokens.lengths[items.text]
    room = _room(items, template, prefixes, max_length)
    overlap = np.minimum(_checked_stride(stride, max_length), room // 2)
    n_windows = 1 + np.maximum(0, -(-(n_tokens - room) // (room - overlap)))
    n_windows[n_tokens == 0] = 0
    truncated = np.zeros(len(items), dtype=bool)
    if truncation == "error":
        _refuse_long(n_tokens, n_windows, room)
    elif truncation == "head":
        truncated = n_windows > 1
        n_tokens = np.minimum(n_tokens, room)
        n_windows = np.minimum(n_windows, 1)
    return _place(tokens, items, template, prefixes, n_tokens, n_windows, overlap, truncated)


def ranges(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the concatenation of the integer ranges begin[i]:end[i], int64."""
    counts = end - begin
    first = np.repeat(begin - np.cumsum(counts) + counts, counts)
    return first + np.arange(int(counts.sum()))


def _room(items: Items, template: Template, prefixes: Tokens | None, max_length: int) -> np.ndarray:
    if items.prefix is None or prefixes is None:
        room = np.full(len(items), max_length - template.n_single)
    else:
        room = max_length - template.n_pair - prefixes.lengths[items.prefix]
    if len(room) and room.min() < 8:
        raise DocumentError(
            f"A window of max_length {max_length} tokens has room for {int(room.min())} tokens of "
            "text beside the special tokens and the question; shorten the question or raise "
            "max_length."
        )
    return room


def _checked_stride(stride: int, max_length: int) -> int:
    if not 0 <= stride <= max_length // 2:
        raise ConfigError(
            f"stride {stride} must lie between 0 and half of max_length {max_length}."
        )
    return stride


def _refuse_long(n_tokens: np.ndarray, n_windows: np.ndarray, room: np.ndarray) -> None:
    if n_windows.max(initial=0) > 1:
        i = int(n_windows.argmax())
        raise DocumentError(
            f"The text has {n_tokens[i]} tokens, a window holds {room[i]}; shorten it or set "
            "truncation to window or head."
        )


def _place(
    tokens: Tokens,
    items: Items,
    template: Template,
    prefixes: Tokens | None,
    n_tokens: np.ndarray,
    n_windows: np.ndarray,
    overlap: np.ndarray,
    truncated: np.ndarray,
) -> Windows:
    item = np.repeat(np.arange(len(items), dtype=np.int32), n_windows)
    number = ranges(np.zeros_like(n_windows), n_windows)  # of the window inside its item
    count = n_windows[item]
    covered = n_tokens + (n_windows - 1) * overlap
    size = (-(-covered // np.maximum(n_windows, 1)))[item]
    last_begin = n_tokens[item] - size
    begin = number * last_begin // np.maximum(count - 1, 1)
    begin += tokens.offsets[items.text][item]
    end = begin + size
    middle = (begin[1:] + end[:-1] + 1) // 2
    is_first, is_last = number == 0, number == count - 1
    keep_begin = np.where(is_first, begin, np.concatenate([begin[:1], middle]))
    keep_end = np.where(is_last, end, np.concatenate([middle, end[-1:]]))
    if items.prefix is None or prefixes is None:
        prefix = np.full(len(item), -1, dtype=np.int32)
        lengths = size + template.n_single
    else:
        prefix = items.prefix[item].astype(np.int32)
        lengths = size + template.n_pair + prefixes.lengths[prefix]
    rows = np.concatenate([[0], np.cumsum(1 + size)])
    return Windows(item, prefix, begin, end, keep_begin, keep_end, lengths, rows, truncated)
