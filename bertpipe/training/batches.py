"""Length-grouped batches of windows from one or several tasks.

A batch is what one step of the optimizer learns from. It goes through the device in pieces of at
most so many tokens, which decide memory and speed and leave the step as it is.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

from bertpipe.training.features import IGNORED, Feature

if TYPE_CHECKING:
    import torch

Key = tuple[str, int, int]  # task, position of the window, epoch


@dataclass(frozen=True)
class Portion:
    """Windows of one data file and how often an epoch reads them."""

    features: Sequence[Feature]
    passes: float = 1.0


def plan(lengths: Sequence[int], *, budget: int) -> list[list[int]]:
    """Group indices by length so that windows times longest window stays within `budget` tokens.

    A window longer than the budget stands alone.
    """
    batches: list[list[int]] = []
    for index in by_length(lengths):
        if batches and (len(batches[-1]) + 1) * lengths[index] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def group(lengths: Sequence[int], *, size: int) -> list[list[int]]:
    """Group indices by length into batches of at most `size`, equal in number but for one."""
    n_batches = math.ceil(len(lengths) / size)
    order = by_length(lengths)
    bounds = [len(order) * i // n_batches for i in range(n_batches + 1)] if order else []
    return [order[start:end] for start, end in pairwise(bounds)]


def by_length(lengths: Sequence[int]) -> list[int]:
    """Return the indices from the shortest to the longest."""
    return sorted(range(len(lengths)), key=lambda i: (lengths[i], i))


def draw(size: int, *, passes: float, random: Random) -> list[int]:
    """Return every index floor(passes) times and a random share of them once more."""
    extra = random.sample(range(size), round(size * math.modf(passes)[0]))
    return [*range(size)] * int(passes) + extra


class TaskBatches:
    """A batch sampler: lists of (task, window, epoch); seed and epoch decide order and make-up.

    A batch has at most `size` windows; without a size it has as many as fit `budget` tokens.
    The number of batches is planned for all epochs at the start, so that the schedule knows it.
    """

    def __init__(
        self,
        tasks: Mapping[str, Sequence[Portion]],
        *,
        size: int | None,
        budget: int,
        seed: int,
        epochs: int,
    ) -> None:
        self.tasks, self.size, self.budget = tasks, size, budget
        self.seed, self.epoch = seed, 0
        self.length = max(len(self._batches(epoch)) for epoch in range(epochs))

    def __len__(self) -> int:
        return self.length

    def set_epoch(self, epoch: int) -> None:
        """Choose the batches that the next iteration gives."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[Key]]:
        batches = self._batches(self.epoch)
        yield from batches
        yield from batches[: self.length - len(batches)]

    def _batches(self, epoch: int) -> list[list[Key]]:
        random = Random(f"{self.seed}/{epoch}")
        batches = []
        for task, portions in self.tasks.items():
            chosen = self._chosen(portions, random)
            random.shuffle(chosen)
            # Neighbours in length differ from epoch to epoch only by this noise.
            lengths = [length + random.randrange(4) for _, length in chosen]
            found = (
                plan(lengths, budget=self.budget)
                if self.size is None
                else group(lengths, size=self.size)
            )
            batches += [[(task, chosen[i][0], epoch) for i in batch] for batch in found]
        random.shuffle(batches)
        return batches

    @staticmethod
    def _chosen(portions: Sequence[Portion], random: Random) -> list[tuple[int, int]]:
        chosen, first = [], 0
        for portion in portions:
            indices = draw(len(portion.features), passes=portion.passes, random=random)
            chosen += [(first + i, len(portion.features[i].ids)) for i in indices]
            first += len(portion.features)
        return chosen


class TaskFeatures(Dataset[tuple[str, Feature]]):
    """The windows of every task, found by (task, position, epoch).

    mask: hides tokens of windows that have no target, by a key that is never the same twice.
    """

    def __init__(
        self,
        tasks: Mapping[str, Sequence[Portion]],
        *,
        mask: Callable[[Feature, str], Feature] | None = None,
    ) -> None:
        self.mask = mask
        self.features = {
            task: [feature for portion in portions for feature in portion.features]
            for task, portions in tasks.items()
        }

    def __len__(self) -> int:
        return sum(map(len, self.features.values()))

    def __getitem__(self, key: Any) -> tuple[str, Feature]:
        task, index, epoch = key
        feature = self.features[task][index]
        if feature.target is None and self.mask is not None:
            feature = self.mask(feature, f"{epoch}/{task}/{index}")
        return task, feature


def collate(items: Sequence[tuple[str, Feature]], *, pad_id: int, budget: int) -> dict[str, Any]:
    """Return the task of a batch and its padded pieces of at most `budget` tokens each."""
    features = [feature for _, feature in items]
    pieces = [
        [features[i] for i in piece]
        for piece in plan([len(feature.ids) for feature in features], budget=budget)
    ]
    return {
        "task": items[0][0],
        "pieces": [{**inputs(piece, pad_id=pad_id), **targets(piece)} for piece in pieces],
    }


def inputs(features: Sequence[Feature], *, pad_id: int) -> dict[str, "torch.Tensor"]:
    """Return input_ids, token_type_ids and attention_mask, each [windows, tokens]."""
    return {
        "input_ids": padded([feature.ids for feature in features], pad_id),
        "token_type_ids": padded([feature.types for feature in features], 0),
        "attention_mask": padded([[1] * len(feature.ids) for feature in features], 0),
    }


def targets(features: Sequence[Feature]) -> dict[str, "torch.Tensor"]:
    """Return labels [windows] or [windows, tokens], or start_positions and end_positions."""
    import torch

    first = features[0].target
    if isinstance(first, tuple):
        starts, ends = torch.tensor([feature.target for feature in features]).T
        return {"start_positions": starts, "end_positions": ends}
    if isinstance(first, list):
        return {"labels": padded([feature.target for feature in features], IGNORED)}
    return {"labels": torch.tensor([feature.target for feature in features])}


def padded(rows: Sequence[Sequence[int]], value: int) -> "torch.Tensor":
    """Return the rows as one tensor [rows, longest], filled up with `value`."""
    import torch

    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])
