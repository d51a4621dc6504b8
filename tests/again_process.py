"""Runs, recomputations and compactions in children that are killed: see test_again_kill.py.

    python again_process.py FOLDER SEED N_KILLS

In each round files of the corpus grow or change, then children that are killed recompute and
compact; after each kill no row may stand there twice. At the end one child of each kind runs to its
end. Writes how many children were killed at work, by kind. A child is forked, not started, so that
many of them take little time.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bertpipe import api, worker
from bertpipe.annotators.create import create_all
from bertpipe.config import load_config
from bertpipe.output.compact import compact
from bertpipe.output.status import status

COMPONENTS = ["numbers=regex_numbers"]
NAMES = ("a", "b", "c", "d", "e")
KILLED_WITHIN_S = {"annotate": 0.15, "compact": 0.012}  # about as long as each is at work


def annotate(corpus: Path, out: Path, commit_every: float) -> None:
    """Do what the output lacks, with what changed computed again."""
    options: dict[str, Any] = {"workers": 0, "commit_every": commit_every, "changed": "recompute"}
    api.run(corpus, output=out, components=COMPONENTS, **options)


def change(corpus: Path) -> None:
    """Let a file grow, and give two others another content: shorter, longer or empty."""
    grown, *changed = random.sample(NAMES, 3)
    with (corpus / f"{grown}.jsonl").open("a") as file:
        file.write(lines(random.randint(1, 30)))
    for name in changed:
        (corpus / f"{name}.jsonl").write_text(lines(random.randint(0, 90)))


def lines(n: int) -> str:
    texts = (f"{random.random()} " + "x" * 400 for _ in range(n))
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def in_child(do: Callable[[], object], kill_after_s: float | None = None) -> bool:
    """Do something in a child; tell whether it was killed before its end."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
    _, code = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(code) and os.waitstatus_to_exitcode(code):
        sys.exit("a child failed")
    return os.WIFSIGNALED(code)


def main(folder: Path, seed: int, n_kills: int) -> None:
    """Change and kill so often, then run to the end."""
    random.seed(seed)
    annotators = create_all(load_config(components=COMPONENTS))
    worker.create_all = lambda config: annotators  # type: ignore[attr-defined]
    corpus, out = folder / "corpus", folder / "out"
    corpus.mkdir()
    for name in NAMES:
        (corpus / f"{name}.jsonl").write_text(lines(60))
    in_child(lambda: annotate(corpus, out, 0))
    n_killed: Counter[str] = Counter()
    kinds = {
        "annotate": lambda: annotate(corpus, out, random.choice((0, 60))),
        "compact": lambda: compact(out, part_bytes=random.choice((10_000, 100_000_000))),
    }
    for number in range(n_kills):
        if number % 4 == 0:
            change(corpus)
        kind = random.choice(list(kinds))
        n_killed[kind] += in_child(kinds[kind], random.uniform(0.0, KILLED_WITHIN_S[kind]))
        in_child(lambda: status(out))  # which refuses rows that stand there twice
    in_child(lambda: annotate(corpus, out, 0))
    in_child(lambda: compact(out))
    sys.stdout.write(json.dumps(n_killed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
