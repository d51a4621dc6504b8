"""Whether peers find the same: asked before any speed is compared."""

from collections.abc import Iterator, Sequence
from typing import Any

SCORE_TOLERANCE = 1e-4


def entities(rows: Sequence[dict[str, Any]], peer: Sequence[Any]) -> str:
    """Compare the entities of texts of one window; longer ones differ on purpose."""
    pairs = [
        ([(e["start"], e["end"], e["label"]) for e in row["ner"]], [e["score"] for e in row["ner"]])
        for row in rows
    ]
    found = [([tuple(e[:3]) for e in each], [e[3] for e in each]) for each in peer]
    return _compare("entities", rows, pairs, found)


def labels(rows: Sequence[dict[str, Any]], peer: Sequence[Any]) -> str:
    """Compare the labels of texts of one window; of longer ones the peer reads the beginning."""
    pairs = [(row["sentiment"]["label"], [row["sentiment"]["score"]]) for row in rows]
    return _compare("labels", rows, pairs, [(label, [score]) for label, score in peer])


def _compare(
    what: str,
    rows: Sequence[dict[str, Any]],
    ours: Sequence[tuple[Any, list[float]]],
    theirs: Sequence[tuple[Any, list[float]]],
) -> str:
    short = [i for i, row in enumerate(rows) if row["_n_windows"] == 1]
    equal = [i for i in short if ours[i][0] == theirs[i][0]]
    worst = max((gap for i in equal for gap in _gaps(ours[i][1], theirs[i][1])), default=0.0)
    verdict = "EQUAL" if len(equal) == len(short) and worst <= SCORE_TOLERANCE else "NOT EQUAL"
    return (
        f"{what} in fp32 {verdict}: the same on {len(equal)} of {len(short)} texts of one window, "
        f"scores within {worst:.1e}"
    )


def _gaps(ours: list[float], theirs: list[float]) -> Iterator[float]:
    for one, other in zip(ours, theirs, strict=True):
        yield abs(one - other)
