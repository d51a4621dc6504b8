"""Arrays to a GPU and back without waiting, and the time that it takes.

Work on a GPU is queued: it has happened when `Stopwatch.seconds` has returned. On a CPU it has
happened at once.
"""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor


def current(device: str) -> AbstractContextManager[object]:
    """Make a GPU the one that events and pinned memory belong to."""
    return nullcontext() if device == "cpu" else torch.cuda.device(device)


def to_gpu(array: np.ndarray, device: str) -> Tensor:
    """Copy an array to the device from pinned memory; on a CPU share its memory."""
    tensor = torch.from_numpy(array)
    return tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def to_cpu(tensor: Tensor) -> Tensor:
    """Begin to copy a tensor into pinned memory; on a CPU return it."""
    if not tensor.is_cuda:
        return tensor
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return pinned.copy_(tensor, non_blocking=True)


class Stopwatch:
    """Measures the time of a device from its making until `stop`."""

    def __init__(self, device: str) -> None:
        self._is_cuda = device != "cpu"
        self._began = self._now()
        self._ended = self._began

    def stop(self) -> None:
        """End what is measured; on a GPU, with what it was given so far."""
        self._ended = self._now()

    def seconds(self) -> float:
        """Return the seconds between the two, once both have happened."""
        if not self._is_cuda:
            return self._ended - self._began
        self._ended.synchronize()
        return self._began.elapsed_time(self._ended) / 1e3

    def _now(self) -> Any:
        if not self._is_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
