"""Group windows into batches under a token budget, and pack a batch into flat arrays."""

from dataclasses import dataclass

import numpy as np

from bertpipe.batching.tokens import Template, Tokens
from bertpipe.batching.windows import Windows, ranges


def plan(lengths: np.ndarray, *, budget: int) -> list[np.ndarray]:
    """Return batches of window indices, longest first, a function of the lengths alone.

    Each batch costs at most `budget` tokens when padded to its longest window; a window over the
    budget is a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        end = start + max(1, budget // longest)
        batches.append(order[start:end])
        start = end
    return batches


@dataclass(frozen=True)
class Batch:
    """Windows packed end to end, without padding.

    windows: int64 (n_windows,), indices of the windows, longest first.
    ids, types: int64 (n_tokens,). positions: int64 (n_tokens,), restarting at 0 in each window.
    offsets: int64 (n_windows + 1,). Window i is the tokens offsets[i]:offsets[i + 1].
    scored: int64 (n_rows,), the packed index of each window's first token and body.
    rows: int64 (n_rows,), where the scores of those tokens belong (`Windows.rows`).
    """

    windows: np.ndarray
    ids: np.ndarray
    types: np.ndarray
    positions: np.ndarray
    offsets: np.ndarray
    scored: np.ndarray
    rows: np.ndarray


def pack(
    which: np.ndarray,
    tokens: Tokens,
    windows: Windows,
    template: Template,
    prefixes: Tokens | None = None,
    *,
    text_first: bool = False,
) -> Batch:
    """Write the chosen windows with their special tokens into flat arrays.

    text_first: whether the body stands before the prefix of a pair.
    """
    lengths = windows.lengths[which]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.zeros(int(offsets[-1]), dtype=np.int64)
    types = np.zeros_like(ids)
    n_body = windows.end[which] - windows.begin[which]
    is_pair = prefixes is not None and len(which) > 0 and windows.prefix[which[0]] >= 0
    if is_pair and prefixes is not None:
        head = _write_pair(which, prefixes, windows, template, offsets, ids, types, text_first)
    else:
        _fill(ids, offsets[:-1], template.before)
        _fill(ids, offsets[1:] - len(template.after), template.after)
        head = np.full(len(which), len(template.before))
    body = offsets[:-1] + head
    ids[ranges(body, body + n_body)] = tokens.ids[ranges(windows.begin[which], windows.end[which])]
    starts = windows.rows[which]
    scored = np.empty(int((1 + n_body).sum()), dtype=np.int64)
    first = np.cumsum(1 + n_body) - (1 + n_body)
    scored[first] = offsets[:-1]
    scored[ranges(first + 1, first + 1 + n_body)] = ranges(body, body + n_body)
    return Batch(
        windows=which,
        ids=ids,
        types=types,
        positions=ranges(np.zeros_like(lengths), lengths),
        offsets=offsets,
        scored=scored,
        rows=ranges(starts, starts + 1 + n_body),
    )


def _write_pair(
    which: np.ndarray,
    prefixes: Tokens,
    windows: Windows,
    template: Template,
    offsets: np.ndarray,
    ids: np.ndarray,
    types: np.ndarray,
    text_first: bool,
) -> np.ndarray:
    """Write prefix and special tokens; return how many tokens stand before each body."""
    prefix = windows.prefix[which]
    n_prefix = prefixes.lengths[prefix]
    n_first = windows.end[which] - windows.begin[which] if text_first else n_prefix
    start = offsets[:-1] + len(template.pair_before)
    second = start + n_first + len(template.between)
    before, kinds, between, after = template.pair_types
    types[:] = kinds[1]
    types[ranges(start, start + n_first)] = kinds[0]
    place = second if text_first else start
    source = ranges(prefixes.offsets[prefix], prefixes.offsets[prefix + 1])
    ids[ranges(place, place + n_prefix)] = prefixes.ids[source]
    for values, target in ((template.pair_before, ids), (before, types)):
        _fill(target, offsets[:-1], values)
    for values, target in ((template.between, ids), (between, types)):
        _fill(target, start + n_first, values)
    for values, target in ((template.pair_after, ids), (after, types)):
        _fill(target, offsets[1:] - len(values), values)
    return (start if text_first else second) - offsets[:-1]


def _fill(place: np.ndarray, starts: np.ndarray, values: tuple[int, ...]) -> None:
    for i, value in enumerate(values):
        place[starts + i] = value
