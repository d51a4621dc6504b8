"""What all commands have in common: help, errors, exit codes."""

import re
import shlex
import subprocess
import sys

import pytest

from bertpipe import __version__
from bertpipe.cli import main

NAMES = sorted(main.commands)
# Their examples need more than the folder's corpus: tests of their own run them.
OTHER_FILES = {"convert", "evaluate", "train"}
VERBS = {
    "Annotate",
    "Check",
    "Fine-tune",
    "List",
    "Measure",
    "Merge",
    "Print",
    "Score",
    "Show",
    "Write",
}


def test_these_are_the_commands():
    assert NAMES == [
        "annotate",
        "bench",
        "check",
        "compact",
        "components",
        "config",
        "convert",
        "evaluate",
        "new-plugin",
        "run",
        "status",
        "train",
        "verify",
        "view",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_help_begins_with_a_verb_and_ends_with_an_example(name, call):
    lines = call(name, "--help").stdout.strip().splitlines()
    assert lines[0].startswith(f"Usage: bertpipe {name}")
    assert lines[2].split()[0] in VERBS
    assert lines[-1].strip().startswith(f"Example: bertpipe {name}")


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_help(name):
    options = [each for each in main.commands[name].params if each.param_type_name == "option"]
    assert all(getattr(option, "help", None) for option in options)


@pytest.mark.usefixtures("folder", "model_package")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in OTHER_FILES])
def test_the_example_in_the_help_runs(name, call):
    if name in ("compact", "status", "verify", "view"):
        call(*example("run"), "--run.workers=0")
    assert call(*example(name), "--run.workers=0").exit_code in (0, 3)


def example(name: str) -> list[str]:
    """Return the arguments of the example in a command's help."""
    epilog = main.commands[name].epilog or ""
    return shlex.split(epilog.removeprefix("Example: bertpipe "))


def test_the_version_is_told_at_once():
    command = [sys.executable, "-X", "importtime", "-m", "bertpipe", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"bertpipe {__version__}\n"
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"torch", "spacy", "transformers", "pyarrow", "numpy", "confection"}


def test_an_error_of_the_library_is_one_sentence_and_its_exit_code(call):
    result = call("run", "nothing.jsonl", "--components", "ner", "--run.strid", "3")
    assert result.exit_code == 2
    assert result.stderr == "Error: [run] has no setting 'strid'; did you mean stride?\n"
    assert result.stdout == ""


def test_a_component_must_be_named(call):
    result = call("run", "nothing.jsonl")
    assert result.exit_code == 2
    assert "No component is chosen" in result.stderr


@pytest.mark.usefixtures("regex_plugin")
def test_a_corpus_that_does_not_exist_is_wrong_use(call):
    result = call("run", "nothing.jsonl", "--components", "numbers=regex_numbers")
    assert result.exit_code == 2
    assert result.stderr == ("Error: nothing.jsonl does not exist; check the path of the corpus.\n")


def test_ctrl_c_is_exit_code_130(call, monkeypatch):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bertpipe.config.default_text", interrupt)
    result = call("config")
    assert (result.exit_code, result.stderr) == (130, "Stopped.\n")


def test_a_full_disk_under_what_a_command_prints_is_one_sentence():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "bertpipe", "config"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert re.fullmatch(
        r"Error: What .* \(No space left on device\); make room .*\n", result.stderr
    )
