"""Annotators in a file: a plug-in that is not packaged."""

import hashlib
import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from bertpipe.errors import ConfigError


def import_code(path: str) -> ModuleType:
    """Import a Python file, which makes the factories in it known to spaCy; once a process.

    Raises:
        ConfigError: It is not there or cannot be imported; the message names the line.
    """
    file = _existing(path)
    name = f"bertpipe_code_{code_digest(path)}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"The code {path} is no Python file; its name has to end in .py.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(
            f"The code {path} cannot be imported ({_place(error, file)}{type(error).__name__}: "
            f"{error}); mend it."
        ) from error
    return module


def code_digest(path: str) -> str:
    """Return a digest of the file, which is a part of a job's fingerprint."""
    return hashlib.sha256(_existing(path).read_bytes()).hexdigest()[:16]


def _existing(path: str) -> Path:
    file = Path(path).resolve()
    if not file.is_file():
        raise ConfigError(f"The code {path} does not exist; give the path of a .py file.")
    return file


def _place(error: Exception, file: Path) -> str:
    """Return the last line of the file that the error came from; a SyntaxError says it itself."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file]
    return f"line {lines[-1]}, " if lines else ""
