"""A command line to call, a folder with a corpus, and tiny models under the default names."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bertpipe.cli import main
from bertpipe.testing import tiny_model

MODELS = {"en_ner_mini": "ner", "en_sentiment_mini": "classifier", "en_qa_mini": "qa"}
LABELS = {
    "ner": ("O", "B-PER", "I-PER"),
    "classifier": ("negative", "positive"),
    "qa": ("start", "end"),
}
Call = Callable[..., Result]


@pytest.fixture
def call() -> Call:
    """Return a function that runs `bertpipe` with its arguments."""

    def run(*arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(main, arguments, input=stdin, prog_name="bertpipe")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder but for `reviews.jsonl`: three good records, two bad ones."""
    monkeypatch.chdir(tmp_path)
    lines = [
        json.dumps({"id": "a", "text": "7 of 9"}),
        json.dumps({"id": "b", "text": None}),
        json.dumps({"id": "c", "text": "none"}),
        "{ cut off",
        json.dumps({"id": "e", "text": "1, 2 and 3"}),
    ]
    (tmp_path / "reviews.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a tiny model for each default component; return the folders by model name."""
    folder = tmp_path_factory.mktemp("models")
    return {
        name: tiny_model(folder / name, task=task, labels=LABELS[task], max_length=256)
        for name, task in MODELS.items()
    }


@pytest.fixture
def model_package(
    tiny_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Install the tiny models under the default names, unless the real ones are there."""
    site = tmp_path / "_site"
    info = site / "tiny_models-0.5.dist-info"
    info.mkdir(parents=True)
    points = "".join(f"{name} = tiny_models:{name}\n" for name in tiny_models)
    module = "".join(f"{name} = {str(path)!r}\n" for name, path in tiny_models.items())
    (site / "tiny_models.py").write_text(module)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-models\nVersion: 0.5\n")
    (info / "entry_points.txt").write_text(f"[bertpipe_models]\n{points}")
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    monkeypatch.syspath_prepend(str(site))
