"""Assemble a model package: half precision on disk, tensors that models have in common stored once.

    python -m bertpipe.training.share OUT en_ner_mini=runs/en_ner_mini en_qa_mini=runs/en_qa_mini

Each model stays an ordinary Hugging Face folder: its `model.safetensors.index.json` says which
tensors lie in its own `own.safetensors` and which in `../shared/`. Half precision is lossy; the
models open as float32 with the rounded values.
"""

import hashlib
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertpipe.errors import ModelError

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

COPIED = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "curves.png",
    "curves.csv",
)
OWN, INDEX, SHARED = "own.safetensors", "model.safetensors.index.json", "shared"


def share(models: Mapping[str, Path], out: Path) -> None:
    """Write every model below `out`, and each group of equal tensors once in `out/shared`."""
    tensors = {name: read_half(folder) for name, folder in models.items()}
    places = group(tensors)
    (out / SHARED).mkdir(parents=True, exist_ok=True)
    files = {
        owners: _write_shared({key: tensors[owners[0]][key] for key in keys}, out)
        for owners, keys in places.items()
        if len(owners) > 1
    }
    for name, folder in models.items():
        shared = {
            key: files[o] for o, keys in places.items() if o in files and name in o for key in keys
        }
        _write_model(folder, out / name, tensors[name], shared)
    for stale in set((out / SHARED).glob("*.safetensors")) - {
        out / SHARED / f for f in files.values()
    }:
        stale.unlink()


def read_half(folder: Path) -> "Tensors":
    """Return a folder's tensors in float16, refusing values it cannot hold."""
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    if not path.is_file():
        raise ModelError(f"{folder} has no model.safetensors: name a folder that training wrote.")
    half = {key: tensor.half().contiguous() for key, tensor in load_file(path).items()}
    for key, tensor in half.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{path}: {key} has values beyond float16; train with weight decay.")
    return half


def group(tensors: Mapping[str, "Tensors"]) -> dict[tuple[str, ...], list[str]]:
    """Return tensor names by the models whose tensors of that name are equal."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for model, items in tensors.items():
        for key, tensor in items.items():
            owners[key, _digest(tensor)].append(model)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for (key, _), models in owners.items():
        groups[tuple(models)].append(key)
    return dict(groups)


def _digest(tensor: "torch.Tensor") -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def _write_shared(tensors: "Tensors", out: Path) -> str:
    from safetensors.torch import save

    content = save(tensors, metadata={"format": "pt"})
    name = f"encoder-{hashlib.sha256(content).hexdigest()[:8]}.safetensors"
    (out / SHARED / name).write_bytes(content)
    return name


def _write_model(source: Path, target: Path, tensors: "Tensors", shared: Mapping[str, str]) -> None:
    from safetensors.torch import save_file

    target.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        if (source / name).is_file():
            _copy(source / name, target / name)
    own = {key: tensor for key, tensor in tensors.items() if key not in shared}
    save_file(own, target / OWN, metadata={"format": "pt"})
    size = sum(tensor.nbytes for tensor in tensors.values())
    weight_map = {key: f"../{SHARED}/{shared[key]}" if key in shared else OWN for key in tensors}
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(weight_map.items()))}
    (target / INDEX).write_text(json.dumps(index, indent=1) + "\n")


def _copy(source: Path, target: Path) -> None:
    """Copy a file; a tokenizer's vocabulary loses its line breaks, a third of its size."""
    if source.name == "tokenizer.json":
        content = json.loads(source.read_text(encoding="utf-8"))
        target.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    else:
        shutil.copyfile(source, target)


def main(arguments: list[str]) -> None:
    """Run `share OUT NAME=FOLDER ...`."""
    out, *pairs = arguments
    share({name: Path(path) for name, path in (pair.split("=", 1) for pair in pairs)}, Path(out))


if __name__ == "__main__":
    main(sys.argv[1:])
