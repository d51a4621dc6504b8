"""`bertpipe new-plugin`: begin a plug-in."""

from __future__ import annotations

from pathlib import Path

import click

from bertpipe.templates import KINDS


@click.command("new-plugin", epilog="Example: bertpipe new-plugin my-dates")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default=KINDS[0],
    show_default=True,
    help="A pattern, or a head on an encoder.",
)
@click.option(
    "--parent",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    metavar="DIR",
    help="Where to make the folder.  [default: the current folder]",
)
def new_plugin_command(name: str, *, kind: str, parent: Path) -> None:
    """Write a small plug-in that works, to be changed into yours.

    The folder NAME gets a package with an annotator, its factory and its tests. The factory is
    called NAME, with _ for -.
    """
    from bertpipe.templates import new_plugin

    folder = new_plugin(name, kind=kind, parent=parent)
    click.echo(f"{folder} is a plug-in. Install it: pip install --editable {folder}")
