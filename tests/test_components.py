"""The list of components: types and labels without loading anything heavy."""

import json
import subprocess
import sys
from importlib import import_module

import pytest

from bertpipe.annotators.plugins import BUILT_IN
from bertpipe.components import BUILT_IN_TYPES, list_components
from bertpipe.records import CLASSIFIED_SPANS_TYPE, SENTENCES_TYPE


@pytest.mark.parametrize("factory", BUILT_IN)
def test_the_listed_type_is_the_type_of_the_class(factory):
    module, _, name = BUILT_IN[factory].partition(":")
    assert BUILT_IN_TYPES[factory] == getattr(import_module(module), name).type


def test_listing_what_is_built_in_needs_no_heavy_library():
    code = (
        "import sys; from bertpipe import components; components.plugin_points = dict;"
        "components.list_components();"
        "print({'torch', 'transformers', 'spacy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "set()\n"


def test_labels_are_read_in_order_and_renamed(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    labels = {str(i): f"L{i}" for i in (10, 2, 0)}
    (model / "config.json").write_text(json.dumps({"id2label": labels}))
    (model / "model.safetensors").touch()
    overrides = {
        "components.sentiment.model": str(model),
        "components.sentiment.labels": {"L2": "two"},
    }
    listed = {each.name: each for each in list_components(overrides=overrides)}
    assert listed["sentiment"].labels == ("L0", "two", "L10")
    assert listed["sentiment"].path == str(model)


def test_blocks_of_a_file_are_listed_after_the_default_ones(tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_text('[components]\n[components.topic]\nfactory = "bert_classifier"\n')
    names = [each.name for each in list_components(path)]
    assert names[:4] == ["ner", "sentiment", "qa", "topic"]


def test_a_classifier_of_sentences_and_a_component_of_spacy_have_the_types_that_they_are_set_to():
    settings = {"components.sentiment.per": "sentence"}
    listed = {each.name: each for each in list_components(overrides=settings)}
    assert listed["sentiment"].type == str(CLASSIFIED_SPANS_TYPE)
    assert listed["sentencizer"].type == str(SENTENCES_TYPE)


def test_pipelines_and_components_of_spacy_can_be_blocks(tmp_path):
    path = tmp_path / "mine.cfg"
    blocks = {
        "sm": 'factory = "spacy"\nmodel = "nothing_here"',
        "s": 'factory = "sentencizer"\ncolumns = ["sents", "tokens"]',
        "t": 'factory = "token_splitter"',
    }
    text = "\n".join(f"[components.{name}]\n{block}\n" for name, block in blocks.items())
    path.write_text(f"[components]\n{text}")
    listed = {each.name: each for each in list_components(path)}
    assert str(listed["sm"].problem).startswith("Pipeline 'nothing_here' is neither a folder nor")
    assert str(listed["s"].type).startswith("struct<sents: list<element: struct<start: int32")
    assert (listed["t"].package, listed["t"].type, listed["t"].problem) == ("spacy", None, None)


def test_a_block_of_an_unknown_factory_has_a_problem(tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_text('[components]\n[components.topic]\nfactory = "nothing"\n')
    topic = next(each for each in list_components(path) if each.name == "topic")
    assert topic.problem == "No installed package has the factory 'nothing'."


PLUGIN = """
import pyarrow as pa
from spacy.language import Language

class Sizes:
    type = pa.int64()

@Language.factory("sizes_of", default_config={"model": "nowhere"})
def make(nlp, name, model) -> Sizes:
    return Sizes()
"""


def test_a_plug_in_says_its_type_by_what_its_factory_returns(tmp_path, monkeypatch):
    info = tmp_path / "sizes_plugin-4.2.dist-info"
    info.mkdir()
    (tmp_path / "sizes_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sizes_plugin\nVersion: 4.2\n")
    (info / "entry_points.txt").write_text("[spacy_factories]\nsizes_of = sizes_plugin:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    sizes = next(each for each in list_components() if each.name == "sizes_of")
    assert (sizes.package, sizes.version, sizes.type) == ("sizes_plugin", "4.2", "int64")
    assert sizes.model == "nowhere"
    assert sizes.problem is not None
