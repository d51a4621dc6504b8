"""The config: blocks, files, overrides, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.config import Component, EncoderSettings, RunConfig, default_text, load_config
from bertpipe.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "run.cfg"
    path.write_text(text, encoding="utf-8")
    return path


def only(config: RunConfig) -> Component:
    (component,) = config.components
    return component


def test_a_named_block_gives_its_component():
    ner = only(load_config(components=["ner"]))
    assert (ner.name, ner.factory, ner.settings["model"]) == ("ner", "bert_ner", "en_ner_mini")


def test_components_keep_the_order_in_which_they_are_named():
    config = load_config(components=["sentiment", "ner"])
    assert [component.name for component in config.components] == ["sentiment", "ner"]


def test_a_name_without_a_block_means_the_factory_with_the_prefix_bert():
    classifier = only(load_config(components=["classifier"]))
    assert classifier.factory == "bert_classifier"


def test_a_name_without_a_block_and_prefix_means_the_factory_itself():
    assert only(load_config(components=["my_factory"])) == Component("my_factory", "my_factory", {})


@pytest.mark.parametrize("source", ["ner", "bert_ner"])
def test_a_component_can_be_given_a_name_of_its_own(source: str):
    component = only(load_config(components=[f"people={source}"]))
    assert component.name == "people"
    assert component.settings == only(load_config(components=["ner"])).settings


def test_a_file_changes_a_block_and_adds_one(tmp_path: Path):
    path = write(
        tmp_path,
        '[components]\n[components.ner]\naggregation = "max"\n\n'
        '[components.topic]\nfactory = "bert_classifier"\nmodel = "some/model"\n',
    )
    ner, topic = load_config(path).components
    assert (ner.factory, ner.settings["aggregation"]) == ("bert_ner", "max")
    assert topic.settings["model"] == "some/model"
    assert topic.settings["top_k"] == 20


def test_named_components_win_over_those_of_the_file(tmp_path: Path):
    path = write(tmp_path, '[components]\n[components.ner]\naggregation = "max"\n')
    assert only(load_config(path, ["sentiment"])).name == "sentiment"


def test_another_factory_replaces_a_block_whole(tmp_path: Path):
    path = write(tmp_path, '[components]\n[components.ner]\nfactory = "mine"\nsize = 3\n')
    assert only(load_config(path)) == Component("ner", "mine", {"size": 3})


def test_references_follow_overrides(tmp_path: Path):
    path = write(
        tmp_path,
        '[paths]\nmodels = "a"\n\n[components]\n[components.ner]\nmodel = ${paths.models}/ner\n',
    )
    changed = load_config(path, overrides={"paths.models": "b"})
    assert only(changed).settings["model"] == "b/ner"


def test_questions_are_a_section_of_their_own(tmp_path: Path):
    path = write(
        tmp_path, '[components]\n[components.qa]\n\n[components.qa.questions]\nwho = "Who is it?"\n'
    )
    assert only(load_config(path)).settings["questions"] == {"who": "Who is it?"}


def test_overrides_reach_the_run_and_its_components():
    config = load_config(
        components=["ner", "qa"],
        overrides={
            "run.stride": 32,
            "components.ner.model": "./mine",
            "components.qa.questions.who": "Who?",
        },
    )
    ner, qa = config.components
    assert config.encoder.stride == 32
    assert ner.settings["model"] == "./mine"
    assert qa.settings["questions"] == {"who": "Who?"}


def test_a_component_may_override_how_its_encoder_runs():
    config = load_config(
        components=["ner"], overrides={"run.stride": 16, "components.ner.max_length": 128}
    )
    ner = only(config)
    assert ner.encoder(config.encoder) == EncoderSettings(stride=16, max_length=128)
    assert "max_length" not in ner.own_settings
    assert ner.own_settings["aggregation"] == "auto"


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("1.5h", 5400), (7, 7)])
def test_durations_have_units(text: object, seconds: float):
    config = load_config(components=["ner"], overrides={"run.commit_every": text})
    assert config.commit_every == seconds


@pytest.mark.parametrize("keep", ["id, url", ["id", "url"]])
def test_columns_to_keep_are_a_list_or_separated_by_commas(keep: object):
    config = load_config(components=["ner"], overrides={"run.keep": keep})
    assert config.keep == ("id", "url")


REFUSED = [
    (None, {}, "No component is chosen; name some, as in --components ner,sentiment."),
    ([], {}, "No component is chosen"),
    (["ner", "ner"], {}, "'ner' is chosen twice; name one anew: NEW=ner."),
    (["_ner"], {}, "'_ner' cannot name a component; use letters, digits, _ and -."),
    (["ner"], {"rum.stride": 1}, "The config has no section 'rum'; did you mean run?"),
    (["ner"], {"run.strid": 1}, "[run] has no setting 'strid'; did you mean stride?"),
    (["ner"], {"run.stride": "a"}, "[run]: stride is 'a', but must be a whole number."),
    (["ner"], {"run.stride": True}, "stride is True, but must be a whole number."),
    (["ner"], {"run.lines": 1}, "lines is 1, but must be true or false."),
    (["ner"], {"run.truncation": "no"}, "truncation 'no' is unknown; use window, head, error."),
    (["ner"], {"run.commit_every": "soon"}, "commit_every is 'soon'; give a duration such as 30s"),
    (["ner"], {"run.keep": 3}, "keep is 3, but must be a list or null."),
    (["ner"], {"components.nre.model": "x"}, "no component 'nre'; did you mean ner?"),
    (["ner"], {"components.qa.model": "x"}, "The run has no component 'qa'"),
    (["ner"], {"components.ner": 3}, "[components.ner] is 3, but must be a block of settings."),
    (["ner"], {"components": 3}, "[components] is 3, but must be a block of settings."),
    (["ner"], {"components.ner.modle": "x"}, "no setting 'modle'; did you mean model?"),
    (["ner"], {"components.ner.stride": "a"}, "'ner': stride is 'a', but must be a whole number."),
    (["ner"], {"components.ner.factory": 3}, "[components.ner] has no factory"),
    (
        ["ner"],
        {"run.stride": 1, "run.stride.x": 2},
        "run.stride.x is inside stride, which has a value",
    ),
]


@pytest.mark.parametrize(("components", "overrides", "message"), REFUSED)
def test_what_does_not_fit_is_refused_by_name(
    components: list[str] | None, overrides: dict[str, Any], message: str
):
    with pytest.raises(ConfigError) as caught:
        load_config(components=components, overrides=overrides)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stride = 1", "is not a valid config"),
        ("[run]\n[run]\n", "is not a valid config"),
        (
            "[run]\nstride = ${run.nothing}\n[components]\n[components.ner]\n",
            "The config is not valid",
        ),
        ("[components.ner]\n", "Section 'components' is not defined."),
        ("[runs]\n", "run.cfg has no section 'runs'; did you mean run?"),
        ("[components]\n[components.new]\nsize = 1\n", "[components.new] has no factory"),
    ],
)
def test_a_file_that_is_not_a_config_is_refused(tmp_path: Path, text: str, message: str):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nothing\.cfg does not exist"):
        load_config(tmp_path / "nothing.cfg")


def test_the_run_block_of_the_default_config_equals_the_defaults_of_the_classes():
    assert load_config(components=["ner"]) == RunConfig(load_config(components=["ner"]).components)


def test_the_default_config_explains_every_setting():
    for line in default_text().splitlines():
        assert len(line) <= 100
    assert default_text().count("\n#") > 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(settings=st.dictionaries(st.text(), JSON), keep=st.none() | st.tuples(st.text()))
def test_a_config_survives_json(settings: dict[str, Any], keep: tuple[str, ...] | None):
    config = RunConfig((Component("a", "b", settings),), EncoderSettings(stride=3), keep=keep)
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_pipeline_of_spacy_is_a_component_called_like_the_end_of_its_path():
    names = ["spacy:en_some_sm", "mine=spacy:./a/b", "spacy:./c/d"]
    found = load_config(None, names).components
    assert [each.name for each in found] == ["en_some_sm", "mine", "d"]
    assert {each.factory for each in found} == {"spacy"}
    assert found[1].settings == {"model": "./a/b"}
    with pytest.raises(ConfigError, match=r"'a.b' cannot name .* as in my_name=spacy:x/a.b"):
        load_config(None, ["spacy:x/a.b"])
