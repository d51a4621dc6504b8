"""Show annotations in a terminal: entities in their text, bars for classes, answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from bertpipe.records import ERROR

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
BAR_WIDTH = 20
N_CLASSES = 5
N_NUMBERS = 4


def show(text: str, annotations: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines for one text; `annotations` has a value a component, and `_error`."""
    values = {name: value for name, value in annotations.items() if name != ERROR}
    entities = [name for name, value in values.items() if _kind(value) == "entities"]
    if not entities:
        yield _one_line(text)
    for name in entities:
        apart, across = _apart(values[name])
        yield _highlighted(text, apart) + (f"  ({name})" if len(entities) > 1 else "")
        for one in across:
            span = _one_line(text[one["start"] : one["end"]])
            yield f"  {name}: {click.style(span, bold=True)}[{one['label']}]"
    for name, value in values.items():
        if name not in entities:
            yield from _others(name, value)
    error = annotations.get(ERROR)
    if error:
        yield click.style(f"  {error['component']}: {error['message']}", fg="red")
    yield ""


def _kind(value: Any) -> str:
    """Tell what a value is by its fields, so that columns of plug-ins are shown like ours."""
    if isinstance(value, dict) and {"label", "score", "scores"} <= value.keys():
        return "classes"
    if isinstance(value, list) and value and isinstance(value[0], float):
        return "vector"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        if "question" in value[0]:
            return "answers"
        if {"start", "end", "label"} <= value[0].keys():
            return "entities"
    return "value"


def _others(name: str, value: Any) -> Iterator[str]:
    kind = _kind(value)
    if kind == "classes":
        yield from _bars(name, value["scores"])
    elif kind == "answers":
        yield from _answers(name, value)
    elif kind == "vector":
        numbers = ", ".join(f"{number:.3f}" for number in value[:N_NUMBERS])
        yield f"  {name}: [{numbers}, ...] ({len(value)} numbers)"
    elif value in (None, []):
        yield f"  {name}: nothing found"
    else:
        yield f"  {name}: {json.dumps(value, ensure_ascii=False)}"


def _apart(entities: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Return the entities that can stand in one line, and those inside or across one of them."""
    apart: list[Any] = []
    across: list[Any] = []
    position = 0
    for entity in sorted(entities, key=lambda each: (each["start"], -each["end"])):
        is_apart = entity["start"] >= position
        (apart if is_apart else across).append(entity)
        position = entity["end"] if is_apart else position
    return apart, across


def _highlighted(text: str, entities: Sequence[Mapping[str, Any]]) -> str:
    """Return the text with each entity coloured and its label behind it."""
    labels = sorted({entity["label"] for entity in entities})
    pieces: list[str] = []
    position = 0
    for entity in entities:
        colour = COLOURS[labels.index(entity["label"]) % len(COLOURS)]
        span = _one_line(text[entity["start"] : entity["end"]])
        pieces.append(_one_line(text[position : entity["start"]]))
        pieces.append(click.style(span, fg=colour, bold=True))
        pieces.append(click.style(f"[{entity['label']}]", fg=colour))
        position = entity["end"]
    return "".join([*pieces, _one_line(text[position:])])


def _bars(name: str, scores: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    shown = scores[:N_CLASSES]
    width = max((len(each["label"]) for each in shown), default=0)
    for i, each in enumerate(shown):
        filled = round(min(max(each["score"], 0.0), 1.0) * BAR_WIDTH)
        bar = click.style("█" * filled, fg=COLOURS[0]) + "░" * (BAR_WIDTH - filled)
        head = f"{name}:" if i == 0 else " " * (len(name) + 1)
        yield f"  {head} {each['label'].ljust(width)} {bar} {each['score']:.3f}"


def _answers(name: str, answers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for answer in answers:
        span = click.style(_one_line(answer["text"]), fg=COLOURS[0], bold=True)
        yield f"  {name}: {answer['question']}: {span} ({answer['score']:.3f})"


def _one_line(text: str) -> str:
    """Return the text without line ends and control characters, which a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)
