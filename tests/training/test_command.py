import click
import pytest
from click.testing import CliRunner

from bertpipe.cli.train import overrides, train_command


def test_overrides_are_read_with_and_without_equals_sign():
    assert overrides(["--paths.train", "a b.txt", "--training.epochs=3"]) == {
        "paths.train": "a b.txt",
        "training.epochs": 3,
    }


@pytest.mark.parametrize("arguments", [["extra"], ["--verbose"], ["--training.epochs"]])
def test_other_arguments_are_refused(arguments):
    with pytest.raises(click.UsageError):
        overrides(arguments)


@pytest.mark.filterwarnings("default")
def test_the_command_trains_and_says_where_the_model_is(recipe, tmp_path):
    settings = recipe("sentiment")
    recipe_path = str(tmp_path / "recipe.cfg")
    result = CliRunner().invoke(train_command, [recipe_path, "--training.epochs=2"])
    assert result.exit_code == 0, result.output
    assert f"sentiment is in {settings.output}" in result.stderr
    assert (settings.output / "model.safetensors").is_file()
