"""Keep what the workers said of the components, so that only work makes a model be loaded.

What was said holds as long as all that it was said of is the same: the settings, the packages, this
machine, and the size and time of every file of the models. Once workers are needed, they are asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bertpipe.annotators.plugins import package_of, plugin_points
from bertpipe.annotators.spacy_component import PATTERNS
from bertpipe.annotators.spacy_folder import FACTORY, pipeline_files
from bertpipe.config import Component, RunConfig
from bertpipe.encoder.resolve import weight_files
from bertpipe.errors import ConfigError
from bertpipe.messages import Message
from bertpipe.output.files import BOOKKEEPING, remove, write_json
from bertpipe.pool import Pool, n_at_once, start_pool, wait_until_ready
from bertpipe.report import versions

COMPONENTS = "components.json"  # in the folder BOOKKEEPING


def circumstances(config: RunConfig, devices: Sequence[str]) -> str:
    """Return a hash of all that decides what a worker says of the components of a config."""
    points = plugin_points()
    factories = [points.get(component.factory) for component in config.components]
    known = {
        "components": config.to_dict()["components"],
        "encoder": config.to_dict()["encoder"],
        "code": config.code and _state(Path(config.code)),
        "device": devices[0],
        "host": socket.gethostname(),
        "versions": versions(),
        "plugins": [package_of(point) for point in factories if point],
        "models": list(_model_files(config)),
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _model_files(config: RunConfig) -> Iterator[tuple[str, int, int]]:
    for component in config.components:
        for path in _files_of(component):
            yield _state(path)


def _files_of(component: Component) -> Iterable[Path]:
    """Return the files that a component is made of."""
    model, patterns = (component.settings.get(name) for name in ("model", PATTERNS))
    if isinstance(patterns, str) and Path(patterns).is_file():
        return [Path(patterns)]
    if not isinstance(model, str):
        return []
    if component.factory == FACTORY:
        return pipeline_files(model)
    folder = Path(model)
    return sorted({*folder.iterdir(), *weight_files(folder)}) if folder.is_dir() else []


def _state(path: Path) -> tuple[str, int, int]:
    stat = os.stat(path)
    return os.path.abspath(path), stat.st_size, stat.st_mtime_ns


def recall(folder: Path, wanted: str) -> list[Message] | None:
    """Return what was said of the components under the same circumstances, if it was kept."""
    try:
        kept = json.loads((folder / BOOKKEEPING / COMPONENTS).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or kept.get("of") != wanted:
        return None
    components: list[Message] | None = kept.get("components")
    return components


def remember(folder: Path, of: str, components: Sequence[Message]) -> None:
    """Keep what the workers said."""
    write_json(folder / BOOKKEEPING / COMPONENTS, {"of": of, "components": list(components)})


class LatePool:
    """A pool that is started by the first use of it; its workers have to say what was recalled."""

    def __init__(
        self,
        config: RunConfig,
        devices: Sequence[str],
        folder: Path,
        recalled: list[Message] | None,
    ) -> None:
        self.n_workers = 1 if config.workers == 0 else len(devices)
        self.n_at_once = n_at_once(config, devices)
        self._config = config
        self._devices = devices
        self._folder = folder
        self._said = recalled
        self._pool: Pool | None = None

    @property
    def components(self) -> list[Message]:
        """Return what is recalled of the components; what the workers say, if nothing is."""
        if self._said is None:
            self._said = self._start()
        return self._said

    def __getattr__(self, name: str) -> Any:
        """Return what the pool itself has of this name."""
        if self._pool is None:
            self._check(self._start())
        return getattr(self._pool, name)

    def close(self) -> None:
        """End the workers, if there are any."""
        if self._pool is not None:
            self._pool.close()

    def _start(self) -> list[Message]:
        self._pool = start_pool(self._config, self._devices)
        said: list[Message] = json.loads(json.dumps(wait_until_ready(self._pool)))
        return said

    def _check(self, said: list[Message]) -> None:
        if said != self._said:
            remove(self._folder / BOOKKEEPING / COMPONENTS)
            raise ConfigError(
                f"The components are no longer what {self._folder} was made with, though no file of"
                " them changed; run again to see the difference."
            )
