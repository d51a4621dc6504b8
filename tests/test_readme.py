"""The README is run: its commands, its Python and its SQL, in order, in one folder."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN_ELSEWHERE = {
    "sh scripts/demo": "test_scripts.py runs it",
    "sh scripts/test": "it runs this test",
}


@dataclass(frozen=True)
class Block:
    """A fenced block, and the text block that follows it at once as its output."""

    language: str
    body: str
    output: str | None


def blocks() -> Iterator[Block]:
    """Yield the blocks of the README that can be run."""
    pattern = r"^```(sh|python|sql)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?"
    for match in re.finditer(pattern, README, flags=re.MULTILINE | re.DOTALL):
        yield Block(*match.groups())


def run(*command: str, cwd: Path) -> str:
    """Return the standard output of a command that is found beside this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stderr}"
    return result.stdout


def run_sql(query: str, folder: Path) -> str:
    """Return the table that DuckDB's shell shows for a query."""
    code = "import duckdb, sys; print(duckdb.sql(sys.argv[1]))"
    return run(sys.executable, "-c", code, query, cwd=folder).rstrip("\n") + "\n"


@pytest.mark.slow
def test_all_that_the_readme_shows_works(tmp_path: Path):
    for name in ("samples", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for block in blocks():
        if block.language == "python":
            output = run(sys.executable, "-c", block.body, cwd=tmp_path)
        elif block.language == "sql":
            output = run_sql(block.body, tmp_path)
        else:
            for line in block.body.splitlines():
                if line not in RUN_ELSEWHERE:
                    run("sh", "-c", line, cwd=tmp_path)
            continue
        assert output == (block.output or output)


def test_the_exceptions_are_still_shown():
    shown = {line for block in blocks() for line in block.body.splitlines()}
    assert set(RUN_ELSEWHERE) <= shown


def test_files_named_in_the_readme_exist():
    for name in re.findall(r"`((?:configs|plugins|samples|scripts)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name


def test_the_readme_has_no_gaps_and_fits_a_few_screens():
    assert "GAP" not in README
    assert len(README.splitlines()) < 190
