"""Saved pipelines of spaCy: found, listed and compared without importing spaCy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from bertpipe.errors import ModelError

FACTORY = "spacy"  # of a component that is a whole pipeline
GROUP = "spacy_models"


@dataclass(frozen=True)
class PipelineFolder:
    """A saved pipeline on this machine.

    path: the folder with its config.cfg. name: what `spacy.load` takes. origin: `folder` or
    `package NAME VERSION`.
    """

    path: Path
    name: str
    origin: str


def find_pipeline(model: str) -> PipelineFolder:
    """Find a pipeline of spaCy without importing it: a folder wins, then an installed package."""
    if Path(model).is_dir():
        folder = Path(model).resolve()
        found = PipelineFolder(folder, str(folder), "folder")
    else:
        found = _packaged(model)
    if not (found.path / "config.cfg").is_file():
        raise ModelError(
            f"{model!r} at {found.path} is no pipeline of spaCy: it has no config.cfg; give a "
            "folder that nlp.to_disk wrote."
        )
    return found


def _packaged(model: str) -> PipelineFolder:
    spec = find_spec(model) if model.isidentifier() else None
    root = Path(next(iter(spec.submodule_search_locations or ()), "")) if spec else None
    if root is None or not (root / "meta.json").is_file():
        installed = ", ".join(installed_pipelines()) or "none"
        raise ModelError(
            f"Pipeline {model!r} is neither a folder nor an installed package of spaCy "
            f"(installed: {installed}); give a folder that nlp.to_disk wrote, or install it."
        )
    meta = json.loads((root / "meta.json").read_text(encoding="utf-8"))
    # This is how spaCy finds the folder, too.
    folder = root / f"{meta['lang']}_{meta['name']}-{meta['version']}"
    return PipelineFolder(folder, model, f"package {model} {meta['version']}")


def installed_pipelines() -> list[str]:
    """Return the names of the pipelines that installed packages bring."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def pipeline_files(model: str) -> list[Path]:
    """Return the files of a pipeline in a fixed order."""
    return sorted(path for path in find_pipeline(model).path.rglob("*") if path.is_file())


def pipeline_digest(model: str) -> str:
    """Return a digest of all files of a pipeline."""
    root = find_pipeline(model).path
    digest = hashlib.sha256()
    for path in pipeline_files(model):
        digest.update(path.relative_to(root).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
