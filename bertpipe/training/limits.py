"""Say what to change when a training does not fit the memory or the disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from bertpipe.errors import BertpipeError, WriteError

# What PyTorch's allocators say of a refusal: on a CPU it is a plain RuntimeError.
REFUSALS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
# What PyTorch and safetensors say when a file cannot be written to its end.
UNWRITTEN = ("PytorchStreamWriter", "inline_container", "IoError", "I/O error")


@contextmanager
def explaining_limits(folder: Path, *, batch_tokens: int) -> Iterator[None]:
    """Turn a lack of memory, or of room in `folder`, into an error that names the cure."""
    try:
        yield
    except (MemoryError, RuntimeError, SafetensorError, OSError) as error:
        if is_out_of_memory(error):
            raise BertpipeError(
                f"The memory does not suffice for {batch_tokens:,} tokens at once; lower "
                "training.batch_tokens, which changes memory and speed and not what is learned, "
                "or, if a single window is too long, max_length of its task."
            ) from error
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
    return any(refusal in str(error) for refusal in REFUSALS)


def is_unwritten(error: Exception) -> bool:
    """Tell whether an error is that of a file that could not be written."""
    return isinstance(error, OSError) or any(words in str(error) for words in UNWRITTEN)


def reason(error: Exception) -> str:
    """Return in a few words why a file could not be written."""
    return (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())[:100]
