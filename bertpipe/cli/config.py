"""`bertpipe config`: print the config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bertpipe.cli.options import component_options


@click.command(
    "config", epilog="Example: bertpipe config --components ner --components.ner.aggregation max"
)
@component_options
@click.pass_obj
def config_command(
    overrides: Mapping[str, Any], /, components: Sequence[str] | None, config_path: Path | None
) -> None:
    """Print the default config, or a resolved one.

    With options or overrides it is what they make of the default config, without comments.
    """
    from bertpipe.config import config_text, default_text

    if components is None and config_path is None and not overrides:
        click.echo(default_text(), nl=False)
    else:
        click.echo(config_text(config_path, components, overrides))
