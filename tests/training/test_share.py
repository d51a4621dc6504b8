import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from bertpipe.errors import ModelError
from bertpipe.training.loop import train
from bertpipe.training.share import main, share

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def models(recipe):
    """Two heads on a common encoder, apart by the last layer of one."""
    from safetensors.torch import save_file

    settings = recipe("ner", "sentiment")
    train(settings)
    path = settings.output / "ner/model.safetensors"
    tensors = load_file(path)
    for key in [key for key in tensors if ".layer.1." in key]:
        tensors[key] = tensors[key] + 0.01
    save_file(tensors, path, metadata={"format": "pt"})
    return {f"en_{name}": settings.output / name for name in ("ner", "sentiment")}


def stored(folder):
    with safe_open(folder / "own.safetensors", "pt") as file:
        return set(file.keys())


def test_equal_tensors_are_stored_once(models, tmp_path):
    share(models, tmp_path / "package")
    (shared,) = (tmp_path / "package/shared").iterdir()
    common = load_file(shared)
    assert "bert.embeddings.word_embeddings.weight" in common
    assert any(".layer.0." in key for key in common)
    assert not any(".layer.1." in key for key in common)
    assert all(tensor.dtype == torch.float16 for tensor in common.values())
    assert not set(common) & stored(tmp_path / "package/en_ner")


@pytest.mark.parametrize("name", ["ner", "sentiment"])
def test_a_packaged_model_opens_as_the_rounded_original(models, tmp_path, name):
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
    )

    auto = {"ner": AutoModelForTokenClassification, "sentiment": AutoModelForSequenceClassification}
    share(models, tmp_path / "package")
    folder = tmp_path / f"package/en_{name}"
    tokens = AutoTokenizer.from_pretrained(folder)("anna visits paris", return_tensors="pt")
    packaged = auto[name].from_pretrained(folder, use_safetensors=True)
    assert packaged.dtype == torch.float32
    original = auto[name].from_pretrained(models[f"en_{name}"]).half().float()
    with torch.inference_mode():
        assert torch.equal(packaged(**tokens).logits, original(**tokens).logits)


def test_sharing_again_leaves_the_same_bytes_and_nothing_stale(models, tmp_path):
    package = tmp_path / "package"
    share(models, package)
    before = {path.name: path.read_bytes() for path in (package / "shared").iterdir()}
    (package / "shared/encoder-old.safetensors").touch()
    main([str(package), *(f"{name}={folder}" for name, folder in models.items())])
    assert {path.name: path.read_bytes() for path in (package / "shared").iterdir()} == before


def test_the_index_names_every_tensor(models, tmp_path):
    share(models, tmp_path / "package")
    index = json.loads((tmp_path / "package/en_ner/model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(load_file(models["en_ner"] / "model.safetensors"))


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        share({"x": tmp_path}, tmp_path / "package")


def test_values_beyond_half_precision_are_refused(models, tmp_path):
    from safetensors.torch import save_file

    path = models["en_ner"] / "model.safetensors"
    save_file({**load_file(path), "classifier.bias": torch.full((4,), 1e6)}, path)
    with pytest.raises(ModelError, match=r"classifier\.bias has values beyond float16"):
        share(models, tmp_path / "package")
