from pathlib import Path

import pytest

from bertpipe.errors import ConfigError
from bertpipe.training.settings import read_settings

RECIPES = sorted((Path(__file__).parents[2] / "configs/train").glob("*.cfg"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_read(path):
    settings = read_settings(path, {"paths.data": "corpus", "training.epochs": 7})
    assert settings.training.epochs == 7
    for task in settings.tasks.values():
        assert task.train
        assert all(source.path.parts[0] == "corpus" for source in task.train.values())


def test_an_unknown_setting_is_refused_with_the_known_ones(recipe):
    with pytest.raises(ConfigError, match=r"\[training\] has no setting 'epoch': use .*epochs"):
        recipe("ner", **{"training.epoch": 3})


def test_a_wrong_kind_of_task_is_refused(recipe):
    with pytest.raises(ConfigError, match=r"tasks\.ner\.kind is 'tagging': use one of token_class"):
        recipe("ner", **{"tasks.ner.kind": "tagging"})


def test_a_missing_path_is_refused(recipe):
    with pytest.raises(ConfigError, match=r"\[paths\] lacks 'base'"):
        recipe("ner", **{"paths.base": None})


def test_a_missing_recipe_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.cfg does not exist"):
        read_settings(tmp_path / "no.cfg")
