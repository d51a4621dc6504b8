"""Pickle weights become safetensors, and nothing that a pickle holds is run."""

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from bertpipe import annotate
from bertpipe.cli import main
from bertpipe.encoder.convert import convert
from bertpipe.encoder.resolve import resolve
from bertpipe.errors import ModelError, OutputError
from bertpipe.testing import tiny_model

TEXTS = ["Anna lives in Bonn.", "", "A second text, longer than the first."]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("made") / "model", task="ner")


@pytest.fixture
def pickled(made, tmp_path):
    """Return the same model as older versions of transformers saved it."""
    folder = Path(shutil.copytree(made, tmp_path / "old model"))
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "training_args.bin").write_bytes(b"a pickle")
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder


def found(model):
    overrides = {"components.ner.model": str(model)}
    return list(annotate(TEXTS, components=["ner"], overrides=overrides, stride=16))


def shard(folder):
    """Divide the pickle in two files and an index."""
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    (folder / "pytorch_model.bin").unlink()
    weight_map: dict[str, str] = {}
    for number, names in enumerate((list(tensors)[::2], list(tensors)[1::2])):
        file = f"pytorch_model-0000{number + 1}-of-00002.bin"
        torch.save({name: tensors[name] for name in names}, folder / file)
        weight_map |= dict.fromkeys(names, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize("is_sharded", [False, True])
def test_the_refusal_names_a_command_whose_result_annotates_alike(
    made, pickled, tmp_path, monkeypatch, is_sharded
):
    if is_sharded:
        shard(pickled)
    with pytest.raises(ModelError, match=r"never loaded; convert them: bertpipe convert") as caught:
        resolve(str(pickled))
    monkeypatch.chdir(tmp_path)
    _, _, command = str(caught.value).partition("bertpipe ")
    result = CliRunner().invoke(main, shlex.split(command))
    assert result.exit_code == 0, result.output
    assert result.output.startswith("DIR holds 39 tensors, 0.1 MB, as safetensors.")
    assert found(tmp_path / "DIR") == found(made)
    names = {path.name for path in (tmp_path / "DIR").iterdir()}
    assert names == {path.name for path in made.iterdir()}


def test_tensors_that_share_memory_each_get_their_own(pickled, tmp_path):
    file = pickled / "pytorch_model.bin"
    tensors = torch.load(file, weights_only=True)
    whole = torch.arange(6.0).reshape(2, 3)
    torch.save({**tensors, "a": whole, "b": whole, "c": whole.T}, file)
    written = load_file(convert(str(pickled), tmp_path / "new").path / "model.safetensors")
    assert {name: written[name].tolist() for name in "abc"} == {
        "a": whole.tolist(), "b": whole.tolist(), "c": whole.T.tolist(),
    }  # fmt: skip


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_runs_code_does_not_and_leaves_nothing(pickled, tmp_path):
    torch.save({"a": Evil(tmp_path / "was here")}, pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"bin holds more than weights.* does not run it"):
        convert(str(pickled), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["old model"]
    torch.load(pickled / "pytorch_model.bin", weights_only=False)  # which does run it
    assert (tmp_path / "was here").is_dir()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "holds 'a', which is no tensor"),
        (torch.ones(1), "holds no table of weights"),
        (b"no pickle", "holds more than weights, or is no file of weights"),
    ],
)
def test_a_pickle_of_something_else_is_refused(pickled, tmp_path, content, message):
    file = pickled / "pytorch_model.bin"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(ModelError, match=message):
        convert(str(pickled), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_need_not_or_cannot_be_converted_is_refused(made, pickled, tmp_path):
    with pytest.raises(ModelError, match="has safetensors weights already; use it as it is"):
        convert(str(made), tmp_path / "new")
    with pytest.raises(OutputError, match="exists; name a folder that does not"):
        convert(str(pickled), tmp_path)
    shard(pickled)
    (pickled / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(ModelError, match=r"00002\.bin, which its index names; fetch it anew"):
        convert(str(pickled), tmp_path / "new")
    (pickled / "pytorch_model.bin.index.json").unlink()
    with pytest.raises(ModelError, match=r"has no pytorch_model\.bin"):
        convert(str(pickled), tmp_path / "new")


def test_an_index_of_pickles_cannot_lead_out_of_the_folder(pickled, tmp_path):
    (pickled / "pytorch_model.bin").rename(tmp_path / "out.bin")
    index = {"weight_map": {"a": "../out.bin"}}
    (pickled / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="lies outside"):
        convert(str(pickled), tmp_path / "new")


def test_a_torch_that_is_not_safe_here_is_refused(pickled, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    with pytest.raises(ModelError, match=r"torch 2\.5\.1 may run code .* torch 2\.6 or later"):
        convert(str(pickled), tmp_path / "new")
