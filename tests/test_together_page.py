"""docs/together.md is followed: its command and its code are run, and say what it says."""

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from bertpipe.cli import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/together.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```(\w+)\n(.*?)^```", PAGE)


def test_the_command_and_the_code_of_the_page_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("samples", "configs"):
        Path(name).symlink_to(ROOT / name)
    command, table, code = (
        next(body for kind, body in BLOCKS if kind == wanted) for wanted in ("sh", "text", "python")
    )
    _, *arguments = shlex.split(command)
    result = CliRunner().invoke(main, [*arguments, "--workers", "0"])
    assert result.exit_code == 0, result.output
    assert table.strip() in result.output
    capsys.readouterr()
    exec(compile(code, "docs/together.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 3
