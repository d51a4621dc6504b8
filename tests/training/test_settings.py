from pathlib import Path

import pytest

from bertpipe.errors import ConfigError
from bertpipe.settings import read_cfg
from bertpipe.training.settings import read_settings

RECIPES = sorted((Path(__file__).parents[2] / "configs/train").glob("*.cfg"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_read(path):
    named = [name for name in ("data", "train", "dev") if name in read_cfg(path)["paths"]]
    corpus = {f"paths.{name}": "corpus" for name in named}
    settings = read_settings(path, {**corpus, "training.epochs": 7})
    assert settings.training.epochs == 7
    for task in settings.tasks.values():
        assert task.train
        assert all(source.path.parts[0] == "corpus" for source in task.train.values())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("training.epoch", r"\[training\] has no setting 'epoch'; did you mean epochs"),
        (
            "training.x",
            r"\[training\] has no setting 'x'; use one of attention_dropout, batch_size",
        ),
        ("traning.epochs", "The recipe has no section 'traning'; did you mean training"),
        ("paths.trian", r"\[paths\] has no name 'trian'; use one of base, output"),
        ("tasks.ner.dev.file.limt", r"\[tasks.ner.dev.file\] has no setting 'limt'; did .* limit"),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_near(recipe, name, message):
    with pytest.raises(ConfigError, match=message):
        recipe("ner", **{name: 3})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("training.epochs", "two", r"\[training\]: epochs is 'two', but must be a number"),
        ("training.epochs", 0, r"training\.epochs is 0; give a number above 0"),
        ("training.batch_size", 2.5, "batch_size is 2.5, but must be a whole number or null"),
        ("training.label_smoothing", 1, "label_smoothing is 1; give a number from 0 to below 1"),
        ("training.checkpoint_every", "5x", "checkpoint_every is '5x'; give a duration"),
        ("training.precision", "fp8", "precision is 'fp8', but must be auto, fp32, bf16"),
        ("paths.output", None, r"\[paths\] lacks 'output': set it, for .* --paths\.output"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(recipe, name, value, message):
    with pytest.raises(ConfigError, match=message):
        recipe("ner", **{name: value})


def test_without_a_dev_file_a_part_of_the_training_files_is_held_back(recipe, tmp_path):
    whole = recipe("ner", **{"tasks.ner.train.file.held_out": 0.3})
    path = tmp_path / "recipe.cfg"
    path.write_text(path.read_text().partition("[tasks.ner.dev]")[0])
    changes = {"tasks.ner.train.file.held_out": 0.3, "tasks.ner.train.file.passes": 2}
    without = read_settings(path, changes).tasks["ner"]
    null = recipe("ner", **changes, **{"tasks.ner.dev.file.path": None}).tasks["ner"]
    assert without == null
    train, dev = without.train["file"], without.dev["file"]
    assert train.path == dev.path == whole.tasks["ner"].train["file"].path
    assert (train.part, train.held_out, train.passes) == ("train", 0.3, 2)
    assert (dev.part, dev.held_out, dev.passes) == ("held_out", 0.3, 1)


def test_what_learns_from_a_held_out_part_needs_a_dev_file(recipe):
    part = {"tasks.ner.train.file.part": "held_out", "tasks.ner.dev.file.path": None}
    with pytest.raises(ConfigError, match=r"has no dev file, .*; add a \[tasks\.ner\.dev\.FILE\]"):
        recipe("ner", **part)


def test_a_wrong_kind_of_task_is_refused(recipe):
    with pytest.raises(
        ConfigError, match=r"\[tasks\.ner\]: kind is 'tagging', but must be token_class"
    ):
        recipe("ner", **{"tasks.ner.kind": "tagging"})


def test_a_missing_path_is_refused(recipe):
    with pytest.raises(ConfigError, match=r"\[paths\] lacks 'base'"):
        recipe("ner", **{"paths.base": None})


def test_a_missing_recipe_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.cfg does not exist"):
        read_settings(tmp_path / "no.cfg")
