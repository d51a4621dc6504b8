"""`bertpipe annotate` and how annotations look."""

import click
import pytest

from bertpipe.cli.show import show

ENTITIES = [
    {"start": 0, "end": 3, "label": "PER", "score": 0.9, "text": "Ada"},
    {"start": 2, "end": 9, "label": "LOC", "score": 0.9, "text": "a loves"},
    {"start": 14, "end": 20, "label": "LOC", "score": 0.9, "text": "London"},
]
CLASSES = {
    "label": "good",
    "score": 0.75,
    "labels": ["good"],
    "scores": [{"label": "good", "score": 0.75}, {"label": "bad", "score": 0.25}],
}
ANSWERS = [{"question": "who", "start": 0, "end": 3, "text": "Ada", "score": 0.5}]
ERROR = {"stage": "annotate", "component": "ner", "type": "ValueError", "message": "no"}


def shown(text, **values):
    return [click.unstyle(line) for line in show(text, {"_error": None, **values})]


def test_entities_stand_in_their_text():
    lines = shown("Ada loves her London.", ner=ENTITIES[::2])
    assert lines == ["Ada[PER] loves her London[LOC].", ""]


def test_what_lies_across_an_entity_stands_below_the_text():
    lines = shown("Ada loves her London.", ner=ENTITIES)
    assert lines == ["Ada[PER] loves her London[LOC].", "  ner: a loves[LOC]", ""]


def test_each_label_has_a_colour_of_its_own():
    (line, _) = show("Ada loves her London.", {"ner": ENTITIES[::2], "_error": None})
    assert click.style("Ada", fg="yellow", bold=True) in line
    assert click.style("London", fg="cyan", bold=True) in line


def test_classes_are_bars():
    assert shown("Nice.", sentiment=CLASSES) == [
        "Nice.",
        "  sentiment: good ███████████████░░░░░ 0.750",
        "             bad  █████░░░░░░░░░░░░░░░ 0.250",
        "",
    ]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (ANSWERS, "  x: who: Ada (0.500)"),
        ([], "  x: nothing found"),
        (None, "  x: nothing found"),
        ([0.5] * 8, "  x: [0.500, 0.500, 0.500, 0.500, ...] (8 numbers)"),
        ({"a": "ü"}, '  x: {"a": "ü"}'),
        ("word", '  x: "word"'),
    ],
)
def test_every_kind_of_value_is_shown(value, line):
    assert shown("Text.", x=value) == ["Text.", line, ""]


def test_two_kinds_of_entities_are_named():
    lines = shown("Ada", one=ENTITIES[:1], two=ENTITIES[:1])
    assert lines == ["Ada[PER]  (one)", "Ada[PER]  (two)", ""]


def test_an_error_is_shown():
    assert shown("Ada", ner=None, _error=ERROR)[-2] == "  ner: no"


def test_a_text_cannot_command_the_terminal():
    assert shown("a\x1b[31mb\r\nc", x=None)[0] == "a [31mb  c"


@pytest.mark.usefixtures("regex_plugin")
def test_texts_are_arguments_or_lines_of_standard_input(call):
    numbers = ("--components", "regex_numbers")
    expected = "7[NUMBER] of 9[NUMBER]\n\nnone\n  regex_numbers: nothing found\n\n"
    assert call("annotate", *numbers, "7 of 9", "none").stdout == expected
    assert call("annotate", *numbers, stdin="7 of 9\r\n\nnone").stdout == expected


@pytest.mark.usefixtures("regex_plugin")
def test_overrides_reach_the_components(call):
    arguments = ("annotate", "--components", "n=regex_numbers", "--components.n.pattern=o")
    assert call(*arguments, "o 7").stdout == "o[NUMBER] 7\n\n"
