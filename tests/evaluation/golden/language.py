"""Write masks.json and pairs.json: drawn predictions, and the figures that scikit-learn gives them.

python tests/evaluation/golden/language.py
"""

import json
import math
import random
from pathlib import Path
from typing import Any

import sklearn
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from sklearn.metrics import precision_recall_fscore_support as figures_of

VOCABULARY, N_TOKENS, N_PAIRS = 12, 80, 120
LABELS = ["next", "not_next"]
N_BINS = 15
BY = f"scikit-learn {sklearn.__version__} on probabilities of plain Python"


def masks(drawn: random.Random) -> dict[str, Any]:
    """Return hidden tokens with the logits of a vocabulary; about half of them are found."""
    tokens: list[dict[str, Any]] = []
    for _ in range(N_TOKENS):
        right = drawn.randrange(VOCABULARY)
        width = drawn.choice((1.0, 3.0, 6.0))
        logits = [round(drawn.gauss(0.0, width), 4) for _ in range(VOCABULARY)]
        if drawn.random() < 0.5:
            logits[right] = round(max(logits) + drawn.random() * width, 4)
        tokens.append({"gold": right, "logits": logits})
    gold = [token["gold"] for token in tokens]
    chances = [softmax(token["logits"]) for token in tokens]
    expected = {
        "accuracy": accuracy_score(gold, [each.index(max(each)) for each in chances]),
        "perplexity": math.exp(log_loss(gold, chances, labels=range(VOCABULARY))),
    }
    return {"computed_by": f"{BY}: accuracy, and e to log_loss", "expected": expected} | {
        "tokens": tokens
    }


def pairs(drawn: random.Random) -> dict[str, Any]:
    """Return pairs of sentences with the logits of one to three windows each."""
    records: list[dict[str, Any]] = []
    for _ in range(N_PAIRS):
        label = drawn.choice(LABELS)
        lean = drawn.gauss(1.0, 1.5) * (1 if label == "next" else -1)
        windows = [
            [round(drawn.gauss(lean, 1.0), 4), round(drawn.gauss(0.0, 1.0), 4)]
            for _ in range(drawn.choice((1, 1, 2, 3)))
        ]
        records.append({"label": label, "windows": windows})
    gold = [record["label"] for record in records]
    chances = [mean([softmax(window) for window in record["windows"]]) for record in records]
    found = [LABELS[each.index(max(each))] for each in chances]
    columns = figures_of(gold, found, labels=LABELS)
    rows = {
        label: dict(zip(("precision", "recall", "f1"), map(float, row), strict=True))
        for label, *row in zip(LABELS, *columns[:3], strict=True)
    }
    expected = {
        "accuracy": accuracy_score(gold, found),
        "macro_f1": sum(row["f1"] for row in rows.values()) / len(rows),
        "by_label": rows,
        "confusion": confusion_matrix(gold, found, labels=LABELS).tolist(),
        "ece": calibration_error([max(each) for each in chances], gold, found),
    }
    return {"computed_by": f"{BY} averaged over windows, ece by counting", "expected": expected} | {
        "records": records
    }


def softmax(logits: list[float]) -> list[float]:
    """Return probabilities."""
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


def mean(rows: list[list[float]]) -> list[float]:
    """Return the means of the columns."""
    return [sum(column) / len(column) for column in zip(*rows, strict=True)]


def calibration_error(scores: list[float], gold: list[str], found: list[str]) -> float:
    """Count by hand how far scores are from the share that is right, in bins of equal width."""
    error = 0.0
    for number in range(N_BINS):
        inside = [i for i, score in enumerate(scores) if math.ceil(score * N_BINS) - 1 == number]
        right = sum(gold[i] == found[i] for i in inside)
        error += abs(right - sum(scores[i] for i in inside)) / len(scores)
    return error


def main() -> None:
    """Write both files beside this one."""
    for name, make in (("masks", masks), ("pairs", pairs)):
        text = json.dumps(make(random.Random(name)))
        Path(__file__).with_name(f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
