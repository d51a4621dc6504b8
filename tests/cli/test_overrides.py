"""Overrides are taken out of a command line before click sees it."""

from typing import Any

import pytest

from bertpipe.cli.overrides import split_overrides


@pytest.mark.parametrize(
    ("arguments", "rest", "overrides"),
    [
        ("run a --run.stride 32 b", "run a b", {"run.stride": 32}),
        ("run --run.stride=32 b", "run b", {"run.stride": 32}),
        ("--components.ner.model=a/b=c", "", {"components.ner.model": "a/b=c"}),
        ("--run.offline --quiet", "--quiet", {"run.offline": True}),
        ("--run.offline", "", {"run.offline": True}),
        ("--run.keep null", "", {"run.keep": None}),
        ("--run.stride -1", "", {"run.stride": -1}),
        ("--run.stride 1 --run.stride 2", "", {"run.stride": 2}),
        ("--a.b.c.d x", "", {"a.b.c.d": "x"}),
        ("--components ner -o out.x", "--components ner -o out.x", {}),
        ("annotate -- --run.stride 3", "annotate -- --run.stride 3", {}),
    ],
)
def test_overrides_are_taken_out(arguments: str, rest: str, overrides: dict[str, Any]):
    assert split_overrides(arguments.split()) == (rest.split(), overrides)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"who": "Who?"}', {"who": "Who?"}),
        ('["a", 1]', ["a", 1]),
        ("1e-3", 1e-3),
        ("true", True),
        ('"7"', "7"),
        ("", ""),
        ("Who is it?", "Who is it?"),
        ("line\nbreak", "line\nbreak"),
    ],
)
def test_a_value_is_json_where_it_parses(text: str, value: object):
    assert split_overrides([f"--a.b={text}"]) == ([], {"a.b": value})
    assert split_overrides(["--a.b", text]) == ([], {"a.b": value})
