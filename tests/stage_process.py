"""One run for each stage, killed there, and one more to its end: see test_kill.py.

    python stage_process.py FOLDER

The command runs in children that are forked, with its worker in the same process, so that twelve
stages take little time. Writes what was found after each of them as JSON.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from bertpipe.cli import main as bertpipe
from bertpipe.output.verify import verify
from bertpipe.testing import tiny_model

QUICK = Path(__file__).parent / "plugin/quick.py"
# Where each stage is left, and by which call of it: before it does its work, or after that.
STAGES = {
    "taking the lock": ("bertpipe.output.lock", "_appear", "after", 1),
    "reading": ("bertpipe.corpus.jsonl", "read", "before", 2),
    "tokenising": ("bertpipe.annotators.passes", "Pass._cut", "before", 3),
    "forward": ("bertpipe.annotators.scoring", "Scorer._heads_on", "after", 4),
    "decoding": ("bertpipe.annotators.ner", "group", "before", 3),
    "writing": ("bertpipe.output.parquet", "PartWriter.write", "after", 3),
    "closing a part": ("bertpipe.output.parquet", "sync_file", "before", 3),
    "between write and rename": ("bertpipe.output.parquet", "move", "before", 3),
    "between rename and what follows": ("os", "replace", "after", 3),
    "counting a part": ("bertpipe.output.ledger", "Ledger._count", "before", 3),
    "writing the report": ("bertpipe.output.ledger", "Ledger.write_report", "before", 1),
    "giving back the lock": ("bertpipe.output.lock", "FolderLock.release", "before", 1),
}


def kill_at(module: str, name: str, when: str, call: int) -> None:
    """Let this process be killed by the so-manieth call of a function."""
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for each in path:
        owner = getattr(owner, each)
    does = getattr(owner, last)
    n_calls = 0

    def killed(*arguments: Any, **settings: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        if n_calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = does(*arguments, **settings)
        if n_calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, last, killed)


def in_child(do: Callable[[], object]) -> int:
    """Do something in a child; return its exit code, or the signal that ended it as less than 0."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        except SystemExit as end:
            os._exit(int(end.code or 0))
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def rows(output: Path) -> list[dict[str, Any]]:
    """Return the rows of an output, in order; none when no part is there yet."""
    if not list(output.glob("*.parquet")):
        return []
    found = ds.dataset(output, format="parquet").to_table().to_pylist()
    return sorted(found, key=lambda row: (row["_source"]["path"], row["_source"]["row"]))


def main(folder: Path) -> None:
    """Kill a run in each stage."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for name in ("a", "b"):
        records = ({"text": f"Ann saw {i} birds. " + "x " * 300} for i in range(90))
        (corpus / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    model = tiny_model(folder / "model", task="ner")

    def run(output: Path) -> None:
        options = ["--code", str(QUICK), "--components", "numbers=quick_numbers,ner", "--quiet"]
        options += [f"--components.ner.model={model}", "--workers", "0", "--commit-every", "0"]
        options += ["--run.stride", "8"]
        bertpipe(["run", str(corpus), "-o", str(output), *options])

    def run_to_stage(output: Path, stage: str) -> None:
        kill_at(*STAGES[stage])
        run(output)

    assert in_child(lambda: run(folder / "undisturbed")) == 0
    wanted = rows(folder / "undisturbed")
    assert len(wanted) == 180
    found = {}
    for number, stage in enumerate(STAGES):
        output = folder / f"out{number}"
        ended_by = in_child(lambda o=output, s=stage: run_to_stage(o, s))  # type: ignore[misc]
        before = [(row["_source"]["path"], row["_source"]["row"]) for row in rows(output)]
        found[stage] = {
            "ended_by": ended_by,
            "n_rows_then": len(before),
            "n_twice": len(before) - len(set(before)),
            "then": in_child(lambda o=output: run(o)),  # type: ignore[misc]
            "is_equal": rows(output) == wanted,
            "findings": verify(output, [str(corpus)]).findings,
            "left": sorted(path.name for path in (output / "_bertpipe").iterdir()),
        }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
