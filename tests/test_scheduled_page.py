"""docs/scheduled.md is followed: its commands and examples are read by the tools they are for."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
import pytest
import yaml
from click.testing import CliRunner

from bertpipe.cli import main
from bertpipe.cli.metrics import HELP

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "scheduled.md").read_text(encoding="utf-8")
EXAMPLES = DOCS / "scheduled"


@pytest.fixture
def folder(tmp_path, monkeypatch, regex_plugin):
    """Work in a folder with a corpus, where the paths of the examples can be put."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/log.txt").write_text("one 1\ntwo 2\n")
    return tmp_path


def run(command, folder):
    """Run a command of an example here: in this process, with a small component."""
    moved = re.sub(r"/srv|/var/lib/node_exporter", str(folder), command)
    program, *arguments = shlex.split(moved.replace("--components ner", "--components n"))
    assert Path(program).name == "bertpipe"
    arguments = ["n=regex_numbers" if each == "n" else each for each in arguments]
    workers = ["--workers", "0"] if arguments[0] == "run" else []
    result = CliRunner().invoke(main, [*arguments, *workers])
    assert result.exit_code == 0, f"{command}: {result.output}"
    return result


def n_rows(folder):
    return ds.dataset(folder / "corpus.annotated", format="parquet").count_rows()


def test_the_commands_of_the_page_run(folder):
    for command in re.findall(r"(?m)^bertpipe .*", PAGE):
        run(command, folder)
    assert n_rows(folder) == 2


def test_every_example_is_on_the_page_and_every_figure_too():
    assert set(re.findall(r"\(scheduled/(.*?)\)", PAGE)) == {p.name for p in EXAMPLES.iterdir()}
    assert set(re.findall(r"`(bertpipe_\w+)`", PAGE)) == set(HELP)


def test_the_cron_line_has_five_fields_and_its_command_runs(folder):
    *settings, line = (EXAMPLES / "crontab").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Z]+=\S+", setting) for setting in settings)
    *fields, command = line.split(maxsplit=5)
    for field, largest in zip(fields, (59, 23, 31, 12, 7), strict=True):
        assert field == "*" or int(field) <= largest
    assert not re.search(r"(?<!\\)%", command)  # a bare % would be a line end
    command, redirection = command.replace(r"\%", "%").split(" 2>>")
    assert redirection == "/var/log/bertpipe.log"
    run(command, folder)
    assert n_rows(folder) == 2
    assert (folder / "bertpipe.prom").exists()


def test_the_units_are_good_for_systemd(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    binary = tmp_path / "bertpipe"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    for name in ("bertpipe.service", "bertpipe.timer"):
        text = (EXAMPLES / name).read_text()
        text = text.replace("/opt/bertpipe/bin/bertpipe", str(binary)).replace(
            "=bertpipe\n", "=root\n"
        )
        (tmp_path / name).write_text(text)
    units = [str(tmp_path / name) for name in ("bertpipe.service", "bertpipe.timer")]
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True
    )
    assert [line for line in result.stderr.splitlines() if "bertpipe" in line] == []
    assert result.returncode == 0, result.stderr


def test_the_command_of_the_unit_runs(folder):
    text = (EXAMPLES / "bertpipe.service").read_text()
    (command,) = re.findall(r"(?m)^ExecStart=(.*)$", text)
    run(command.replace("%%", "%"), folder)
    assert n_rows(folder) == 2


def pod(name):
    manifest = yaml.safe_load((EXAMPLES / name).read_text())
    job = manifest["spec"]["jobTemplate"]["spec"] if name == "cronjob.yaml" else manifest["spec"]
    return manifest, job, job["template"]["spec"]


@pytest.mark.parametrize("name", ["cronjob.yaml", "indexed-job.yaml"])
def test_a_manifest_mounts_what_it_names_and_retries_only_what_may_end_otherwise(name):
    manifest, job, spec = pod(name)
    assert manifest["apiVersion"] == "batch/v1"
    assert manifest["kind"] == {"cronjob.yaml": "CronJob"}.get(name, "Job")
    (container,) = spec["containers"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}
    assert spec["restartPolicy"] == "Never"  # what podFailurePolicy asks for
    (codes, _) = job["podFailurePolicy"]["rules"]
    assert codes["onExitCodes"]["values"] == [2, 3]


def test_the_command_of_the_cron_job_runs(folder):
    manifest, _, spec = pod("cronjob.yaml")
    assert len(manifest["spec"]["schedule"].split()) == 5
    (container,) = spec["containers"]
    run(shlex.join([*container["command"], *container["args"]]), folder)
    assert n_rows(folder) == 2


def test_the_shards_of_the_indexed_job_are_the_whole(folder):
    _, job, spec = pod("indexed-job.yaml")
    assert job["completionMode"] == "Indexed"
    (container,) = spec["containers"]
    assert container["command"] == ["sh", "-c"]
    (script,) = container["args"]
    for index in range(job["completions"]):
        # The shell of this machine reads the script as that of the pod does.
        echo = script.replace("exec bertpipe", "echo bertpipe")
        result = subprocess.run(
            ["sh", "-c", echo],
            env={**os.environ, "JOB_COMPLETION_INDEX": str(index)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.endswith(f"--shard {index + 1}/8\n")
        run(result.stdout, folder)
    assert n_rows(folder) == 2
    (folder / "corpus/more.txt").write_text("three 3\n")
    run("bertpipe run corpus -o corpus.annotated --lines --components ner --relative-to .", folder)
    assert n_rows(folder) == 3


def test_the_commands_of_the_dag_run_one_after_the_other(folder):
    tree = ast.parse((EXAMPLES / "airflow_dag.py").read_text())
    source = ast.unparse(tree)
    commands = [
        eval(ast.unparse(keyword.value), {"OUTPUT": "/srv/corpus.annotated"})
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "bash_command"
    ]
    assert [command.split()[:3] for command in commands] == [
        ["exec", "bertpipe", name] for name in ("run", "compact", "verify")
    ]
    assert "annotate >> compact >> verify" in source
    for command in commands:
        run(command.removeprefix("exec "), folder)
    assert n_rows(folder) == 2


def test_airflow_reads_the_dag():
    pytest.importorskip("airflow", reason="airflow is not installed")
    path = EXAMPLES / "airflow_dag.py"
    subprocess.run([sys.executable, path], check=True, capture_output=True)
