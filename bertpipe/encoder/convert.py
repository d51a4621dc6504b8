"""Turn the pickle weights of a model into safetensors, without running what a pickle may hold."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertpipe.encoder.resolve import (
    PICKLE,
    PICKLE_INDEX,
    SAFETENSORS,
    find_folder,
    pickle_files,
    weight_files,
)
from bertpipe.encoder.safety import check_folder, refuse_way_out
from bertpipe.errors import ModelError, OutputError

if TYPE_CHECKING:
    from torch import Tensor

SAFE_TORCH = "2.6"  # older ones can run code in spite of weights_only (CVE-2025-32434)
COPIED = frozenset({".json", ".txt", ".model", ".md"})


@dataclass(frozen=True)
class Converted:
    """A model folder that was written, and how much it holds."""

    path: Path
    n_tensors: int
    n_bytes: int


def convert(
    model: str, target: Path, *, revision: str | None = None, offline: bool = False
) -> Converted:
    """Write a model that has pickle weights to the new folder `target`, with safetensors.

    model: a folder, an installed model package or a hub id. The folder appears whole or not at all.

    Raises:
        ModelError: It is not found, holds no pickle weights, or holds more than tensors.
        OutputError: The target is there already, or cannot be written.
    """
    _check_torch()
    source = find_folder(model, revision=revision, offline=offline, pickles=True).path
    check_folder(source, model)
    files = pickle_files(source)
    if weight_files(source):
        raise ModelError(f"Model {model!r} has safetensors weights already; use it as it is.")
    if not files:
        raise ModelError(
            f"Model {model!r} at {source} has no {PICKLE}; weights of PyTorch are all that can be "
            "converted."
        )
    for file in files:
        refuse_way_out(source, file, model)
        if not file.is_file():
            raise ModelError(f"Model {model!r} lacks {file}, which its index names; fetch it anew.")
    if target.exists():
        raise OutputError(f"{target} exists; name a folder that does not.")
    tensors = {name: tensor for file in files for name, tensor in _tensors(file)}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
            made = Path(folder, target.name)
            _write(source, tensors, made)
            made.rename(target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written ({error}); name another folder.") from error
    n_bytes = sum(tensor.nbytes for tensor in tensors.values())
    return Converted(target, len(tensors), n_bytes)


def _check_torch() -> None:
    import torch
    from packaging.version import Version

    if Version(torch.__version__) < Version(SAFE_TORCH):
        raise ModelError(
            f"torch {torch.__version__} may run code while it reads pickle weights; convert with "
            f"torch {SAFE_TORCH} or later."
        )


def _tensors(file: Path) -> Iterator[tuple[str, "Tensor"]]:
    """Yield the tensors of a pickle file, each with memory of its own."""
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch raises for a pickle is not one kind
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ModelError(
            f"{file} holds more than weights, or is no file of weights ({reason}); bertpipe does"
            " not run it. Ask who made it for safetensors."
        ) from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{file} holds no table of weights; save the model's state_dict.")
    for name, value in content.items():
        yield str(name), _own(file, name, value)


def _own(file: Path, name: object, value: Any) -> "Tensor":
    import torch

    if not isinstance(value, torch.Tensor):
        raise ModelError(f"{file} holds {name!r}, which is no tensor; save the model's state_dict.")
    return value.detach().clone().contiguous()


def _write(source: Path, tensors: Mapping[str, "Tensor"], target: Path) -> None:
    """Write the tensors and copy the other files of the model."""
    from safetensors.torch import save_file

    target.mkdir()
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix in COPIED and file.name != PICKLE_INDEX:
            shutil.copyfile(file, target / file.name)
    save_file(dict(tensors), target / SAFETENSORS, metadata={"format": "pt"})
