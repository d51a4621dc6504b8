"""`bertpipe annotate`: a quick look at what components find in a few texts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bertpipe.cli.options import as_overrides, code_option, component_options, encoder_options

DEFAULT_COMPONENTS = ("ner", "sentiment")


@click.command("annotate", epilog='Example: bertpipe annotate "Ada Lovelace loved London."')
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@component_options
@code_option
@encoder_options
@click.pass_obj
def annotate_command(
    overrides: Mapping[str, Any],
    /,
    texts: Sequence[str],
    *,
    components: Sequence[str] | None,
    config_path: Path | None,
    **settings: Any,
) -> None:
    """Show what components find in a text.

    Without a TEXT each line of standard input is one. Without --components and --config the
    components are ner and sentiment.
    """
    if components is None and config_path is None:
        components = DEFAULT_COMPONENTS
    given = list(texts) or list(_read_lines())
    from bertpipe.api import annotate
    from bertpipe.cli.show import show

    found = annotate(
        given,
        components=components,
        config=config_path,
        overrides=as_overrides(overrides, settings),
    )
    for text, values in zip(given, found, strict=True):
        for line in show(text, values):
            click.echo(line)


def _read_lines() -> Iterator[str]:
    if sys.stdin.isatty():
        raise click.UsageError("Give a TEXT, or texts on standard input, one a line.")
    for line in sys.stdin.buffer:
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if text.strip():
            yield text
