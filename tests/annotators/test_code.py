"""Annotators in a file work as packaged ones do, in worker processes too."""

import json
import subprocess
import sys
from typing import Any

import pyarrow.parquet as pq
import pytest

import bertpipe
from bertpipe.annotators.code import code_digest, import_code
from bertpipe.components import list_components
from bertpipe.errors import ConfigError

CODE = """
import pyarrow as pa
from spacy.language import Language
from bertpipe import docs

class Length:
    type = pa.int64()
    reads = ("text",)

    def __init__(self, name):
        self.name = name

    def annotate(self, batch):
        return pa.array([len(text) * FACTOR for text in batch["text"].to_pylist()], self.type)

    def set_annotations(self, doc, annotation):
        docs.set_value(doc, self.name, annotation)

    __call__ = docs.annotate_doc

FACTOR = 1

@Language.factory("NAME")
def make(nlp, name) -> Length:
    return Length(name)
"""


@pytest.fixture
def code(tmp_path, request):
    """Return a file with one factory; each test has a name of its own, as spaCy forgets none."""
    factory = f"length_{abs(hash(request.node.name))}"
    path = tmp_path / "my_annotators.py"
    path.write_text(CODE.replace("NAME", factory), encoding="utf-8")
    return str(path), factory


def test_from_python(code):
    path, factory = code
    rows = bertpipe.annotate(["abc", "a"], components=[f"n={factory}"], code=path)
    assert [row["n"] for row in rows] == [3, 1]


def test_a_broken_promise_is_named_with_its_file(code):
    path, factory = code
    with open(path, "a", encoding="utf-8") as file:
        file.write("Length.annotate = lambda self, batch: pa.array([1, 2], self.type)\n")
    with pytest.raises(ConfigError, match=r"'n' of my_annotators\.py returned 2 values"):
        list(bertpipe.annotate(["abc"], components=[f"n={factory}"], code=path))


def test_it_is_listed_with_its_file(code):
    path, factory = code
    listed: Any = {each.factory: each for each in list_components(overrides={"run.code": path})}
    assert (listed[factory].package, listed[factory].type) == ("my_annotators.py", "int64")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bertpipe", "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_worker_processes_import_it_and_another_code_is_another_job(code, tmp_path):
    path, factory = code
    corpus, out = tmp_path / "corpus.jsonl", tmp_path / "out"
    corpus.write_text(json.dumps({"text": "four"}) + "\n", encoding="utf-8")
    options = [corpus, "-o", out, "--components", f"n={factory}", "--code", path, "--workers=1"]
    assert run(*options).returncode == 0
    assert pq.read_table(out).column("n").to_pylist() == [4]
    with open(path, "a", encoding="utf-8") as file:
        file.write("FACTOR = 2\n")
    again = run(*options)
    assert again.returncode == 2
    assert "code" in again.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1\nx = nowhere\n", "line 2, NameError"),
        ("import nothing_of_this_name\n", "line 1, ModuleNotFoundError"),
        ("def broken(:\n", "SyntaxError"),
    ],
)
def test_code_that_cannot_be_imported_is_named_with_its_line(tmp_path, content, message):
    path = tmp_path / "broken.py"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"broken.py cannot be imported .{message}"):
        import_code(str(path))


def test_code_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.py does not exist"):
        import_code(str(tmp_path / "nowhere.py"))
    (tmp_path / "text.txt").touch()
    with pytest.raises(ConfigError, match="is no Python file"):
        import_code(str(tmp_path / "text.txt"))


def test_its_digest_is_that_of_its_content(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("x = 1\n")
    two.write_text("x = 1\n")
    assert code_digest(str(one)) == code_digest(str(two))
    two.write_text("x = 2\n")
    assert code_digest(str(one)) != code_digest(str(two))
