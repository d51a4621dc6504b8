"""docs/train.md is followed: its recipe is trained, its commands and its Python are run."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bertpipe.testing import tiny_model
from bertpipe.training.settings import KINDS, LoopSettings, Source, TaskSettings

PAGE = (Path(__file__).parents[1] / "docs/train.md").read_text(encoding="utf-8")


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of code."""
    pattern = rf"^```({'|'.join(languages)})\n(.*?)^```$"
    return re.findall(pattern, PAGE, flags=re.MULTILINE | re.DOTALL)


def run(folder: Path, *command: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_what_the_page_shows_works(tmp_path: Path):
    tiny_model(tmp_path / "all-MiniLM-L6-v2", task="classifier", max_length=256)
    rows = [f"{word} {i},{word}" for i in range(20) for word in ("good", "bad")]
    for name in ("reviews.csv", "dev.csv"):
        (tmp_path / name).write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    ((_, recipe),) = blocks("cfg")
    (tmp_path / "recipe.cfg").write_text(recipe, encoding="utf-8")
    printed = []
    for language, text in blocks("sh", "python"):
        command = ["sh", "-c"] if language == "sh" else [sys.executable, "-c"]
        # A tiny model stands for the packaged one, which takes minutes.
        quick = text.replace("train classes ", "train classes --paths.base=all-MiniLM-L6-v2 ")
        printed.append(run(tmp_path, *command, quick))
    assert "'good'" in printed[-2]
    assert printed[-1] == "{0: 'bad', 1: 'good'}\n"
    assert len(list((tmp_path / "reviews.annotated").glob("*.parquet"))) == 1
    assert {path.name for path in (tmp_path / "mood").iterdir()} == files_named()


def files_named() -> set[str]:
    """Return the files of a finished training that the page names."""
    section = PAGE.partition("## What is in the folder")[2]
    names = set(re.findall(r"`([\w.]+)`", "\n".join(re.findall(r"(?m)^\| (.*?) \|", section))))
    return {name for name in names if "." in name}


def test_the_page_names_every_setting_with_its_default():
    section = PAGE.partition("## Settings of `[training]`")[2].partition("## Interrupted")[0]
    settings = dataclasses.fields(LoopSettings)
    named = settings_in(section)
    assert list(named) == [field.name for field in settings]
    for field in settings:
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert float(named[field.name]) == field.default, field.name


def test_the_page_names_every_setting_of_a_file_and_of_a_task():
    section = PAGE.partition("| setting of a file |")[2].partition("## Settings of")[0]
    assert {*settings_in(section)} == {field.name for field in dataclasses.fields(Source)}
    of_task = section.partition("A task has")[2]
    for field in dataclasses.fields(TaskSettings):
        assert field.name == "name" or f"`{field.name}`" in of_task


def settings_in(section: str) -> dict[str, str]:
    """Return the settings that the first column of a table names, and what the second says."""
    found = re.findall(r"(?m)^\| (`.*?`) \| (.*?) ?\|", section)
    return {name.strip("`"): default for cell, default in found for name in cell.split(", ")}


def test_the_page_names_every_kind_and_every_recipe():
    for kind in KINDS:
        assert f"`{kind}`" in PAGE.partition("## Data")[0]
    recipes = PAGE.partition("## Recipes")[2]
    for path in (Path(__file__).parents[1] / "configs/train").glob("*.cfg"):
        assert f"`{path.stem}`" in recipes, path.stem
