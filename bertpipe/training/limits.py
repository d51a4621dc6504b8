"""Say what to change when a training does not fit the memory or the disk."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from bertpipe.errors import BertpipeError, WriteError

# What the allocators of PyTorch, CUDA and safetensors say of a refusal, in small letters: on a CPU
# it is a plain RuntimeError.
REFUSALS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "alloc_failed",
)
# What to change, by what does not fit.
SMALLER_BASE = (
    "take a smaller base in paths.base, or fewer records by `limit` in the sections of the data "
    "files"
)
SMALLER_PIECES = (
    "lower training.batch_tokens, which changes memory and speed and not what is learned; if that "
    "is not enough, max_length of the task; then take a smaller base in paths.base"
)
# What PyTorch and safetensors say when a file cannot be written to its end.
UNWRITTEN = ("PytorchStreamWriter", "inline_container", "IoError", "I/O error")


@contextmanager
def explaining_memory(what: str, cure: str) -> Iterator[None]:
    """Turn a lack of memory for `what` into an error that names the cure."""
    try:
        yield
    except (MemoryError, RuntimeError, SafetensorError, OSError) as error:
        if is_out_of_memory(error):
            raise BertpipeError(f"The memory does not suffice for {what}; {cure}.") from error
        raise


@contextmanager
def explaining_disk(folder: Path) -> Iterator[None]:
    """Turn a lack of room in `folder` into an error that names the cure."""
    try:
        yield
    except (RuntimeError, SafetensorError, OSError) as error:
        if is_unwritten(error):
            raise WriteError(
                f"{folder} cannot be written ({reason(error)}); make room and run the same command "
                "again, which goes on from the last checkpoint."
            ) from error
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error is an allocator's refusal."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return any(refusal in str(error).lower() for refusal in REFUSALS)


def is_unwritten(error: Exception) -> bool:
    """Tell whether an error is that of a file that could not be written."""
    return isinstance(error, OSError) or any(words in str(error) for words in UNWRITTEN)


def reason(error: Exception) -> str:
    """Return in a few words why a file could not be written."""
    return (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())[:100]
