"""A new plug-in works before anything in it is changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bertpipe.cli import main
from bertpipe.errors import ConfigError
from bertpipe.templates import KINDS, new_plugin


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder whose packages are found."""
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_plug_in_pass_as_generated(tmp_path, kind):
    arguments = ["new-plugin", "city-names", "--kind", kind, "--parent", str(tmp_path)]
    told = CliRunner().invoke(main, arguments)
    folder = tmp_path / "city-names"
    assert told.output.startswith(f"{folder} is a plug-in.")
    # What an editable installation writes beside the package: its metadata with its entry points.
    made = python("-c", "from setuptools import setup; setup()", "-q", "egg_info", folder=folder)
    assert made.returncode == 0, made.stderr
    tested = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", folder=folder)
    assert tested.returncode == 0, tested.stdout
    left = [path for path in folder.rglob("*.*") if "my_annotator" in path.name]
    texts = [path.read_text() for path in folder.rglob("*.py")]
    assert not left
    assert not [text for text in texts if "my_annotator" in text or "MyAnnotator" in text]


@pytest.mark.parametrize("name", ["My-Dates", "1st", "a b", "-x", "../x"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot name a plug-in; use small letters"):
        new_plugin(name, kind="regex", parent=tmp_path)


@pytest.mark.parametrize("name", ["ner", "bert-ner", "sentencizer"])
def test_the_name_of_another_factory_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="is one of spaCy or bertpipe already"):
        new_plugin(name, kind="regex", parent=tmp_path)


@pytest.mark.usefixtures("regex_plugin")
def test_the_name_of_an_installed_plug_in_is_refused_with_its_package(tmp_path):
    with pytest.raises(ConfigError, match=r"the package regex-plugin 1\.0 already"):
        new_plugin("regex-numbers", kind="regex", parent=tmp_path)


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "city-names").mkdir()
    result = CliRunner().invoke(main, ["new-plugin", "city-names", "--parent", str(tmp_path)])
    assert result.exit_code == 2
    assert "exists; give another name" in result.output
    assert not list((tmp_path / "city-names").iterdir())
