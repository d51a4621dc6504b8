"""Blocks of the config become annotators, ours and those of plug-ins."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bertpipe.annotators.create import create
from bertpipe.annotators.plugins import BUILT_IN, blank
from bertpipe.components import list_components
from bertpipe.config import (
    ENCODER_OVERRIDES,
    Component,
    EncoderSettings,
    default_tree,
    load_config,
)
from bertpipe.errors import ConfigError

RUN = EncoderSettings(device="cpu", offline=True)
NUMBERS = Component("numbers", "regex_numbers")


def test_a_built_in_component_knows_its_name_and_settings():
    (component,) = load_config(
        components=["people=ner"], overrides={"components.people.stride": 7}
    ).components
    annotator: Any = create(component, RUN)
    assert annotator.name == "people"
    assert annotator.encoder == EncoderSettings(device="cpu", offline=True, stride=7)


def test_the_built_in_components_need_no_spacy():
    code = (
        "import sys; from bertpipe.annotators.create import create;"
        "from bertpipe.config import *;"
        "create(load_config(components=['ner']).components[0], EncoderSettings());"
        "print('spacy' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("block", default_tree()["components"].values(), ids=BUILT_IN)
def test_the_default_config_has_every_setting_with_the_default_of_its_class(block: dict[str, Any]):
    module, _, name = BUILT_IN[block["factory"]].partition(":")
    parameters = inspect.signature(getattr(import_module(module), name)).parameters.values()
    expected = {p.name: p.default for p in parameters if p.name not in ("name", "encoder")}
    given = {key: value for key, value in block.items() if key != "factory"}
    assert given == expected


@pytest.mark.parametrize("block", default_tree()["components"].values(), ids=BUILT_IN)
def test_a_block_can_be_moved_into_a_config_of_spacy(block: dict[str, Any]):
    from spacy.language import Language

    blank()
    import_module("bertpipe.annotators.factories")
    defaults = Language.get_factory_meta(block["factory"]).default_config
    given = {key: value for key, value in block.items() if key != "factory"}
    overrides = {name: getattr(EncoderSettings(), name) for name in ENCODER_OVERRIDES}
    own = {} if block["factory"] == "bert_qa" else {"encoder": None}
    assert given | overrides | own == defaults


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modle": "x"}, "Component 'a' has no setting 'modle'; did you mean model?"),
        ({"model": 3}, "Component 'a': model is 3, but must be a string."),
        ({"aggregation": "most"}, "'most'"),
        ({"encoder": "transformer"}, "encoder names a component of a spaCy pipeline"),
        ({"precision": 16}, "Component 'a': precision is 16, but must be a string."),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_by_name(settings: dict[str, Any], message: str):
    with pytest.raises(ConfigError) as caught:
        create(Component("a", "bert_ner", settings), RUN)
    assert message in str(caught.value)


@pytest.mark.usefixtures("regex_plugin")
def test_a_plug_in_becomes_an_annotator():
    annotator: Any = create(Component("numbers", "regex_numbers", {"pattern": "a"}), RUN)
    assert annotator.name == "numbers"
    assert annotator.pattern.pattern == "a"


@pytest.mark.usefixtures("regex_plugin")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patern": "a"}, "Component 'numbers' has no setting 'patern'; did you mean pattern?"),
        ({"pattern": "("}, "The factory 'regex_numbers' cannot make component 'numbers'"),
        ({"stride": 3}, "Component 'numbers' has no setting 'stride'"),
    ],
)
def test_a_plug_in_that_cannot_be_made_is_named(settings: dict[str, Any], message: str):
    with pytest.raises(ConfigError) as caught:
        create(Component("numbers", "regex_numbers", settings), RUN)
    assert message in str(caught.value)


def add_plugin(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """Put a package of one factory, named like it, on the path."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    info = folder / f"{name}-2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.1\n")
    (info / "entry_points.txt").write_text(f"[spacy_factories]\n{name} = {name}:make\n")
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.usefixtures("regex_plugin")
def test_a_broken_plug_in_is_named_with_its_package_and_spoils_no_other(tmp_path, monkeypatch):
    add_plugin(tmp_path, monkeypatch, "broken_one", "import nothing_of_this_name")
    with pytest.raises(ConfigError, match=r"'broken_one' of the package broken_one 2\.1 cannot be"):
        create(Component("x", "broken_one"), RUN)
    assert create(NUMBERS, RUN).name == "numbers"


ECHO = """
import pyarrow as pa
from spacy.language import Language

class Echo:
    type = pa.string()

    def __init__(self, name, **settings):
        self.name, self.settings = name, settings

    def __call__(self, doc):
        return doc

    def annotate(self, batch):
        return batch["text"]

@Language.factory("echo_settings", default_config={"device": "auto", "stride": 1})
def make(nlp, name, device, stride, size):
    return Echo(name, device=device, stride=stride, size=size)
"""


def test_a_plug_in_gets_the_settings_of_the_run_that_it_takes(tmp_path, monkeypatch):
    add_plugin(tmp_path, monkeypatch, "echo_settings", ECHO)
    annotator: Any = create(Component("e", "echo_settings", {"size": 2, "stride": 9}), RUN)
    assert annotator.settings == {"device": "cpu", "stride": 9, "size": 2}
    with pytest.raises(ConfigError, match="Component 'e' lacks the setting 'size'"):
        create(Component("e", "echo_settings"), RUN)


def test_an_unknown_factory_comes_with_the_near_ones():
    with pytest.raises(ConfigError) as caught:
        create(Component("x", "nre"), RUN)
    message = str(caught.value)
    assert message == "bertpipe has no component or factory 'nre'; did you mean ner?"


def test_a_blank_pipeline_leaves_the_registry_as_it_was():
    from spacy.util import registry

    blank()
    assert registry._entry_point_factories.entry_points is True


def test_two_plug_ins_of_one_name_are_named_with_their_packages(tmp_path, monkeypatch):
    for package in ("alpha", "beta"):
        folder = tmp_path / package
        folder.mkdir()
        add_plugin(folder, monkeypatch, package, ECHO)
        info = folder / f"{package}-2.1.dist-info"
        (info / "entry_points.txt").write_text(f"[spacy_factories]\ntwice = {package}:make\n")
    with pytest.raises(ConfigError, match=r"alpha 2\.1 and beta 2\.1 both have a factory 'twice'"):
        create(Component("x", "twice"), RUN)
    listed = [each for each in list_components() if each.factory == "twice" and each.problem]
    assert [each.package for each in listed][-1] == "beta"
    assert "alpha 2.1 has the factory 'twice' too" in str(listed[-1].problem)


def test_a_plug_in_cannot_take_the_name_of_a_built_in_one(tmp_path, monkeypatch):
    add_plugin(tmp_path, monkeypatch, "bert_ner", ECHO)
    assert type(create(Component("x", "bert_ner"), RUN)).__name__ == "BertNer"
    (problem,) = [each.problem for each in list_components() if each.package == "bert_ner"]
    assert problem == "The package bertpipe has the factory 'bert_ner' too; uninstall one of them."


def test_a_type_that_is_none_is_named_with_its_package(tmp_path, monkeypatch):
    code = ECHO.replace("pa.string()", '"string"').replace("echo_settings", "wrong_type")
    add_plugin(tmp_path, monkeypatch, "wrong_type", code)
    with pytest.raises(ConfigError, match="'x' of wrong_type has the type 'string'; it must be"):
        create(Component("x", "wrong_type", {"size": 1}), RUN)
