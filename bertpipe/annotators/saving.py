"""Models that travel with a saved pipeline."""

import io
import json
import os
import shutil
import tempfile
import weakref
import zipfile
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from bertpipe.encoder.resolve import INDEX

WEIGHTS = "model.safetensors"
# Weights in other formats and what a training leaves behind stay where they are.
SUFFIXES = frozenset({".json", ".safetensors", ".txt", ".model", ".md", ""})


def copy_model(source: Path, target: Path) -> None:
    """Write a model folder whole, so that the copy opens wherever it is moved.

    Weights that the model shares with others, outside its folder, become its own.
    """
    if source.resolve() == target.resolve():
        return
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        if old.is_file():
            old.unlink()
    is_shared = _shares_weights(source)
    for file in sorted(source.iterdir()):
        is_weights = file.suffix == ".safetensors" or file.name == INDEX
        if _belongs(file) and not (is_shared and is_weights):
            shutil.copyfile(file, target / file.name)
    if is_shared:
        _merge_weights(source, target / WEIGHTS)


def _belongs(file: Path) -> bool:
    return file.is_file() and file.suffix in SUFFIXES and not file.name.startswith(".")


def _weight_map(source: Path) -> dict[str, str]:
    index = source / INDEX
    if not index.is_file():
        return {}
    return json.loads(index.read_text(encoding="utf-8"))["weight_map"]


def _shares_weights(source: Path) -> bool:
    return any(Path(name).name != name for name in _weight_map(source).values())


def _merge_weights(source: Path, target: Path) -> None:
    """Write the tensors that the index names to one file."""
    weight_map = _weight_map(source)
    tensors = {}
    for name in sorted(set(weight_map.values())):
        with safe_open(source / name, framework="pt") as file:
            wanted = [key for key, place in weight_map.items() if place == name]
            tensors.update({key: file.get_tensor(key) for key in wanted})
    save_file(tensors, target, metadata={"format": "pt"})


def to_zip(folder: Path) -> bytes:
    """Return the files of a folder as an uncompressed zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.iterdir()):
            # A fixed date: equal files give equal bytes.
            archive.writestr(zipfile.ZipInfo(file.name), file.read_bytes())
    return buffer.getvalue()


def unpack(content: bytes, owner: object) -> Path:
    """Write the files of an archive to a folder that goes when its owner goes."""
    folder = Path(tempfile.mkdtemp(prefix="bertpipe-"))
    weakref.finalize(owner, _remove, folder, os.getpid())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a fork does not own what its parent unpacked
        shutil.rmtree(folder, ignore_errors=True)
