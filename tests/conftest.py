"""What every test can rely on: nothing from the network, nothing from the user's environment."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from bertpipe.output.files import BOOKKEEPING
from bertpipe.output.verify import verify

# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
# Read when transformers is imported, by this process and by the ones that tests start.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables through which a user's settings could change a test."""
    for name in ("COLUMNS", "CUDA_VISIBLE_DEVICES", "FORCE_COLOR", "HF_TOKEN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def regex_plugin(monkeypatch: pytest.MonkeyPatch) -> str:
    """Install the test plug-in for this process and those that it starts; return its factory."""
    folder = str(Path(__file__).with_name("plugin"))
    paths = [folder, os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    monkeypatch.syspath_prepend(folder)
    return "regex_numbers"


@pytest.fixture(scope="session")
def assert_whole() -> Callable[..., None]:
    """Return a check to make of an output after a fault, when it was gone on with.

    Every page is read: no finding against the corpus, nor against the sources where they were. No
    file is left that was being written. `**options` are those of `verify`.
    """

    def check(output: Path, *corpus: Path, **options: Any) -> None:
        for paths in ([], [str(path) for path in corpus]):
            assert verify(output, paths, **options).findings == ()
        assert not list((output / BOOKKEEPING / "tmp").glob("*"))

    return check


@pytest.fixture
def hangup_is_heard() -> Iterator[None]:
    """Hear SIGHUP, here and in processes that are started, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
