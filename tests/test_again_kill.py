"""Recomputing and compacting under SIGKILL: no row is lost, none stands there twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from bertpipe import api

SCRIPT = Path(__file__).with_name("again_process.py")


def rows(out):
    table = ds.dataset(out, format="parquet").to_table().to_pylist()
    key = ("path", "row")
    found = sorted((*map(row["_source"].get, key), row["text"]) for row in table)
    assert len({row[:2] for row in found}) == len(found)
    return found


@pytest.mark.parametrize("n_kills", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_killed_while_it_recomputes_and_compacts_an_output_is_whole_in_the_end(
    assert_whole, n_kills, tmp_path, regex_plugin
):
    arguments = [sys.executable, str(SCRIPT), str(tmp_path), "7", str(n_kills)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_killed = json.loads(done.stdout)
    assert min(n_killed["annotate"], n_killed["compact"]) > n_kills // 10
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    components = [f"numbers={regex_plugin}"]
    # One killed while it wrote its name might still be asking for the lock: the next start removes
    # what it left only when a minute has passed.
    for left in (out / "_bertpipe").glob(".lock.*"):
        os.utime(left, (0, 0))
    assert api.run(corpus, output=out, components=components, workers=0).n_new == 0
    api.run(corpus, output=tmp_path / "fresh", components=components, workers=0)
    assert rows(out) == rows(tmp_path / "fresh")
    assert_whole(out, corpus)
    names = {path.name for path in (out / "_bertpipe").iterdir()}
    assert names == {"components.json", "report.json"}
