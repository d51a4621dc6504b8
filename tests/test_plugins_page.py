"""The page "Write an annotator" is done as it says, in one folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_a_reader_who_does_what_the_page_says_gets_there(tmp_path: Path):
    site = tmp_path / "site"
    installing = {"PIP_TARGET": str(site), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    paths = [str(site), str(tmp_path), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **installing,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    steps = re.finditer(
        r"(?:`([\w.]+)`[^`]*)?\n```(python|sh)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?",
        PAGE,
        flags=re.MULTILINE | re.DOTALL,
    )
    for name, language, body, output in (step.groups() for step in steps):
        if language == "python":
            (tmp_path / name).write_text(body, encoding="utf-8")
            continue
        for line in body.splitlines():
            command = ["sh", "-c", line]
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            assert output is None or output in done.stdout
