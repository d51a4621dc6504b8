"""What an encoder is: a chain of stages, which several encoders may have in common."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, takewhile

import torch
from torch import Tensor

from bertpipe.batching.plan import Batch
from bertpipe.encoder.transfer import to_gpu


@dataclass(frozen=True)
class Inputs:
    """A batch on the device.

    ids, types, positions: int64 (n_tokens,). first: int64 (n_windows,), each window's first token.
    groups: (first token, n_windows, length) of each run of windows of equal length.
    lengths: tokens of each window. offsets: int32 (n_windows + 1,) on the device, for CUDA.
    """

    ids: Tensor
    types: Tensor
    positions: Tensor
    first: Tensor
    groups: list[tuple[int, int, int]]
    lengths: list[int]
    offsets: Tensor


def to_device(batch: Batch, device: str) -> Inputs:
    """Copy a packed batch to the device."""
    lengths = (batch.offsets[1:] - batch.offsets[:-1]).tolist()

    return Inputs(
        ids=to_gpu(batch.ids, device),
        types=to_gpu(batch.types, device),
        positions=to_gpu(batch.positions, device),
        first=to_gpu(batch.offsets[:-1], device),
        groups=_groups(lengths),
        lengths=lengths,
        offsets=to_gpu(batch.offsets.astype("int32"), device),
    )


def _groups(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    groups: list[tuple[int, int, int]] = []
    start = 0
    for length in lengths:
        if groups and groups[-1][2] == length:
            first, count, _ = groups[-1]
            groups[-1] = (first, count + 1, length)
        else:
            groups.append((start, 1, length))
        start += length
    return groups


@dataclass(frozen=True)
class Stage:
    """A part of an encoder. Equal keys compute the same, whatever encoder they belong to.

    run: (hidden (n_tokens, width) or None for the first stage, inputs) -> hidden.
    n_layers: how many of the model's layers it is.
    """

    key: str
    run: Callable[[Tensor | None, Inputs], Tensor] = field(repr=False)
    n_layers: int = 0


@dataclass(frozen=True)
class Encoder:
    """A chain of stages from token ids to hidden states.

    The output is (n_tokens, width), or (n_windows, width) when one state a window is wanted.
    kind: `packed` or `hf`, for the report.
    """

    stages: tuple[Stage, ...]
    device: str
    precision: str
    kind: str

    @property
    def n_layers(self) -> int:
        """Return how many layers the model has."""
        return sum(stage.n_layers for stage in self.stages)


class SharedRun:
    """Runs encoders over one batch at a time and computes what they have in common once.

    Two encoders share their first k stages when the keys of those stages are equal.
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        known: dict[str, Stage] = {}
        # Equal stages become one object, so that their weights are in memory once.
        self.encoders = [
            replace(each, stages=tuple(known.setdefault(stage.key, stage) for stage in each.stages))
            for each in encoders
        ]
        # Only where two chains part: what lies before need not be kept.
        self._wanted_again = {_common(a, b) for a, b in combinations(self.encoders, 2)}

    @property
    def n_stages(self) -> int:
        """Return the number of different stages that a batch goes through."""
        return len({_prefix(e, d) for e in self.encoders for d in range(1, len(e.stages) + 1)})

    @property
    def n_shared(self) -> list[int]:
        """Return how many layers of each encoder one before it has computed already."""
        found = []
        for i, encoder in enumerate(self.encoders):
            depths = [len(_common(encoder, other)) for other in self.encoders[:i]]
            found.append(sum(s.n_layers for s in encoder.stages[: max(depths, default=0)]))
        return found

    def __call__(self, inputs: Inputs) -> list[Tensor]:
        """Return the hidden states of each encoder, in order."""
        known: dict[tuple[str, ...], Tensor] = {}
        n_tokens = len(inputs.ids)  # a stage may have made the rows up to a rounder number
        return [self._run(encoder, inputs, known)[:n_tokens] for encoder in self.encoders]

    def _run(
        self, encoder: Encoder, inputs: Inputs, known: dict[tuple[str, ...], Tensor]
    ) -> Tensor:
        depth = len(encoder.stages)
        while depth and _prefix(encoder, depth) not in known:
            depth -= 1
        hidden = known[_prefix(encoder, depth)] if depth else None
        for i in range(depth, len(encoder.stages)):
            hidden = encoder.stages[i].run(hidden, inputs)
            prefix = _prefix(encoder, i + 1)
            if prefix in self._wanted_again:
                known[prefix] = hidden
        assert hidden is not None
        return hidden


def _prefix(encoder: Encoder, depth: int) -> tuple[str, ...]:
    return tuple(stage.key for stage in encoder.stages[:depth])


def _common(a: Encoder, b: Encoder) -> tuple[str, ...]:
    """Return the keys of the stages that both encoders begin with."""
    pairs = zip(a.stages, b.stages, strict=False)
    return tuple(one.key for one, _ in takewhile(lambda pair: pair[0].key == pair[1].key, pairs))


def pooled(encoder: Encoder, how: str) -> Encoder:
    """Return the encoder with the `mean` or `max` of each window's states as its output."""

    def run(hidden: Tensor | None, inputs: Inputs) -> Tensor:
        assert hidden is not None
        lengths = inputs.offsets.diff().long()
        return torch.segment_reduce(hidden[: len(inputs.ids)], how, lengths=lengths)

    stage = Stage(f"{how}/{encoder.device}", run)
    return replace(encoder, stages=(*encoder.stages, stage))


def digest(module: torch.nn.Module, signature: object = None) -> str:
    """Return a digest of a module's weights and of what else decides its output.

    signature: the latter; by default the name of the module's class.
    """
    state = hashlib.blake2b(digest_size=16)
    state.update(repr(signature or type(module).__name__).encode())
    for name, value in module.state_dict().items():
        state.update(name.encode())
        state.update(value.detach().cpu().flatten().view(torch.uint8).numpy().data)
    return state.hexdigest()
