"""`bertpipe config`: what it prints can be read again."""

import pytest

from bertpipe.config import default_text, load_config


def test_the_default_config_is_printed_as_it_ships(call):
    assert call("config").stdout == default_text()


def test_a_resolved_config_is_a_config_again(call, tmp_path):
    text = call("config", "--components", "people=ner", "--run.stride", "32").stdout
    path = tmp_path / "resolved.cfg"
    path.write_text(text)
    expected = load_config(components=["people=ner"], overrides={"run.stride": 32})
    assert load_config(path) == expected


def test_overrides_alone_leave_all_blocks(call):
    text = call("config", "--components.qa.top_k=3").stdout
    assert "[components.ner]" in text
    assert "top_k = 3\n" in text


def test_the_components_of_a_file_are_those_of_the_resolved_config(call, tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_text("[components]\n\n[components.ner]\noverwrite = true\n")
    text = call("config", "--config", str(path)).stdout
    assert "overwrite = true" in text
    assert "[components.sentiment]" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run.stride=a"], "[run]: stride is 'a', but must be a whole number."),
        (["--config", "nothing.cfg"], "The config nothing.cfg does not exist"),
        (["--components.nre.model=a"], "no component 'nre'; did you mean ner?"),
    ],
)
def test_what_does_not_fit_is_wrong_use(call, arguments, message):
    result = call("config", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
