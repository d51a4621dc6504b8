"""Tokenizers of a few hundred pieces, the same at every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product
from math import log
from typing import TYPE_CHECKING, Any

from bertpipe.testing.texts import TEXTS

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

_SPECIAL = {
    "wordpiece": {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"},
    "bytes": {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>"},
    "unigram": {"pad": "<pad>", "unk": "<unk>", "cls": "[CLS]", "sep": "[SEP]"},
}
TOKENIZERS = tuple(_SPECIAL)


def tiny_tokenizer(
    kind: str, *, max_length: int = 64, has_types: bool = True, has_mask: bool = False
) -> PreTrainedTokenizerFast:
    """Return a tokenizer that knows `TEXTS`: wordpiece, bytes or unigram.

    has_types: whether it tells the model's segments. has_mask: whether it has a mask token.
    """
    from transformers import PreTrainedTokenizerFast

    special = _SPECIAL[kind]
    tokenizer = _make(kind, list(special.values()))
    tokenizer.post_processor = _post_processor(kind, tokenizer, special)
    if has_mask:
        special = {**special, "mask": "<mask>" if kind == "bytes" else "[MASK]"}
        tokenizer.add_special_tokens([special["mask"]])
    names = {f"{name}_token": piece for name, piece in special.items()}
    types = ["token_type_ids"] if has_types else []
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", *types, "attention_mask"],
        **names,
    )


def _make(kind: str, special: list[str]) -> Tokenizer:
    """Return a tokenizer; ids of special tokens come first, in order.

    Pieces are counted here: the trainers of WordPiece and Unigram give others at every run.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    if kind == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=330, special_tokens=special, show_progress=False, initial_alphabet=alphabet
        )
        tokenizer.train_from_iterator(TEXTS, trainer)
    elif kind == "wordpiece":
        normalizer: Any = normalizers.BertNormalizer(lowercase=True)
        pre_tokenizer: Any = pre_tokenizers.BertPreTokenizer()
        counts = _count_pieces(normalizer, pre_tokenizer, "##")
        vocabulary = {piece: i for i, piece in enumerate([*special, *counts])}
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special[1]))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    else:
        normalizer, pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
        counts = _count_pieces(normalizer, pre_tokenizer, "")
        scores = [(piece, log(n / counts.total())) for piece, n in counts.items()]
        tokenizer = Tokenizer(models.Unigram([*((piece, 0.0) for piece in special), *scores], 1))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.add_special_tokens(special)
    return tokenizer


def _count_pieces(normalizer: Any, pre_tokenizer: Any, mark: str) -> Counter[str]:
    """Count characters and common pieces of words; `mark` begins those inside a word."""
    characters: Counter[str] = Counter()
    longer: Counter[str] = Counter()
    for text in TEXTS:
        for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)):
            for length, i in product(range(1, 5), range(len(word))):
                counts = characters if length == 1 else longer
                counts[(mark if i else "") + word[i : i + length]] += 1
    common = sorted(longer.items(), key=lambda item: (-item[1], item[0]))[:200]
    return characters + Counter(dict(common))


def _post_processor(kind: str, tokenizer: Tokenizer, special: Mapping[str, str]) -> Any:
    from tokenizers import processors

    cls, sep = (
        (special[name], tokenizer.token_to_id(special[name]) or 0) for name in ("cls", "sep")
    )
    if kind == "bytes":
        return processors.RobertaProcessing(sep, cls, trim_offsets=True, add_prefix_space=False)
    return processors.TemplateProcessing(
        single=f"{cls[0]} $A {sep[0]}",
        pair=f"{cls[0]} $A {sep[0]} $B:1 {sep[0]}:1",
        special_tokens=[cls, sep],
    )
