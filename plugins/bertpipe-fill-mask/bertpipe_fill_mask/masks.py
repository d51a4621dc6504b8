"""Where the masks of texts are, and the search for what fills several of them together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bertpipe import Windowed


@dataclass(frozen=True)
class Masks:
    """The masks of all items, in order.

    item, token, row: int64 (n_masks,); token is flat, row is the place of the mask's scores.
    """

    item: np.ndarray
    token: np.ndarray
    row: np.ndarray


def find_masks(windowed: Windowed, mask_id: int) -> Masks:
    """Return the masks, each scored by the window in which it is farthest from an edge.

    Those that truncation left out are not among them.
    """
    windows = windowed.windows
    token = np.flatnonzero(windowed.tokens.ids == mask_id)
    window = np.searchsorted(windows.keep_begin, token, side="right") - 1
    is_read = token < windows.keep_end[window] if len(windows) else np.zeros(len(token), bool)
    token, window = token[is_read], window[is_read]
    row = windows.rows[window] + 1 + token - windows.begin[window]
    return Masks(windows.item[window].astype(np.int64), token, row)


@dataclass(frozen=True)
class Filling:
    """Tokens for the first masks of an item, and the logarithm of their probability."""

    item: int
    tokens: tuple[int, ...]
    log_probability: float


# From the tokens of texts, end to end, to scores and where they belong.
Score = Callable[[Any], tuple[Windowed, np.ndarray]]


def search(windowed: Windowed, mask_id: int, *, width: int, score: Score) -> list[list[Filling]]:
    """Return the best fillings of each item, best first, found by a beam search.

    Masks are filled from left to right; each is read with those before it filled and those after it
    still masked. width: how many fillings of an item are followed, and returned.
    """
    n_items = windowed.windows.n_items
    masks = find_masks(windowed, mask_id)
    places = [masks.token[masks.item == item] for item in range(n_items)]
    beams = [[Filling(item, (), 0.0)] if len(places[item]) else [] for item in range(n_items)]
    for step in range(max(map(len, places), default=0)):
        open_beams = [
            one for item in range(n_items) if step < len(places[item]) for one in beams[item]
        ]
        for item in {one.item for one in open_beams}:
            beams[item] = []
        for longer in _extend(open_beams, windowed, places, mask_id, score):
            beams[longer.item].append(longer)
        beams = [sorted(each, key=_rank)[:width] for each in beams]
    return beams


def _rank(filling: Filling) -> tuple[float, tuple[int, ...]]:
    return (-filling.log_probability, filling.tokens)


def _extend(
    fillings: Sequence[Filling],
    windowed: Windowed,
    places: Sequence[np.ndarray],
    mask_id: int,
    score: Score,
) -> list[Filling]:
    """Fill one more mask of each filling with each of its candidates."""
    filled, scores = score(_filled(fillings, windowed.tokens, places))
    masks = find_masks(filled, mask_id)
    # The next mask of a filling is the first that is left.
    _, first = np.unique(masks.item, return_index=True)
    found = []
    for one, row in zip(fillings, scores[masks.row[first]], strict=True):
        for token, probability in row.reshape(-1, 2):
            logarithm = one.log_probability + float(np.log(max(probability, 1e-45)))
            found.append(Filling(one.item, (*one.tokens, int(token)), logarithm))
    return found


def _filled(fillings: Sequence[Filling], tokens: Any, places: Sequence[np.ndarray]) -> Any:
    """Return the tokens of a text for each filling, with the filled masks replaced."""
    ids = tokens.ids.copy()
    slices = [slice(*tokens.offsets[one.item : one.item + 2]) for one in fillings]
    parts = []
    for one, part in zip(fillings, slices, strict=True):
        own = ids[part].copy()
        own[places[one.item][: len(one.tokens)] - part.start] = one.tokens
        parts.append(own)
    return replace(
        tokens,
        ids=np.concatenate(parts),
        starts=np.concatenate([tokens.starts[part] for part in slices]),
        ends=np.concatenate([tokens.ends[part] for part in slices]),
        offsets=np.cumsum([0, *(len(part) for part in parts)]),
    )
