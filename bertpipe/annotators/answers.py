"""The best spans of a text as answers, for all questions at once.

The score follows section 4.3 of Devlin et al., "BERT: Pre-training of Deep Bidirectional
Transformers for Language Understanding" (NAACL 2019): an answer's start logit plus its end logit,
against those of the first token, which stand for "no answer".
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bertpipe.annotators.request import Windowed
from bertpipe.annotators.spans import Characters
from bertpipe.annotators.words import widen
from bertpipe.batching.windows import Windows, ranges


@dataclass(frozen=True)
class Answers:
    """Answers sorted by item, the best of each item first.

    item: int64. start, end: int64 flat positions. score: float32, between 0 and 1.
    """

    item: np.ndarray
    start: np.ndarray
    end: np.ndarray
    score: np.ndarray


@dataclass
class _Rows:
    """The rows of all windows: its first token, which is never open, then its body.

    start, end: float32, how far the logits exceed those of the window's first token; an answer
        cannot begin or end where they are minus infinity. token, item: int64; token is flat.
    open: bool, true where an answer may still lie.
    """

    start: np.ndarray
    end: np.ndarray
    token: np.ndarray
    item: np.ndarray
    open: np.ndarray


def find_answers(
    logits: np.ndarray, windowed: Windowed, characters: Characters, *, top_k: int, max_length: int
) -> Answers:
    """Return up to `top_k` answers of each item, none overlapping a better one.

    logits: float32 (n_rows, 2), start and end. max_length: in tokens, before an answer that begins
    or ends inside a word is widened to the whole word.
    """
    tokens, windows = windowed.tokens, windowed.windows
    base = np.repeat(characters.offsets[:-1], tokens.lengths)
    begin, end = characters.trim(base + tokens.starts, base + tokens.ends)
    rows = _read_rows(logits, windows, is_visible=begin < end)
    rounds = []
    for item, first, last, score in _rounds(rows, windows, top_k, max_length):
        start, stop = widen(begin[first], end[last], characters)
        rounds.append((item, start, stop, score))
        _close(rows, item, start, stop, begin, end)
    item, start, stop, score = (np.concatenate(column) for column in zip(*rounds, strict=True))
    order = np.argsort(item, kind="stable")
    return Answers(item[order], start[order], stop[order], score[order])


def _read_rows(logits: np.ndarray, windows: Windows, *, is_visible: np.ndarray) -> _Rows:
    n_rows = np.diff(windows.rows)
    window = np.repeat(np.arange(len(windows)), n_rows)
    token = ranges(windows.begin - 1, windows.begin - 1 + n_rows)
    is_open = np.ones(len(token), dtype=bool)
    is_open[windows.rows[:-1]] = False
    # The logits of a window are known up to a constant that differs from window to window: only
    # differences inside one window compare with those of other windows and other texts. They are
    # the log odds of an answer against none.
    relative = logits - logits[windows.rows[:-1]][window]
    relative[is_open] = np.where(is_visible[token[is_open]][:, None], relative[is_open], -np.inf)
    item = windows.item[window].astype(np.int64)
    return _Rows(relative[:, 0], relative[:, 1], token, item, is_open)


def _rounds(
    rows: _Rows, windows: Windows, top_k: int, max_length: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the best answers that are left: item, first and last flat token, score.

    Between two rounds the caller closes the tokens of the answers.
    """
    rows_of_item = windows.rows[windows.offsets]
    has_rows = np.diff(rows_of_item) > 0
    firsts, n_rows = rows_of_item[:-1][has_rows], np.diff(rows_of_item)[has_rows]
    for _ in range(top_k):
        odds, reach = best_spans(rows.start, rows.end, rows.open, max_length)
        best = np.maximum.reduceat(odds, firsts) if len(firsts) else odds
        at_best = np.flatnonzero(odds == np.repeat(best, n_rows))
        row = at_best[np.flatnonzero(np.diff(rows.item[at_best], prepend=-1))]
        row = row[odds[row] > -np.inf]
        yield rows.item[row], rows.token[row], rows.token[row] + reach[row], likelihood(odds[row])


def likelihood(odds: np.ndarray) -> np.ndarray:
    """Return the scores of answers, float32, from their log odds against no answer."""
    return np.exp(-np.logaddexp(0.0, -odds.astype(np.float64))).astype(np.float32)


def best_spans(
    start: np.ndarray, end: np.ndarray, is_open: np.ndarray, max_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each row the best span that begins there: its sum, and its last row less its first.

    A span lies in at most max_length rows, all of them open. Where none can begin the sum is minus
    infinity. The shorter of two equal spans wins.
    """
    alive = is_open.copy()
    best = np.where(alive, start + end, -np.inf).astype(start.dtype)
    reach = np.zeros(len(start), dtype=np.int64)
    for length in range(1, min(max_length, len(start))):
        alive = alive[:-1] & is_open[length:]
        total = np.where(alive, start[:-length] + end[length:], -np.inf)
        is_better = total > best[:-length]
        best[:-length][is_better] = total[is_better]
        reach[:-length][is_better] = length
    return best, reach


def _close(
    rows: _Rows,
    item: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
) -> None:
    """Close, in all windows of each given item, the tokens that share characters with its answer.

    begin, end: where each token begins and ends.
    """
    answer = np.full(int(rows.item.max(initial=0)) + 1, -1)
    answer[item] = np.arange(len(item))
    which = answer[rows.item]
    checked = np.flatnonzero(rows.open & (which >= 0))
    which, token = which[checked], rows.token[checked]
    rows.open[checked] = (end[token] <= start[which]) | (begin[token] >= stop[which])
