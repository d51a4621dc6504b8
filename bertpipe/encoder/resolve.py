"""From the name of a model to a local folder that is safe to load; no torch."""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from bertpipe.errors import ModelError

GROUP = "bertpipe_models"
INDEX = "model.safetensors.index.json"
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
    """Find a model: an existing folder wins, then an installed model package, then the hub."""
    if Path(model).is_dir():
        return _checked(ModelFolder(Path(model).resolve(), model, "folder"))
    packaged = find_packaged(model)
    if packaged is not None:
        return _checked(packaged)
    if "/" not in model or model.startswith((".", "/")):
        names = ", ".join(sorted(point.name for point in entry_points(group=GROUP)))
        raise ModelError(
            f"Model {model!r} is neither a folder nor an installed model package "
            f"(installed: {names or 'none; pip install bertpipe[en] brings three'})."
        )
    return _checked(_from_hub(model, revision, offline))


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


def _from_hub(model: str, revision: str | None, offline: bool) -> ModelFolder:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
    try:
        path = Path(
            snapshot_download(
                model, revision=revision, allow_patterns=patterns, local_files_only=offline
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


def _checked(folder: ModelFolder) -> ModelFolder:
    config = folder.path / "config.json"
    if not config.is_file():
        raise ModelError(f"Model {folder.name!r} at {folder.path} has no config.json.")
    if "auto_map" in _read_json(config):
        raise ModelError(
            f"Model {folder.name!r} asks to run its own Python code (auto_map in config.json), "
            "which bertpipe never does; save it with a model class of transformers."
        )
    if not weight_files(folder.path):
        raise ModelError(
            f"Model {folder.name!r} at {folder.path} has no safetensors weights; open it in "
            "transformers and save it again with save_pretrained(..., safe_serialization=True)."
        )
    return folder


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(
            f"{path} is not readable as JSON ({error}); save the model anew."
        ) from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object; save the model anew.")
    return value


def weight_files(path: Path) -> list[Path]:
    """Return the safetensors files of a model folder in a fixed order, shared ones included."""
    index = path / INDEX
    if index.is_file():
        names = _read_json(index).get("weight_map", {}).values()
        if not all(str(name).endswith(".safetensors") for name in names):
            raise ModelError(f"{index} names files that are not safetensors; convert them first.")
        return [path / name for name in sorted(set(names))]
    single = path / "model.safetensors"
    return [single] if single.is_file() else []


def weights_digest(path: Path) -> str:
    """Return a digest of everything in the folder that changes what the model computes."""
    digest = hashlib.sha256()
    extra = [path / name for name in ("config.json", *TOKENIZER_FILES, INDEX)]
    for file in [*extra, *weight_files(path)]:
        if file.is_file():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
