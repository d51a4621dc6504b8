"""Each plug-in, installed from its own folder where no other is, works by all three ways.

With a folder of models in BERTPIPE_TEST_MODELS the plug-ins are tried with real weights too: `base`
is all-MiniLM-L6-v2, `mlm` and `next_sentence` are what the recipes of these names train. -s shows
what is found:

    BERTPIPE_TEST_ALL=1 BERTPIPE_TEST_MODELS=DIR python -m pytest -s tests/test_empty_environment.py
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Mapping
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
    """A plug-in, a model for it, and how it is tried.

    task: of a model with random weights. model: a folder of BERTPIPE_TEST_MODELS; none is what the
    component has by default. others: plug-ins that bring a model. shows: what is told of the text.
    """

    plugin: str
    component: str
    task: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = NLI
    text: str = TEXT
    model: str | None = None
    others: tuple[str, ...] = ()
    shows: str = ""

    @property
    def factory(self) -> str:
        return FACTORIES.get(self.component, f"bert_{self.component}")


FACTORIES = {"sentiment": "bert_classifier"}
EN_MINI = "bertpipe-en-mini"
TOPICS = {"labels": ["sport", "travel"]}
CASES = [
    Case("bertpipe-embeddings", "embedding", "encoder"),
    Case("bertpipe-fill-mask", "fill_mask", "fill_mask", text="Angela met [MASK]."),
    Case("bertpipe-pair", "pair", "classifier"),
    Case("bertpipe-zero-shot", "zero_shot", "classifier", TOPICS),
]
REAL = [
    Case(
        EN_MINI,
        "ner",
        settings={"model": "en_ner_mini"},
        text="Angela Merkel flew to Lagos.",
        shows="LOC",
    ),
    Case(
        EN_MINI,
        "sentiment",
        settings={"model": "en_sentiment_mini"},
        text="I loved every minute of it.",
        shows="positive",
    ),
    Case(
        EN_MINI,
        "qa",
        settings={"model": "en_qa_mini", "questions": {"where": "Where did she fly?"}},
        text="Angela Merkel flew to Lagos in May.",
        shows="Lagos",
    ),
    Case(
        "bertpipe-zero-shot",
        "zero_shot",
        settings={"labels": ["about music", "about a war"], "hypothesis_template": "This is {}."},
        text="A woman is playing the guitar on a stage.",
        others=(EN_MINI,),
        shows="about music",
    ),
    Case(
        "bertpipe-zero-shot",
        "zero_shot",
        settings={"labels": ["war", "music"], "method": "embedding"},
        model="base",
        text="A woman is playing the guitar on a stage.",
        shows="zero_shot: music",
    ),
    Case("bertpipe-embeddings", "embedding", model="base", shows="384"),
    Case(
        "bertpipe-fill-mask",
        "fill_mask",
        model="mlm",
        text="This film is really [MASK].",
        shows="good",
    ),
    Case(
        "bertpipe-pair",
        "pair",
        settings={"task": "next_sentence"},
        model="next_sentence",
        text="The monster kills the scientist in the first scene of the film. After that the "
        "monster walks to the village and kills everybody there. My wife gave me this cookbook for "
        "my birthday.",
        shows=r"(?s)\[next\].*\[not_next\]",
    ),
    Case(
        "bertpipe-pair",
        "pair",
        settings={"model": "en_nli_mini"},
        text="A woman is playing the guitar on a stage. Nobody is on the stage.",
        others=(EN_MINI,),
        shows="contradiction",
    ),
]
CODE = """
import json, sys
import bertpipe, spacy
factory, name, text, settings = *sys.argv[1:4], json.loads(sys.argv[4])
nlp = spacy.blank("en")
nlp.add_pipe(factory, name=name, config=settings)
doc = nlp(text)
overrides = {f"components.{name}.{key}": value for key, value in settings.items()}
(row,) = bertpipe.annotate([text], components=[name], overrides=overrides)
print(json.dumps([doc._.bertpipe[name], row[name]]))
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


@dataclass(frozen=True)
class Tools:
    """The programs of an environment, run where nothing else is found."""

    bin: Path
    cwd: Path

    def __call__(self, *command: object) -> str:
        done = subprocess.run(
            [str(self.bin / str(command[0])), *map(str, command[1:])],
            cwd=self.cwd,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def install(wheelhouse: Path, tmp_path: Path) -> Callable[..., Tools]:
    """Return a function that makes an environment with plug-ins, from their folders alone."""

    def install(*plugins: str) -> Tools:
        tools = make_environment(tmp_path / "environment")
        # Without --no-deps: what a plug-in needs beside bertpipe has to be there or is missed here.
        options = ["--no-build-isolation", "--no-index", f"--find-links={wheelhouse}"]
        if EN_MINI in plugins:  # which is data alone and asks for nothing
            pip(tools / "python", "install", *options, "bertpipe")
        for plugin in plugins:
            shutil.copytree(ROOT / "plugins" / plugin, tmp_path / plugin)
            pip(tools / "python", "install", *options, tmp_path / plugin)
        return Tools(tools, tmp_path)

    return install


def found_by_all_ways(tools: Tools, case: Case, settings: Mapping[str, Any]) -> tuple[str, Any]:
    """Return what the command prints, and the value that spaCy and Python agree on."""
    pairs = [
        f"--components.{case.component}.{key}={value if type(value) is str else json.dumps(value)}"
        for key, value in settings.items()
    ]
    printed = tools("bertpipe", "annotate", "--components", case.component, *pairs, case.text)
    arguments = (case.factory, case.component, case.text, json.dumps(settings))
    in_spacy, in_python = json.loads(tools("python", "-c", CODE, *arguments))
    assert in_spacy == in_python
    return printed, in_python


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.plugin)
def test_a_plug_in_works_where_no_other_is(case: Case, install, tmp_path: Path):
    tools = install(case.plugin)
    listed = {
        each["factory"]: each for each in json.loads(tools("bertpipe", "components", "--json"))
    }
    assert listed[case.factory]["package"] == case.plugin
    assert not [name for name in listed if name in {c.factory for c in CASES} - {case.factory}]
    folder = tiny_model(tmp_path / "model", task=case.task, labels=case.labels, max_length=128)
    printed, found = found_by_all_ways(tools, case, {"model": str(folder), **case.settings})
    assert printed.strip()
    assert found is not None


@pytest.mark.parametrize("case", REAL, ids=lambda case: f"{case.plugin}-{case.component}")
def test_a_plug_in_works_with_real_weights(case: Case, install):
    settings = dict(case.settings)
    if case.model is not None:
        folder = Path(os.environ.get("BERTPIPE_TEST_MODELS", ""), case.model)
        if not (folder / "config.json").exists():
            pytest.skip(f"BERTPIPE_TEST_MODELS names no folder with the model {case.model}")
        settings["model"] = str(folder.resolve())
    printed, found = found_by_all_ways(install(case.plugin, *case.others), case, settings)
    sys.stdout.write(f"\n{case.plugin}, {case.component}\n{printed}{str(found)[:600]}\n")
    assert re.search(case.shows, printed)
