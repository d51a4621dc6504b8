"""What a model folder may not do: run code, or make us read outside itself; no torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertpipe.errors import ModelError

CONFIG, TOKENIZER_CONFIG, ADAPTER = "config.json", "tokenizer_config.json", "adapter_config.json"
# transformers loads the code of an attention from the hub if its name has a slash.
KERNELS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
FORGOTTEN = "special_tokens_map_file"  # where it was once saved from; nothing reads it


def check_folder(path: Path, name: str) -> None:
    """Refuse a model that asks for code of its own or reads outside its folder.

    name: of the model, as the user wrote it.

    Raises:
        ModelError: It does; the message says what to do instead.
    """
    if not (path / CONFIG).is_file():
        raise ModelError(f"Model {name!r} at {path} has no {CONFIG}; give the folder of a model.")
    if (path / ADAPTER).exists():
        raise ModelError(
            f"Model {name!r} is an adapter of another model; merge it into that with merge_and_"
            "unload of peft, and save the result."
        )
    for file in (path / CONFIG, path / TOKENIZER_CONFIG):
        if file.is_file():
            _refuse_code(file, name)
    for file in _read_files(path, name):
        refuse_way_out(path, file, name)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a model, or raise ModelError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} is not readable as JSON ({error}); save the model anew."
        ) from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object; save the model anew.")
    return value


def _refuse_code(file: Path, name: str) -> None:
    settings = read_json(file)
    if "auto_map" in settings:
        cure = (
            "save it with a model class of transformers"
            if file.name == CONFIG
            else "save its tokenizer as a tokenizer.json, with a class of transformers"
        )
        raise ModelError(
            f"Model {name!r} asks to run its own Python code (auto_map in {file.name}), which "
            f"bertpipe never does; {cure}."
        )
    for key in KERNELS:
        if "/" in str(settings.get(key)):
            raise ModelError(
                f"Model {name!r} asks for code from the hub ({key} {settings[key]!r} in "
                f"{file.name}), which bertpipe never loads; delete that line."
            )


def _read_files(path: Path, name: str) -> Iterator[Path]:
    """Yield what is read of a model: all that lies in the folder, and what its tokenizer names."""
    yield from path.rglob("*")
    config = path / TOKENIZER_CONFIG
    for key, value in (read_json(config) if config.is_file() else {}).items():
        if key.endswith("_file") and key != FORGOTTEN and isinstance(value, str):
            yield path / value


def refuse_way_out(path: Path, file: Path, name: str) -> None:
    """Refuse a file that a model folder names or links to and that does not belong to the model."""
    root, real = home(path), file.resolve()
    if not real.is_relative_to(root):
        raise ModelError(
            f"Model {name!r} at {path} reads {real}, which lies outside {root}; copy that file into"
            " the folder of the model."
        )


def home(path: Path) -> Path:
    """Return the folder that a model may read from.

    It is the model's own. For one that lies in a package, whose models can share weights, it is the
    package; for one in the hub's cache, whose files are links, it is that model's place there.
    """
    path = path.resolve()
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return path.parent.parent
    while (path.parent / "__init__.py").is_file():
        path = path.parent
    return path
