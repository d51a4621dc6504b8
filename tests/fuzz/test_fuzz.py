"""The inputs that were kept hold; `scripts/fuzz` looks for more."""

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TARGETS = runpy.run_path(str(HERE / "targets.py"))["TARGETS"]
INPUTS = sorted((HERE / "inputs").glob("*/*"))


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_is_read_or_refused_in_one_sentence(path):
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_inputs_to_begin_with():
    assert {path.parent.name for path in INPUTS} == set(TARGETS)
