"""Where words begin and end."""

import json
import unicodedata
from collections.abc import Callable
from functools import cache

import numpy as np
from tokenizers import Tokenizer

from bertpipe.annotators.spans import Characters, Kept, segments

SPACE = 32
# Scripts that put no space between words: a run of their letters is no word.
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x312F),  # CJK radicals, Hiragana, Katakana, Bopomofo
    (0x31A0, 0x9FFF),  # CJK ideographs
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)

Continues = Callable[[Kept, Characters], np.ndarray]


class Continuations:
    """Tells which tokens continue a word, as the NER pipeline of transformers does.

    A tokenizer that marks continuing pieces (WordPiece) has them where a piece is not as long as
    the text it stands for; any other has them where no space is near. An unknown token is a word.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._unknown = _unknown_id(tokenizer)
        self._lengths: np.ndarray | None = None
        if getattr(tokenizer.model, "continuing_subword_prefix", None):
            vocabulary = tokenizer.get_vocab(with_added_tokens=True)
            self._lengths = np.zeros(max(vocabulary.values()) + 1, dtype=np.int64)
            self._lengths[list(vocabulary.values())] = [len(piece) for piece in vocabulary]

    def __call__(self, kept: Kept, characters: Characters) -> np.ndarray:
        """Return a bool for each token."""
        if self._lengths is not None:
            continues = self._lengths[kept.ids] != kept.end - kept.start
        else:
            continues = inside_word(kept, characters)
        return continues & (kept.ids != self._unknown)


def inside_word(kept: Kept, characters: Characters) -> np.ndarray:
    """Return a bool for each token: whether no space is near, so that words end at spaces alone."""
    return ~_near_space(kept.start, characters)


def _unknown_id(tokenizer: Tokenizer) -> int:
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    for piece in (model.get("unk_token"), "<unk>", "[UNK]"):
        found = tokenizer.token_to_id(piece) if piece else None
        if found is not None:
            return found
    return -1


def _near_space(start: np.ndarray, characters: Characters) -> np.ndarray:
    """Tell whether flat positions begin a text or have a space at them or before them."""
    begins = np.zeros(len(characters.codes) + 1, dtype=bool)
    begins[characters.offsets] = True
    is_space = np.append(characters.codes == SPACE, False)
    # At the very end of a text there is no character of that text.
    before = np.where(start > 0, is_space[start - 1], False)
    return begins[start] | is_space[start] | before


def widen(
    start: np.ndarray, end: np.ndarray, characters: Characters
) -> tuple[np.ndarray, np.ndarray]:
    """Widen flat spans to whole words: runs of letters, digits and marks.

    In scripts that put no space between words nothing is widened.
    """
    of_word = word_characters()[characters.codes]
    begins = np.ones(len(of_word), dtype=bool)
    begins[1:] = ~(of_word[1:] & of_word[:-1])
    begins[characters.offsets[characters.offsets < len(begins)]] = True
    firsts, lasts = segments(begins)
    of_start = np.searchsorted(firsts, start, side="right") - 1
    of_end = np.searchsorted(firsts, end, side="left") - 1
    return firsts[of_start], lasts[of_end] + 1


@cache
def word_characters() -> np.ndarray:
    """Return which code points are part of longer words, bool (0x110000,)."""
    table = np.array([unicodedata.category(chr(code))[0] in "LNM" for code in range(0x110000)])
    for first, last in UNSPACED:
        table[first : last + 1] = False
    return table
