"""Every class of the exception tree is met here, and its message names thing, value and cure."""

import os
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bertpipe import api, errors
from bertpipe.errors import BertpipeError
from bertpipe.output.folder import take_lock
from bertpipe.patience import Patience
from bertpipe.stopping import StopSignal
from bertpipe.training.limits import SMALLER_PIECES, explaining_memory

QUICK = Path(__file__).parent / "plugin/quick.py"
TOP = Path(__file__).parents[1]


def run(folder: Path, name: str = "corpus.jsonl", **settings: Any) -> None:
    (folder / "corpus.jsonl").write_text('{"text": "1"}\n{"text": null}\n')
    options = {"output": folder / "out", "components": ["numbers=quick_numbers"], "workers": 0}
    api.run(folder / name, code=QUICK, **{**options, **settings})


def a_component_that_is_unknown(folder: Path) -> None:
    run(folder, components=["nrr"])


def a_corpus_that_is_missing(folder: Path) -> None:
    run(folder, "corpos.jsonl")


def a_model_that_is_missing(folder: Path) -> None:
    run(folder, components=["ner"], overrides={"components.ner.model": str(folder / "tiny")})


def an_output_that_is_a_file(folder: Path) -> None:
    run(folder, output=folder / "corpus.jsonl")


def an_output_that_is_in_use(folder: Path) -> None:
    lock = take_lock(folder / "out")
    try:
        run(folder)
    finally:
        lock.release()


def a_worker_that_dies(folder: Path) -> None:
    run(folder, workers=1, overrides={"components.numbers.pattern": "SUICIDE"})


def a_disk_that_is_full(folder: Path) -> None:
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
    try:
        run(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def more_errors_than_allowed(folder: Path) -> None:
    run(folder, on_error="fail")


def a_signal(folder: Path) -> None:
    del folder
    with StopSignal(20.0):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)


def a_document_that_takes_too_long(folder: Path) -> None:
    del folder
    with Patience(0.05, is_alone=False).over(pa.record_batch({"text": ["1"]})):
        time.sleep(60)


def a_training_that_needs_more_memory_than_there_is(folder: Path) -> None:
    del folder
    with explaining_memory("4,096 tokens at once", SMALLER_PIECES):
        bytearray(1 << 60)


@dataclass(frozen=True)
class Case:
    """How a class is provoked, and what its message says."""

    provoke: Callable[[Path], None]
    thing: str
    value: str
    cure: str
    exit_code: int


CASES = {
    errors.BertpipeError: Case(
        a_training_that_needs_more_memory_than_there_is, "memory", "4,096 tokens", "lower", 1
    ),
    errors.ConfigError: Case(a_component_that_is_unknown, "component", "'nrr'", "ner", 2),
    errors.CorpusError: Case(a_corpus_that_is_missing, "corpos.jsonl", "does not", "check|give", 2),
    errors.ModelError: Case(a_model_that_is_missing, "model", "/tiny", "give|install|name", 2),
    errors.OutputError: Case(
        an_output_that_is_a_file, "corpus.jsonl", "exists|Not a directory", "another --output", 2
    ),
    errors.BusyError: Case(
        an_output_that_is_in_use, "/out", f"process {os.getpid()}", "wait for its end", 75
    ),
    errors.WorkerError: Case(a_worker_that_dies, "Worker 0", "signal 9", "Run the same command", 1),
    errors.WriteError: Case(a_disk_that_is_full, "/out", "File too large", "Make room", 1),
    errors.LimitError: Case(
        more_errors_than_allowed, "/out", "1 of 2 rows .* NullText", "Mend the corpus", 1
    ),
    errors.StoppedError: Case(a_signal, "Stopped", "SIGTERM", "run the same command again", 143),
    errors.DocumentError: Case(
        a_document_that_takes_too_long, "document", r"0\.05 s", "raise --document-timeout", 1
    ),
}


def tree(kind: type[BertpipeError]) -> Iterator[type[BertpipeError]]:
    """Yield the classes without others below them."""
    below = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    if not below:
        yield kind
    for each in below:
        yield from tree(each)


KINDS = [BertpipeError, *tree(BertpipeError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_its_message_names_the_thing_the_value_and_the_cure(kind, tmp_path, regex_plugin):
    assert kind in CASES, f"say here how {kind.__name__} is provoked"
    case = CASES[kind]
    with pytest.raises(kind) as caught:
        case.provoke(tmp_path)
    assert type(caught.value) is kind
    message = str(caught.value)
    for part in (case.thing, case.value, case.cure):
        assert re.search(part, message), f"{part!r} is not in {message!r}"
    assert message.endswith((".", "?"))
    assert "\n" not in message
    assert caught.value.exit_code == case.exit_code


def test_the_tree_that_is_drawn_is_the_tree():
    drawn = re.findall(r"(?m)^[│├└─ ]*(\w+Error)\b", errors.__doc__ or "")
    own = [each for each in vars(errors).values() if isinstance(each, type)]
    assert sorted(drawn) == sorted(each.__name__ for each in own)


def test_each_class_that_is_raised_somewhere_is_met_here_and_no_module_has_another():
    folders = (TOP / "bertpipe", *TOP.glob("plugins/*"))
    paths = (path for folder in folders for path in folder.rglob("*.py"))
    code = "\n".join(path.read_text("utf-8") for path in paths if path.name != "errors.py")
    own = "|".join(each for each in vars(errors) if each.endswith("Error"))
    made = set(re.findall(rf"(?<!click\.)\b({own})\(", code))
    assert made == {kind.__name__ for kind in CASES}
    assert not re.findall(rf"(?m)^ *class \w+\(.*\b(?:{own})\b", code)
