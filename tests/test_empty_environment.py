"""Each plug-in, installed from its own folder where no other is, works by all three ways."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bertpipe.testing import tiny_model

ROOT = Path(__file__).parents[1]
TEXT = "Angela met Barack. They flew to the sea."
NLI = ("contradiction", "neutral", "entailment")
pytestmark = pytest.mark.skipif(
    "BERTPIPE_TEST_ALL" not in os.environ, reason="`sh scripts/test --all` runs it"
)


@dataclass(frozen=True)
class Case:
    """A plug-in, a model for it, and how it is tried."""

    plugin: str
    factory: str
    task: str
    settings: dict[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = NLI
    text: str = TEXT


CASES = [
    Case("bertpipe-embeddings", "bert_embedding", "encoder"),
    Case("bertpipe-fill-mask", "bert_fill_mask", "fill_mask", text="Angela met [MASK]."),
    Case("bertpipe-pair", "bert_pair", "classifier"),
    Case("bertpipe-zero-shot", "bert_zero_shot", "classifier", {"labels": ["sport", "travel"]}),
]
CODE = """
import json, sys
import bertpipe, spacy
factory, text, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
nlp = spacy.blank("en")
nlp.add_pipe(factory, config=settings)
doc = nlp(text)
short = factory.removeprefix("bert_")
overrides = {f"components.{short}.{name}": value for name, value in settings.items()}
(row,) = bertpipe.annotate([text], components=[short], overrides=overrides)
print(json.dumps([doc._.bertpipe[factory] is not None, row[short] is not None]))
"""


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory) -> Path:
    """Return a folder with a wheel of bertpipe, made from a copy of its files."""
    folder = tmp_path_factory.mktemp("wheels")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "bertpipe", source / "bertpipe")
    options = ["--no-deps", "--no-build-isolation", f"--wheel-dir={folder}"]
    pip(Path(sys.executable), "wheel", *options, source)
    return folder


def pip(python: Path, *arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--python", python, *arguments]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def make_environment(folder: Path) -> Path:
    """Make an environment with what this one has but for everything of ours; return its bin."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "bertpipe" not in path.name:
            (site / path.name).symlink_to(path)
    return folder / "bin"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.plugin)
def test_a_plug_in_works_where_no_other_is(case: Case, wheelhouse: Path, tmp_path: Path):
    tools = make_environment(tmp_path / "environment")
    plugin = tmp_path / case.plugin
    shutil.copytree(ROOT / "plugins" / case.plugin, plugin)
    # Without --no-deps: what a plug-in needs beside bertpipe has to be there or is missed here.
    options = ["--no-build-isolation", "--no-index", f"--find-links={wheelhouse}"]
    pip(tools / "python", "install", *options, plugin)
    folder = tiny_model(tmp_path / "model", task=case.task, labels=case.labels, max_length=128)
    settings = {"model": str(folder), **case.settings}

    def call(*command: object) -> str:
        done = subprocess.run(
            [str(tools / str(command[0])), *map(str, command[1:])],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    listed = {
        each["factory"]: each for each in json.loads(call("bertpipe", "components", "--json"))
    }
    assert listed[case.factory]["package"] == case.plugin
    assert not [name for name in listed if name in {c.factory for c in CASES} - {case.factory}]
    short = case.factory.removeprefix("bert_")
    pairs = [f"--components.{short}.{name}={json.dumps(value)}" for name, value in settings.items()]
    assert call("bertpipe", "annotate", "--components", short, *pairs, case.text).strip()
    assert json.loads(
        call("python", "-c", CODE, case.factory, case.text, json.dumps(settings))
    ) == [
        True,
        True,
    ]
