import sys

import pytest
from click.testing import CliRunner

from bertpipe.cli import main
from bertpipe.cli.overrides import command_line


def test_a_recipe_that_does_not_exist_is_a_wrong_use():
    result = CliRunner().invoke(main, ["train", "no.cfg"])
    assert result.exit_code == 2
    assert "no.cfg does not exist" in result.output


def test_a_wrong_name_is_a_wrong_use_that_names_what_is_near(recipe, tmp_path):
    recipe("ner")
    path = str(tmp_path / "recipe.cfg")
    result = CliRunner().invoke(main, ["train", path, "--training.epoch", "3"])
    assert result.exit_code == 2
    assert "[training] has no setting 'epoch'; did you mean epochs?" in result.output


def test_a_missing_package_of_the_extra_is_named(recipe, tmp_path, monkeypatch):
    recipe("ner")
    monkeypatch.setitem(sys.modules, "accelerate", None)  # as if it were not installed
    result = CliRunner().invoke(main, ["train", str(tmp_path / "recipe.cfg")])
    assert result.exit_code == 2
    assert "needs accelerate, which is not installed; run pip install 'bertpipe[tr" in result.output


@pytest.mark.filterwarnings("default")
def test_the_command_trains_and_says_where_the_model_is(recipe, tmp_path):
    settings = recipe("sentiment")
    path = str(tmp_path / "recipe.cfg")
    result = CliRunner().invoke(main, ["train", path, "--training.epochs=2"])
    assert result.exit_code == 0, result.output
    assert "step 4 of 4  loss" in result.stderr
    assert f"sentiment is in {settings.output}" in result.stderr
    assert result.stdout == ""
    assert (settings.output / "model.safetensors").is_file()


@pytest.mark.filterwarnings("default")
def test_quiet_says_nothing(recipe, tmp_path):
    settings = recipe("sentiment")
    path = str(tmp_path / "recipe.cfg")
    result = CliRunner().invoke(main, ["train", path, "--training.epochs=1", "--quiet"])
    assert (result.exit_code, result.output) == (0, "")
    assert (settings.output / "README.md").is_file()


def test_the_command_of_a_card_names_no_folder_of_this_machine(tmp_path):
    overrides = {"paths.data": str(tmp_path), "training.epochs": 2, "paths.output": "runs/mine"}
    assert command_line(["bertpipe", "train", tmp_path / "recipe.cfg"], overrides) == (
        "bertpipe train recipe.cfg --paths.data=DATA --training.epochs=2 --paths.output=runs/mine"
    )
