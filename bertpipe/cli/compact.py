"""`bertpipe compact`: few large parts instead of many small ones."""

from __future__ import annotations

from pathlib import Path

import click

from bertpipe.cli.text import counted


@click.command("compact", epilog="Example: bertpipe compact reviews.annotated")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
@click.option(
    "--part-megabytes",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    metavar="N",
    help="Merge parts until they have this size.",
)
def compact_command(output: Path, *, part_megabytes: int) -> None:
    """Merge the small parts of an output to large ones.

    The rows and their order stay the same. Nothing is computed, and no model is loaded. What is
    interrupted is made good by the next start.
    """
    from bertpipe.output.compact import compact

    done = compact(output, part_bytes=part_megabytes * 1_000_000)
    before, after = counted(done.n_before, "part"), counted(done.n_after, "part")
    click.echo(f"{output}: {counted(done.n_rows, 'row')} in {after}, before in {before}.")
