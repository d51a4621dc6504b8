"""Choose the records that are used: a part that is held out, or a limited number."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

from bertpipe.errors import CorpusError
from bertpipe.training.settings import Source

R = TypeVar("R")


def select(records: list[R], source: Source, key: Callable[[R], str]) -> list[R]:
    """Return the records of the source's part, at most as many as its limit, in their order.

    Raises:
        CorpusError: There is none.
    """
    if source.part != "all":
        held_out = source.part == "held_out"
        records = [r for r in records if (fraction(key(r)) < source.held_out) == held_out]
    if source.limit is not None:
        order = sorted(range(len(records)), key=lambda i: fraction(f"{i} {key(records[i])}"))
        records = [records[i] for i in sorted(order[: source.limit])]
    if not records:
        raise CorpusError(
            f"{source.path} holds no record to use: look into it, and check part, held_out and "
            "limit."
        )
    return records


def fraction(key: str) -> float:
    """Map a key to a fixed number in [0, 1) that looks random."""
    return int.from_bytes(hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:7]) / 2**56
