"""Tokenise texts into flat arrays and learn which special tokens a model wants around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Encoding, Tokenizer

from bertpipe.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TEXTS_AT_ONCE = 512  # an encoding takes far more memory than its flat arrays, and is soon done with
PROBES = ("a", "1", ".", "e", "A", "the")


@dataclass(frozen=True)
class Tokens:
    """The tokens of many texts, end to end, without special tokens.

    ids, starts, ends: int32 (n_tokens,). Offsets count code points, end exclusive.
    offsets: int64 (n_texts + 1,). The tokens of text i are offsets[i]:offsets[i + 1].
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Return the number of tokens of each text, int64 (n_texts,)."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Template:
    """The special tokens around a text, or around a pair of texts, and their segment types.

    One text: before + text + after. A pair: pair_before + first + between + second + pair_after.
    Types are those of the first and of the second text with the special tokens around each.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    pair_before: tuple[int, ...]
    between: tuple[int, ...]
    pair_after: tuple[int, ...]
    pair_types: tuple[tuple[int, ...], tuple[int, int], tuple[int, ...], tuple[int, ...]]

    @property
    def n_single(self) -> int:
        """Return the number of special tokens around one text."""
        return len(self.before) + len(self.after)

    @property
    def n_pair(self) -> int:
        """Return the number of special tokens around a pair."""
        return len(self.pair_before) + len(self.between) + len(self.pair_after)


def prepare(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """Return the tokenizer's fast back end with truncation and padding switched off.

    A `tokenizer.json` may carry both (all-MiniLM-L6-v2 truncates at 128 tokens and pads to 128).
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError(
            f"The tokenizer of {tokenizer.name_or_path!r} is a {type(tokenizer).__name__} without "
            "character offsets; save it as a fast tokenizer (tokenizer.json) first."
        )
    backend.no_truncation()
    backend.no_padding()
    return backend


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    """Tokenise texts into flat arrays; the tokenizer neither truncates nor pads."""
    starts = range(0, max(1, len(texts)), TEXTS_AT_ONCE)
    return join([_tokenize(tokenizer, texts[i : i + TEXTS_AT_ONCE]) for i in starts])


def _tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    offsets = np.zeros(len(encodings) + 1, dtype=np.int64)
    np.cumsum([len(encoding) for encoding in encodings], out=offsets[1:])
    n_tokens = int(offsets[-1])
    ids = np.fromiter(chain.from_iterable(e.ids for e in encodings), np.int32, n_tokens)
    pairs = chain.from_iterable(chain.from_iterable(e.offsets for e in encodings))
    spans = np.fromiter(pairs, np.int32, 2 * n_tokens).reshape(n_tokens, 2)
    return Tokens(ids, spans[:, 0].copy(), spans[:, 1].copy(), offsets)


def join(parts: Sequence[Tokens]) -> Tokens:
    """Return the tokens of the texts of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    lengths = np.concatenate([part.lengths for part in parts])
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Tokens(
        ids=np.concatenate([part.ids for part in parts]),
        starts=np.concatenate([part.starts for part in parts]),
        ends=np.concatenate([part.ends for part in parts]),
        offsets=offsets,
    )


def find_template(tokenizer: Tokenizer, *, has_types: bool = True) -> Template:
    """Read the special tokens off two encoded probes, so that any post-processor is understood.

    has_types: false for a model that is given no segment types; all are 0 then.
    """
    text = next((text for text in PROBES if tokenizer.encode(text, add_special_tokens=False)), None)
    if text is None:
        raise ModelError("The tokenizer gives no token for any letter or digit; save it anew.")
    single = tokenizer.encode(text)
    pair = tokenizer.encode(text, text)
    before, after = _around(single, [0])
    first = [i for i, sequence in enumerate(pair.sequence_ids) if sequence == 0]
    second = [i for i, sequence in enumerate(pair.sequence_ids) if sequence == 1]
    types = pair.type_ids if has_types else [0] * len(pair)
    return Template(
        before=before,
        after=after,
        pair_before=tuple(pair.ids[: first[0]]),
        between=tuple(pair.ids[first[-1] + 1 : second[0]]),
        pair_after=tuple(pair.ids[second[-1] + 1 :]),
        pair_types=(
            tuple(types[: first[0]]),
            (types[first[0]], types[second[0]]),
            tuple(types[first[-1] + 1 : second[0]]),
            tuple(types[second[-1] + 1 :]),
        ),
    )


def _around(encoding: Encoding, sequences: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    inside = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence in sequences]
    return tuple(encoding.ids[: inside[0]]), tuple(encoding.ids[inside[-1] + 1 :])
