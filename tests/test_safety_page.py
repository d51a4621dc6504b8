"""docs/safety.md names tests that exist, and its command converts a model."""

import re
import shlex
from pathlib import Path

import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from bertpipe.cli import main
from bertpipe.encoder.resolve import resolve
from bertpipe.testing import tiny_model

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/safety.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_exists():
    named = re.findall(r"(?m)^\|.*\| `(\w+)` \|$", PAGE)
    found = "\n".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    assert len(named) > 10
    assert not [name for name in named if f"def {name}(" not in found]


def test_the_command_of_the_page_converts_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = tiny_model(tmp_path / "old-model", task="ner") / "model.safetensors"
    torch.save(load_file(weights), "old-model/pytorch_model.bin")
    weights.unlink()
    (command,) = re.findall(r"(?m)^bertpipe (.*)$", PAGE)
    result = CliRunner().invoke(main, shlex.split(command))
    assert result.exit_code == 0, result.output
    assert resolve("new-model").path == tmp_path / "new-model"
