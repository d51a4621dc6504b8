import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
import pytest

import bertpipe

SCRIPT = Path(__file__).with_name("writer_process.py")
N_ROWS = 10 * sum(range(7, 13))


def _kill_and_resume(out, seed, n_kills):
    """Return how many runs were killed before the last one came to its end."""
    command = [sys.executable, str(SCRIPT), str(out), str(seed), str(n_kills)]
    environment = {**os.environ, "PYTHONPATH": str(Path(bertpipe.__file__).parents[1])}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


def _rows(out):
    table = ds.dataset(out, format="parquet").to_table()
    return sorted(table.to_pylist(), key=lambda row: (row["_source"]["path"], row["id"]))


def _assert_equal_to_an_undisturbed_run(out, tmp_path):
    _kill_and_resume(tmp_path / "undisturbed", seed=0, n_kills=0)
    rows = _rows(out)
    assert len(rows) == N_ROWS
    assert rows == _rows(tmp_path / "undisturbed")
    # A process that dies while it asks for the lock leaves a file for a minute at most.
    left = [path.name for path in (out / "_bertpipe").iterdir()]
    assert [name for name in left if not name.startswith(".lock.")] == ["report.json"]
    assert json.loads((out / "_bertpipe" / "report.json").read_text()) == {"rows": N_ROWS}


def test_ten_kills_lose_and_double_nothing(tmp_path):
    n_killed = _kill_and_resume(tmp_path / "out", seed=7, n_kills=10)
    assert n_killed > 0
    _assert_equal_to_an_undisturbed_run(tmp_path / "out", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_two_hundred_kills_lose_and_double_nothing(tmp_path, seed):
    _kill_and_resume(tmp_path / "out", seed=seed, n_kills=20)
    _assert_equal_to_an_undisturbed_run(tmp_path / "out", tmp_path)
