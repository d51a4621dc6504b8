"""What the label names of a token classifier say: IOB1, IOB2, BILOU, IOBES or plain labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OUTSIDE = "O"
_IOB = frozenset("BI")
_SCHEMES = ((frozenset("BILU"), "L"), (frozenset("BIES"), "E"))
_LETTERS = frozenset("BILUES")
_BEGINS = frozenset("BUS")
_ENDS = frozenset("LEUS")


@dataclass(frozen=True)
class Tags:
    """The labels of a model as entity types with a place in the entity.

    types: the entity types, without prefix; the outside label is one of them.
    type_of: int64 (n_labels,), the index of each label's type.
    begins: bool (n_labels,), true where a label starts an entity whatever stands before it.
    ends: bool (n_labels,), true where nothing that follows belongs to the same entity.
    """

    types: tuple[str, ...]
    type_of: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    @property
    def outside(self) -> int:
        """Return the index of the outside type, -1 where every token has an entity."""
        return self.types.index(OUTSIDE) if OUTSIDE in self.types else -1


def read_tags(labels: Sequence[str]) -> Tags:
    """Find the scheme in the label names and take them apart.

    A label `I-X`, and a plain label, goes on with the entity before it when the type is the same:
    that reads IOB1 and IOB2 alike. A label without a prefix of the scheme is a plain type, hyphens
    included.
    """
    prefixes = find_prefixes(labels)
    parts = [_split(label, prefixes) for label in labels]
    types = tuple(dict.fromkeys(name for _, name in parts))
    return Tags(
        types=types,
        type_of=np.array([types.index(name) for _, name in parts], dtype=np.int64),
        begins=np.array([prefix in _BEGINS for prefix, _ in parts], dtype=bool),
        ends=np.array([prefix in _ENDS for prefix, _ in parts], dtype=bool),
    )


def plain_tags(labels: Sequence[str]) -> Tags:
    """Take every label as it stands: no prefix, no place in an entity."""
    neither = np.zeros(len(labels), dtype=bool)
    return Tags(tuple(labels), np.arange(len(labels)), neither, neither)


def find_prefixes(labels: Sequence[str]) -> frozenset[str]:
    """Return the prefixes of the scheme.

    BILOU and IOBES are recognised when every label but `O` has one of their prefixes and the types
    that can begin are those that can end; otherwise only `B-` and `I-` are prefixes.
    """
    heads: dict[str, set[str]] = {}
    for label in labels:
        if label != OUTSIDE:
            prefix, name = _split(label, _LETTERS)
            heads.setdefault(prefix, set()).add(name)
    for scheme, last in _SCHEMES:
        if heads.keys() <= scheme and last in heads and heads[last] == heads.get("B"):
            return scheme
    return _IOB


def _split(label: str, prefixes: frozenset[str]) -> tuple[str, str]:
    if label[1:2] == "-" and label[0] in prefixes:
        return label[0], label[2:]
    return "", label
