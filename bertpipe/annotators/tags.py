"""What the label names of a token classifier say: IOB1, IOB2, BILOU, IOBES or plain labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OUTSIDE = "O"
# `tag_scheme` in the config of a model: entities begin with I- and, right behind another of their
# type, with B-; or all with B-.
IOB1, IOB2 = "IOB1", "IOB2"
_IOB = frozenset("BI")
ENDED = {"BILOU": (frozenset("BILU"), "L"), "IOBES": (frozenset("BIES"), "E")}
LETTERS = frozenset("BILUES")
_BEGINS = frozenset("BUS")
_ENDS = frozenset("LEUS")
OPEN, GOES_ON = frozenset("BI"), frozenset("IEL")


@dataclass(frozen=True)
class Tags:
    """The labels of a model as entity types with a place in the entity.

    types: the entity types, without prefix; the outside label is one of them.
    type_of: int64 (n_labels,), the index of each label's type.
    begins: bool (n_labels,), true where a label starts an entity whatever stands before it.
    ends: bool (n_labels,), true where nothing that follows belongs to the same entity.
    follows: bool (n_labels, n_labels), true where the second may stand right behind the first.
    opens, closes: bool (n_labels,), true for what may stand first, and last, in a text.
    """

    types: tuple[str, ...]
    type_of: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    follows: np.ndarray
    opens: np.ndarray
    closes: np.ndarray

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
    parts = [split(label, prefixes) for label in labels]
    types = tuple(dict.fromkeys(name for _, name in parts))
    must_end = has_ends(labels)
    # An I- whose type has no B- is how its entities begin.
    places = [("" if p == "I" and ("B", name) not in parts else p, name) for p, name in parts]
    return Tags(
        types=types,
        type_of=np.array([types.index(name) for _, name in parts], dtype=np.int64),
        begins=np.array([prefix in _BEGINS for prefix, _ in parts], dtype=bool),
        ends=np.array([prefix in _ENDS for prefix, _ in parts], dtype=bool),
        follows=np.array(
            [[may_follow(a, b, must_end=must_end) for b in places] for a in places], dtype=bool
        ),
        opens=np.array([prefix not in GOES_ON for prefix, _ in places], dtype=bool),
        closes=np.array([not (must_end and prefix in OPEN) for prefix, _ in places], dtype=bool),
    )


def has_ends(labels: Sequence[str]) -> bool:
    """Tell whether the scheme marks where entities end: BILOU or IOBES."""
    return len(find_prefixes(labels)) > len(_IOB)


def may_follow(before: tuple[str, str], after: tuple[str, str], *, must_end: bool = False) -> bool:
    """Tell whether a label may stand behind another; a prefix with its type each.

    must_end: whether the scheme marks where entities end.
    """
    is_open, goes_on = before[0] in OPEN, after[0] in GOES_ON
    if goes_on or (must_end and is_open):
        return is_open and goes_on and before[1] == after[1]
    return True


def plain_tags(labels: Sequence[str]) -> Tags:
    """Take every label as it stands: no prefix, no place in an entity."""
    n_labels = len(labels)
    neither, every = np.zeros(n_labels, dtype=bool), np.ones(n_labels, dtype=bool)
    follows = np.ones((n_labels, n_labels), dtype=bool)
    return Tags(tuple(labels), np.arange(n_labels), neither, neither, follows, every, every)


def find_prefixes(labels: Sequence[str]) -> frozenset[str]:
    """Return the prefixes of the scheme.

    BILOU and IOBES are recognised when every label but `O` has one of their prefixes and the types
    that can begin are those that can end; otherwise only `B-` and `I-` are prefixes.
    """
    heads: dict[str, set[str]] = {}
    for label in labels:
        if label != OUTSIDE:
            prefix, name = split(label, LETTERS)
            heads.setdefault(prefix, set()).add(name)
    for scheme, last in ENDED.values():
        if heads.keys() <= scheme and last in heads and heads[last] == heads.get("B"):
            return scheme
    return _IOB


def split(label: str, prefixes: frozenset[str] = LETTERS) -> tuple[str, str]:
    """Return prefix and type of a label; one without a prefix of these is a type."""
    if label[1:2] == "-" and label[0] in prefixes:
        return label[0], label[2:]
    return "", label
