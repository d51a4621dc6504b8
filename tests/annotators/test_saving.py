"""A saved pipeline carries its models and opens anywhere."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
from safetensors.torch import load_file, save_file

from bertpipe.encoder.resolve import INDEX
from bertpipe.errors import ModelError
from bertpipe.testing import TEXTS, same

from .conftest import annotate

LOAD = """
import json, sys
import spacy
assert "bertpipe" not in sys.modules
nlp = spacy.load(sys.argv[1])
texts = json.loads(sys.argv[2])
print(json.dumps([doc._.bertpipe for doc in nlp.pipe(texts)]))
"""


@pytest.fixture
def nlp(tiny, tmp_path):
    """Return a pipeline of three components whose models can be removed."""
    made = spacy.blank("en")
    for task, settings in (
        ("ner", {}),
        ("classifier", {"top_k": 2}),
        ("qa", {"questions": {"who": "Who met?"}}),
    ):
        folder = shutil.copytree(tiny(task), tmp_path / "models" / task)
        config = {"model": str(folder), "precision": "fp32", "stride": 8, **settings}
        made.add_pipe(f"bert_{task}", config=config)
    return made


def settings_of(nlp, name: str) -> dict:
    settings = dict(nlp.get_pipe_config(name))
    del settings["factory"]
    return settings


def values(nlp) -> list:
    return [doc._.bertpipe for doc in nlp.pipe(TEXTS)]


def test_a_new_process_loads_a_saved_pipeline_without_the_first_models(nlp, tmp_path):
    expected = values(nlp)
    nlp.to_disk(tmp_path / "saved")
    shutil.rmtree(tmp_path / "models")
    # NUL cannot be an argument of a program; JSON escapes it.
    command = [sys.executable, "-c", LOAD, str(tmp_path / "saved"), json.dumps(TEXTS)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert same(json.loads(run.stdout), expected)


def test_a_loaded_pipeline_can_be_saved_again_even_onto_itself(nlp, tmp_path):
    expected = values(nlp)
    nlp.to_disk(tmp_path / "one")
    again = spacy.load(tmp_path / "one")
    again.to_disk(tmp_path / "one")
    again.to_disk(tmp_path / "two")
    shutil.rmtree(tmp_path / "one")
    assert same(values(spacy.load(tmp_path / "two")), expected)


def test_bytes_carry_the_models(nlp, tmp_path):
    expected = values(nlp)
    content = nlp.to_bytes()
    of_component: bytes = nlp.get_pipe("bert_ner").to_bytes()
    other = spacy.blank("en")
    for name in nlp.pipe_names:
        other.add_pipe(name, config={**settings_of(nlp, name), "model": "gone"})
    other.from_bytes(content)
    shutil.rmtree(tmp_path / "models")
    assert same(values(other), expected)
    component: Any = other.get_pipe("bert_ner")
    assert component.to_bytes() == of_component


def test_a_pipeline_is_assembled_from_a_config(nlp, tmp_path):
    nlp.config.to_disk(tmp_path / "config.cfg")
    command = [sys.executable, "-m", "spacy", "assemble", "config.cfg", "saved"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert same(values(spacy.load(tmp_path / "saved")), values(nlp))


def share_weights(folder: Path) -> None:
    """Move half of a model's weights out of its folder, where other models could use them too."""
    tensors = load_file(folder / "model.safetensors")
    shared = dict(list(tensors.items())[::2])
    own = {name: tensor for name, tensor in tensors.items() if name not in shared}
    (folder.parent / "shared").mkdir()
    save_file(shared, folder.parent / "shared" / "trunk.safetensors", metadata={"format": "pt"})
    save_file(own, folder / "own.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").unlink()
    places = {
        **dict.fromkeys(shared, "../shared/trunk.safetensors"),
        **dict.fromkeys(own, "own.safetensors"),
    }
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def test_weights_that_models_share_become_those_of_the_saved_model(nlp, tmp_path):
    expected = values(nlp)
    share_weights(tmp_path / "models" / "ner")
    (tmp_path / "models" / "__init__.py").touch()  # models of one package may share weights
    sharing = spacy.blank("en")
    sharing.add_pipe("bert_ner", config=settings_of(nlp, "bert_ner"))
    assert same(annotate(sharing.get_pipe("bert_ner"), TEXTS), [v["bert_ner"] for v in expected])
    sharing.to_disk(tmp_path / "saved")
    saved = tmp_path / "saved" / "bert_ner" / "model"
    assert not (saved / INDEX).exists()
    shutil.rmtree(tmp_path / "models")
    loaded = spacy.load(tmp_path / "saved")
    assert same([v["bert_ner"] for v in values(loaded)], [v["bert_ner"] for v in expected])


def test_only_what_belongs_to_a_model_is_saved(nlp, tmp_path):
    folder = tmp_path / "models" / "ner"
    (folder / "README.md").write_text("A card.")
    (folder / "LICENSE").write_text("Free.")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / ".cache").write_text("hidden")
    nlp.to_disk(tmp_path / "saved")
    saved = {path.name for path in (tmp_path / "saved" / "bert_ner" / "model").iterdir()}
    assert {"README.md", "LICENSE", "config.json", "tokenizer.json"} <= saved
    assert not {"pytorch_model.bin", ".cache"} & saved


def test_a_saved_pipeline_without_its_model_does_not_open(nlp, tmp_path):
    nlp.to_disk(tmp_path / "saved")
    shutil.rmtree(tmp_path / "saved" / "bert_ner" / "model")
    with pytest.raises(ModelError, match="model"):
        spacy.load(tmp_path / "saved")


def test_a_component_from_bytes_can_be_pickled(nlp, tmp_path):
    component = nlp.get_pipe("bert_ner")
    expected = annotate(component, TEXTS)
    component.from_bytes(component.to_bytes())
    shutil.rmtree(tmp_path / "models")
    content = pickle.dumps(component)
    unpacked = component.folder.path
    del component
    nlp.remove_pipe("bert_ner")
    assert not unpacked.exists()
    assert same(annotate(pickle.loads(content), TEXTS), expected)
