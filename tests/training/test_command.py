import pytest
from click.testing import CliRunner

from bertpipe.cli import main


def test_a_recipe_that_does_not_exist_is_a_wrong_use():
    result = CliRunner().invoke(main, ["train", "no.cfg"])
    assert result.exit_code == 2
    assert "no.cfg does not exist" in result.output


@pytest.mark.filterwarnings("default")
def test_the_command_trains_and_says_where_the_model_is(recipe, tmp_path):
    settings = recipe("sentiment")
    recipe_path = str(tmp_path / "recipe.cfg")
    result = CliRunner().invoke(main, ["train", recipe_path, "--training.epochs=2"])
    assert result.exit_code == 0, result.output
    assert f"sentiment is in {settings.output}" in result.stderr
    assert (settings.output / "model.safetensors").is_file()
