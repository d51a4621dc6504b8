"""The figures of each task: seqeval's entity F1, scikit-learn's accuracy, SQuAD's EM and F1."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def entity_scores(gold: list[list[str]], found: list[list[str]]) -> dict[str, float]:
    """Return precision, recall and F1 of whole entities, as the CoNLL scorer counts them."""
    from seqeval.metrics import f1_score, precision_score, recall_score

    scorers = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    return {name: float(scorer(gold, found, zero_division=0)) for name, scorer in scorers.items()}


def class_scores(gold: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """Return accuracy and macro F1."""
    from sklearn.metrics import accuracy_score, f1_score

    return {
        "accuracy": float(accuracy_score(gold, found)),
        "macro_f1": float(f1_score(gold, found, average="macro")),
    }


def set_scores(gold: "np.ndarray", found: "np.ndarray") -> dict[str, float]:
    """Return F1 over all labels and as the mean of the labels, of bools [texts, labels]."""
    from sklearn.metrics import f1_score

    return {
        f"{average}_f1": float(f1_score(gold, found, average=average, zero_division=0))
        for average in ("micro", "macro")
    }


def answer_scores(answers: Sequence[Sequence[str]], found: Sequence[str]) -> dict[str, float]:
    """Return SQuAD's exact match and F1: the best over the gold answers, averaged."""
    pairs = [(gold or [""], text) for gold, text in zip(answers, found, strict=True)]
    exact = [max(normalised(text) == normalised(one) for one in gold) for gold, text in pairs]
    f1 = [max(overlap(one, text) for one in gold) for gold, text in pairs]
    return {"exact_match": sum(exact) / len(pairs), "f1": sum(f1) / len(pairs)}


def normalised(text: str) -> str:
    """Lower-case, drop punctuation and English articles, and squeeze white space."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def overlap(gold: str, found: str) -> float:
    """Return the F1 of the normalised words; two empty answers agree, one alone does not."""
    gold_words, found_words = normalised(gold).split(), normalised(found).split()
    if not gold_words or not found_words:
        return float(gold_words == found_words)
    common = sum((Counter(gold_words) & Counter(found_words)).values())
    return 2 * common / (len(gold_words) + len(found_words))
