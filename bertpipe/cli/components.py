"""`bertpipe components`: list what can be run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertpipe.cli.options import as_overrides, code_option
from bertpipe.cli.text import table

if TYPE_CHECKING:
    from bertpipe.components import Listed

HEADER = ("NAME", "FACTORY", "PACKAGE", "MODEL", "COLUMN")


@click.command("components", epilog="Example: bertpipe components")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="List the blocks of this .cfg file as well.",
)
@code_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with model folders and labels.")
@click.pass_obj
def components_command(
    overrides: Mapping[str, Any], /, config_path: Path | None, *, code: str | None, as_json: bool
) -> None:
    """List the components that can be run.

    Says where each comes from, its model and its column. What cannot be used, such as a plug-in
    that does not import, is marked with the reason.
    """
    from bertpipe.components import list_components

    listed = list_components(config_path, as_overrides(overrides, {"code": code}))
    if as_json:
        values = [component.to_dict() for component in listed]
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    for line in table([HEADER, *map(_row, listed)]):
        click.echo(line)
    for line in _problems(listed):
        click.secho(line, fg="red")


def _row(component: Listed) -> tuple[str, ...]:
    return (
        component.name,
        component.factory,
        f"{component.package} {component.version}".strip() or "-",
        component.model or "-",
        _column(component),
    )


def _column(component: Listed) -> str:
    if component.problem is None:
        return short_type(component.type)
    return "(broken)" if component.model is None else "(no model)"


def _problems(listed: Sequence[Listed]) -> Iterator[str]:
    broken = [component for component in listed if component.problem]
    if broken:
        yield ""
    for component in broken:
        yield f"{component.name}: {component.problem}"


def short_type(kind: str | None) -> str:
    """Return an Arrow type with the names of its fields alone."""
    if kind is None:
        return "-"
    short = kind.replace("element: ", "")
    short = re.sub(r": (?:string|int32|int64|float|double|bool)\b", "", short)
    return short.replace(": list<string>", "").replace(": list<struct<label, score>>", "")
