"""The scripts that a stranger starts first."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ["install", "check", "test", "demo", "fuzz", "audit"]
installed = pytest.mark.skipif(
    not list((ROOT / ".venv").glob("*.stamp")), reason="sh scripts/install has not been run"
)


def sh(*arguments: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """Run sh with arguments and return what it did."""
    return subprocess.run(
        [shutil.which("sh") or "sh", *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_plain_sh(name: str):
    assert (ROOT / "scripts" / name).read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert sh("-n", f"scripts/{name}").returncode == 0


def test_ci_runs_all_tests():
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").endswith("scripts/test --all\n")


def test_installing_without_a_python_says_what_to_do(tmp_path: Path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname"):  # no Python among them
        (tools / tool).symlink_to(shutil.which(tool) or "")
    result = sh("scripts/install", PATH=str(tools))
    assert result.returncode == 1
    assert "No Python 3.11 or later" in result.stderr


def test_installing_with_an_unusable_python_does_not_take_another():
    result = sh("scripts/install", PYTHON="false")
    assert result.returncode == 1
    assert "set PYTHON" in result.stderr


def test_without_a_network_the_audit_says_that_nothing_was_looked_up():
    result = sh("scripts/audit", OSV_URL="http://127.0.0.1:9/")
    assert (result.returncode, result.stdout) == (0, "")
    assert "http://127.0.0.1:9/: the dependencies were not looked up." in result.stderr


@installed
def test_installing_again_does_nothing():
    sh("scripts/install")
    result = sh("scripts/install")
    assert (result.returncode, result.stderr) == (0, "")


@installed
def test_the_demo_can_be_run_again():
    for _ in range(2):
        result = sh("scripts/demo")
        assert result.returncode == 0, result.stderr
        assert "The 3 rows in error" in result.stdout
    assert "60 rows in samples.annotated" in result.stdout
