"""A training that is killed, and one that is left alone, end with the same weights."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bertpipe.errors import BusyError, ConfigError, CorpusError, OutputError
from bertpipe.training import checkpoints
from bertpipe.training.record import content_digest
from bertpipe.training.run import locked, run_recipe

pytestmark = pytest.mark.filterwarnings("default")
MANY = ["--training.epochs=30", "--training.dropout=0.1", "--training.checkpoint_every=0.02s"]
TASKS = ("ner", "sentiment", "tags", "pairs", "qa", "masks", "next")


def start(recipe: Path, output: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "bertpipe", "train", str(recipe), f"--paths.output={output}"]
    # A shell starts what runs in the background with SIGINT ignored, and children inherit it.
    return subprocess.Popen(
        [*command, *MANY, *more],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(recipe: Path, output: Path, *more: str) -> str:
    process = start(recipe, output, *more)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def stop_at(process: subprocess.Popen, share: float, how: signal.Signals) -> str:
    """Send a signal when so much is trained; return what is said then."""
    assert process.stderr is not None
    for line in process.stderr:
        found = re.match(r"step (\d+) of (\d+)", line)
        if found and int(found[1]) >= share * int(found[2]):
            break
    process.send_signal(how)
    return process.communicate(timeout=300)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "more", "how", "code", "told"),
    [
        # Every task at once; a checkpoint holds all their models.
        (TASKS, ["--training.epochs=6"], signal.SIGKILL, -signal.SIGKILL, ""),
        (
            ("sentiment",),
            ["--training.freeze_layers=encoder"],
            signal.SIGINT,
            130,
            "the same command goes on from the last checkpoint",
        ),
    ],
    ids=["killed", "interrupted"],
)
def test_a_training_stopped_at_60_percent_ends_as_one_left_alone(
    recipe, tmp_path, names, more, how, code, told
):
    recipe(*names)
    path = tmp_path / "recipe.cfg"
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    finish(path, alone, *more)
    process = start(path, killed, *more)
    assert told in stop_at(process, 0.6, how)
    assert process.returncode == code
    assert not list(killed.rglob("README.md"))
    said = finish(path, killed, *more)
    ((step, n_steps),) = re.findall(r"Going on from step (\d+) of (\d+)", said)
    assert 0.5 < int(step) / int(n_steps) < 1
    folders = [alone] if len(names) == 1 else [alone / name for name in names]
    for folder in folders:
        other = killed / folder.relative_to(alone)
        assert read(folder / "model.safetensors") == read(other / "model.safetensors")
        assert scores(folder) == scores(other)
    assert not (killed / "checkpoints").exists()


def test_a_half_written_checkpoint_is_ignored_and_removed(tmp_path):
    for step in (3, 12, 20):
        (checkpoints.path_of(tmp_path, step) / "ner").mkdir(parents=True)
        (checkpoints.path_of(tmp_path, step) / "ner" / "model.safetensors").touch()
    assert checkpoints.newest(tmp_path) is None
    checkpoints.seal(checkpoints.path_of(tmp_path, 3))
    checkpoints.seal(checkpoints.path_of(tmp_path, 12))
    assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-12"
    checkpoints.keep_only(tmp_path, {12, 20})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-12"]


def run(settings, **options) -> list[str]:
    said: list[str] = []
    run_recipe(settings, command="bertpipe train", report=said.append, **options)
    return said


def test_a_finished_training_is_not_repeated(recipe):
    settings = recipe("sentiment", **{"training.epochs": 1})
    run(settings)
    again = recipe("sentiment", **{"training.epochs": 1, "training.checkpoint_every": "1h"})
    assert run(again) == [f"Nothing to do: {settings.output} holds what this recipe gives."]


def test_another_recipe_or_other_data_are_refused_unless_overwritten(recipe, reviews):
    settings = recipe("sentiment", **{"training.epochs": 1})
    run(settings)
    other = recipe("sentiment", **{"training.epochs": 2})
    with pytest.raises(OutputError, match=r"training\.epochs was 1, now 2; give another --paths"):
        run(other)
    reviews.write_text(reviews.read_text() + "good\t1\n")
    with pytest.raises(OutputError, match=r"tasks\.sentiment\.train\.file\.content was "):
        run(settings)
    assert run(other, overwrite=True)[-1] == f"sentiment is in {settings.output}"
    assert json.loads((settings.output / "training.json").read_text())["is_finished"]


def test_a_recipe_can_be_mended_while_nothing_is_trained(recipe):
    settings = recipe("sentiment", **{"training.epochs": 1, "training.freeze_layers": 9})
    with pytest.raises(ConfigError, match="freeze_layers is 9"):
        run(settings)
    mended = recipe("sentiment", **{"training.epochs": 1})
    assert run(mended)[-1] == f"sentiment is in {mended.output}"


def test_a_missing_data_file_is_found_before_anything_is_written(recipe):
    settings = recipe("sentiment", **{"tasks.sentiment.dev.file.path": "nowhere.csv"})
    with pytest.raises(CorpusError, match=r"The data file nowhere\.csv does not exist"):
        run(settings)
    assert not settings.output.exists()


def test_the_digest_of_a_folder_is_that_of_its_files_wherever_it_lies(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.txt").write_text("one")
        (tmp_path / folder / "2.txt").write_text("two")
    digest = content_digest(tmp_path / "a")
    assert content_digest(tmp_path / "b") == content_digest(tmp_path / "b" / "*.txt") == digest
    (tmp_path / "b" / "2.txt").write_text("three")
    assert content_digest(tmp_path / "b") != digest
    assert content_digest(tmp_path / "b" / "1.txt") == content_digest(tmp_path / "a" / "1.txt")


def test_a_folder_with_other_things_is_not_written_into(recipe):
    settings = recipe("sentiment", **{"training.epochs": 1})
    settings.output.mkdir()
    (settings.output / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds thesis\.txt and no training that could go on"):
        run(settings)


def test_two_trainings_do_not_share_a_folder(recipe):
    settings = recipe("sentiment")
    with locked(settings.output / "checkpoints"):
        with pytest.raises(
            BusyError, match=rf"{settings.output} is in use by process {os.getpid()}"
        ):
            run(settings)


def read(path: Path) -> bytes:
    return path.read_bytes()


def scores(folder: Path) -> list[str]:
    """Return the rows of the curves that are evaluations: the others depend on checkpoints."""
    lines = (folder / "curves.csv").read_text().splitlines()
    return [line for line in lines[1:] if not line.endswith(",")]
