"""docs/again.md is followed: its commands are run, and do what it says."""

import re
import shlex
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from click.testing import CliRunner

from bertpipe.cli import main

PAGE = (Path(__file__).parents[1] / "docs/again.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"(?ms)^```sh\n(.*?)^```", PAGE) for line in block.splitlines()
]


@pytest.mark.usefixtures("regex_plugin")
def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "corpus/log.txt"
    log.parent.mkdir()
    log.write_text("one\ntwo\n")
    for command in COMMANDS:
        _, *arguments = shlex.split(command.replace("ner", "numbers=regex_numbers"))
        workers = ["--workers", "0"] if arguments[0] == "run" else []
        result = CliRunner().invoke(main, [*arguments, *workers])
        assert result.exit_code == 0, f"{command}: {result.output}"
        if "--dry-run" in command:
            assert "0 documents in 0 chunks" in result.output
            log.write_text("one\ntwo\n3\n4")
        elif "--final" in command:
            assert _texts(tmp_path) == ["one", "two", "3", "4"]
            log.write_text("another\n")
        elif command.startswith("bertpipe verify"):
            assert _texts(tmp_path) == ["another"]
            log.write_text("another\nnight\n")
    assert _texts(tmp_path) == ["another", "night"]


def _texts(folder):
    table = ds.dataset(folder / "corpus.annotated", format="parquet").to_table().to_pylist()
    return [row["text"] for row in sorted(table, key=lambda row: row["_source"]["row"])]
