"""Annotating from Python: what is refused, and when."""

import pytest

from bertpipe import api
from bertpipe.errors import ConfigError, ModelError


def test_a_lone_text_is_not_taken_for_texts():
    with pytest.raises(ConfigError, match="in a list"):
        api.annotate("Ada was in Paris.", components=["numbers=regex_numbers"])


def test_a_wrong_setting_is_refused_before_the_first_text_is_asked_for():
    with pytest.raises(ModelError, match="nowhere"):
        api.annotate(
            ["1"], components=["ner"], overrides={"components.ner.model": "/nowhere/model"}
        )


@pytest.mark.parametrize("text", [None, 5, {"txt": "a"}])
def test_what_is_no_text_is_named(regex_plugin, text):
    with pytest.raises(ConfigError, match="Text 1 is"):
        list(api.annotate(["1", text], components=[f"numbers={regex_plugin}"]))
