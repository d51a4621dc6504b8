"""Say which setting to change when a training does not fit the memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bertpipe.errors import BertpipeError

# What PyTorch's allocators say of a refusal: on a CPU it is a plain RuntimeError.
REFUSALS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


@contextmanager
def explaining_memory(batch_tokens: int) -> Iterator[None]:
    """Turn a lack of memory into a BertpipeError that names the settings."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise BertpipeError(
            f"The memory does not suffice for {batch_tokens:,} tokens at once; lower "
            "training.batch_tokens, which changes memory and speed and not what is learned, or, "
            "if a single window is too long, max_length of its task."
        ) from error


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error is an allocator's refusal."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(refusal in str(error) for refusal in REFUSALS)
