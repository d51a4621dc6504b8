"""Which tokens go on with the word before them."""

import json
import unicodedata
from functools import cache

import numpy as np
from tokenizers import Tokenizer

from bertpipe.annotators.spans import Characters, Kept, segments
from bertpipe.batching.tokens import Tokens

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
            continues = ~_near_space(kept.start, characters)
        return continues & (kept.ids != self._unknown)


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


def word_ranges(tokens: Tokens, characters: Characters) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last token of the word that each token lies in, int64 (n_tokens,).

    A word is a run of letters, digits and marks, of one character in scripts without spaces.
    Tokens that share a character are one word.
    """
    joins = _joins(tokens, characters)
    firsts, lasts = segments(~joins)
    word = np.cumsum(~joins) - 1
    return firsts[word], lasts[word]


def _joins(tokens: Tokens, characters: Characters) -> np.ndarray:
    base = np.repeat(characters.offsets[:-1], tokens.lengths)
    start = base + tokens.starts
    inside = (tokens.starts > 0) & (tokens.starts < tokens.ends)
    of_word = np.append(_of_word()[characters.codes], False)
    joins = inside & of_word[start] & of_word[start - 1]
    joins[1:] |= tokens.starts[1:] < tokens.ends[:-1]
    joins[tokens.offsets[:-1][tokens.lengths > 0]] = False
    return joins


@cache
def _of_word() -> np.ndarray:
    """Return which code points are part of longer words, bool (0x110000,)."""
    table = np.array([unicodedata.category(chr(code))[0] in "LNM" for code in range(0x110000)])
    for first, last in UNSPACED:
        table[first : last + 1] = False
    return table
