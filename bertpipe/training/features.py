"""Turn records into windows of token ids with targets, as use will cut them."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from bertpipe.errors import ConfigError
from bertpipe.training.base import plain
from bertpipe.training.schemes import goes_on
from bertpipe.training.sources import Labelled, Question, Sentence

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
MAX_QUESTION_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Feature:
    """One window.

    `target` is a label id (classes), a number for each label, 1.0 where it holds (multi label),
    label ids per token (words), token ids per token (masks), the first and last token of the answer
    (0, 0 for none), or None before tokens are masked.

    `positions` says for each token which word it starts (-1: none), or which characters of the
    context it covers (None: not of the context).
    """

    ids: list[int]
    types: list[int]
    target: Any
    record: int
    positions: Sequence[Any] = ()


@dataclass(frozen=True)
class Encoder:
    """A tokenizer and the windows it cuts."""

    tokenizer: "PreTrainedTokenizerBase"
    max_length: int
    stride: int

    def __post_init__(self) -> None:
        if not 0 <= self.stride < self.max_length - 3:
            raise ConfigError(
                f"stride {self.stride} does not fit max_length {self.max_length}: make it smaller."
            )

    def windows(self, *texts: Any, cut: str = "longest_first") -> Any:
        """Return the tokenizer's encoding of `texts` with overflowing windows."""
        return self.tokenizer(
            *texts,
            truncation=cut,
            max_length=self.max_length,
            stride=self.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )

    def clipped(self, questions: list[str]) -> list[str]:
        """Cut questions to the tokens that leave room for a context longer than the stride."""
        room = max(1, min(MAX_QUESTION_TOKENS, self.max_length - self.stride - 8))
        plain(self.tokenizer)
        found = self.tokenizer(
            questions, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [
            text[: spans[:room][-1][1]] if spans else text
            for text, spans in zip(questions, found["offset_mapping"], strict=True)
        ]

    def sentences(self, records: list[Sentence], labels: dict[str, int]) -> list[Feature]:
        """Cut sentences; a word's label stands on its first sub-token, -100 on the others.

        A run takes the pieces of `U.S.` for words, where the tokenizer parts them: each has the
        word's label on its first sub-token, going on from the first piece.
        """
        texts, words = zip(*(record.laid_out() for record in records), strict=True)
        found = self.windows(list(texts))
        features = []
        for row, record in enumerate(found["overflow_to_sample_mapping"]):
            starts = first_tokens(found["offset_mapping"][row], words[record])
            begins = self._begins_piece(found, row)
            target = tag_ids(starts, begins, records[record].tags, labels)
            features.append(_feature(found, row, target, record, starts))
        return features

    def _begins_piece(self, found: Any, row: int) -> list[bool]:
        """Tell which tokens begin a piece that a run takes for a word."""
        prefix = getattr(self.tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
        if not prefix:
            return [False] * len(found["input_ids"][row])  # there words end at spaces alone
        is_text = (end > start for start, end in found["offset_mapping"][row])
        return [
            inside and not token.startswith(prefix)
            for inside, token in zip(is_text, found.tokens(row), strict=True)
        ]

    def plain(self, texts: list[str]) -> list[Feature]:
        """Cut texts that have no labels; a window of special tokens alone is left out."""
        found = self.windows(texts)
        n_special = self.tokenizer.num_special_tokens_to_add()
        return [
            _feature(found, row, None, record, ())
            for row, record in enumerate(found["overflow_to_sample_mapping"])
            if len(found["input_ids"][row]) > n_special
        ]

    def texts(
        self, records: list[Labelled], labels: dict[str, int], *, multi_label: bool = False
    ) -> list[Feature]:
        """Cut texts; every window has the classes of its text.

        Of a pair only the first text is cut into windows, each before the whole second.
        """
        texts: list[list[Any]] = [[record.text for record in records]]
        if records[0].pair is not None:
            texts.append(self.clipped([str(record.pair) for record in records]))
        found = self.windows(*texts, cut="only_first" if len(texts) > 1 else "longest_first")
        targets: list[Any] = [
            [float(label in record.labels) for label in labels]
            if multi_label
            else labels[record.label]
            for record in records
        ]
        return [
            _feature(found, row, targets[record], record, ())
            for row, record in enumerate(found["overflow_to_sample_mapping"])
        ]

    def questions(self, records: list[Question]) -> list[Feature]:
        """Cut contexts into windows, each behind its question, with the answer's tokens."""
        found = self.windows(
            self.clipped([record.question.strip() for record in records]),
            [record.context for record in records],
            cut="only_second",
        )
        features = []
        for row, record in enumerate(found["overflow_to_sample_mapping"]):
            offsets = [
                span if part == 1 else None
                for span, part in zip(
                    found["offset_mapping"][row], found.sequence_ids(row), strict=True
                )
            ]
            target = answer_tokens(offsets, records[record].answers[:1])
            features.append(_feature(found, row, target, record, offsets))
        return features


def first_tokens(offsets: Sequence[tuple[int, int]], words: Sequence[tuple[int, int]]) -> list[int]:
    """Return the word that each token begins, -1 for other tokens.

    offsets, words: the characters they cover. White space before a word belongs to it. A window
    that starts inside a word does not label its rest.
    """
    ends = [end for _, end in words]
    found, last = [], -1
    for start, end in offsets:
        word = bisect_right(ends, end - 1) if end > start else -1
        begins = last < word < len(words) and start <= words[word][0]
        found.append(word if begins else -1)
        last = max(last, word)
    return found


def tag_ids(
    starts: Sequence[int], begins: Sequence[bool], tags: Sequence[str], labels: Mapping[str, int]
) -> list[int]:
    """Return the label id of each token: of words, and of the pieces that go on a word."""
    found, tag = [], None
    for word, is_piece in zip(starts, begins, strict=True):
        if word >= 0:
            tag = tags[word]
            found.append(labels[tag])
        else:
            going_on = None if tag is None else goes_on(tag, labels)
            found.append(labels[going_on] if is_piece and going_on else IGNORED)
    return found


def answer_tokens(
    offsets: Sequence[tuple[int, int] | None], answers: Sequence[tuple[int, str]]
) -> tuple[int, int]:
    """Return the first and last token of the answer, (0, 0) if it is not whole in the window."""
    if not answers:
        return 0, 0
    start, end = answers[0][0], answers[0][0] + len(answers[0][1])
    inside = [
        token
        for token, span in enumerate(offsets)
        if span is not None and span[0] < end and span[1] > start
    ]
    whole = inside and offsets[inside[0]][0] <= start and offsets[inside[-1]][1] >= end  # type: ignore[index]
    return (inside[0], inside[-1]) if whole else (0, 0)


def one_window_each(
    features: list[Feature], records: list[Question], *, seed: int
) -> list[Feature]:
    """Keep one window for each question, one that holds its answer if it has any."""
    random = Random(seed)
    groups: dict[int, list[Feature]] = {}
    for feature in features:
        if not records[feature.record].answers or feature.target != (0, 0):
            groups.setdefault(feature.record, []).append(feature)
    return [random.choice(group) for group in groups.values()]


def _feature(found: Any, row: int, target: Any, record: int, positions: Sequence[Any]) -> Feature:
    ids = found["input_ids"][row]
    # As in use, all of one type where the tokenizer gives none.
    types = found["token_type_ids"][row] if "token_type_ids" in found else [0] * len(ids)
    return Feature(ids, types, target, record, positions)
