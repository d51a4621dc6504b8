"""The options that several commands have, and the config that they add up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from bertpipe.config import RunConfig

Command = TypeVar("Command", bound=Callable[..., Any])
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8", "bf16-openvino")


def _group(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator for several options, shown in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


component_options = _group(
    click.option(
        "--components",
        metavar="NAMES",
        callback=lambda context, option, value: split_names(value),
        help="Components to run, separated by commas: blocks of the config, or NAME=FACTORY.",
    ),
    click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="A .cfg file whose blocks change and add to those of the default config.",
    ),
)

code_option = click.option(
    "--code", metavar="FILE", help="Import this Python file, whose factories can be components."
)

corpus_options = _group(
    click.option("--format", metavar="NAME", help="Read every file as txt, jsonl, csv, tsv ..."),
    click.option("--lines", is_flag=True, default=None, help="Each line of a txt is a document."),
    click.option("--text-field", metavar="NAME", help="Field with the text.  [default: text]"),
    click.option("--id-field", metavar="NAME", help="Field with the id.  [default: id]"),
    click.option(
        "--max-document-chars",
        type=click.IntRange(1),
        metavar="N",
        help="A longer document is a row in error.  [default: 10000000]",
    ),
    click.option(
        "--max-windows",
        type=click.IntRange(1),
        metavar="N",
        help="A document of more windows is a row in error.  [default: any number]",
    ),
    click.option(
        "--document-timeout",
        metavar="TIME",
        help="A document that takes longer is a row in error.  [default: any time]",
    ),
    click.option("--keep", metavar="NAMES", help="Input columns to keep.  [default: all]"),
    click.option(
        "--relative-to", metavar="DIR", help="Record source paths relative to this folder."
    ),
)

encoder_options = _group(
    click.option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:0,cuda:1."),
    click.option("--precision", type=click.Choice(PRECISIONS), help="Numbers of the encoder."),
    click.option(
        "--offline", is_flag=True, default=None, help="Never look for a model on the hub."
    ),
)


def split_names(value: str | None) -> list[str] | None:
    """Return comma-separated names as a list."""
    if value is None:
        return None
    return [name.strip() for name in value.split(",") if name.strip()]


def read_config(
    components: Sequence[str] | None,
    path: Path | None,
    overrides: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> RunConfig:
    """Return the config of a command; `settings` are its options of the [run] block."""
    from bertpipe.config import load_config

    return load_config(path, components, as_overrides(overrides, settings))


def as_overrides(overrides: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides with the options that were given added."""
    given = {f"run.{name}": value for name, value in settings.items() if value is not None}
    return {**overrides, **given}
