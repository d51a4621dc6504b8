"""`bertpipe verify`: read an output again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bertpipe.cli.text import counted

FOUND = 1


@click.command("verify", epilog="Example: bertpipe verify reviews.annotated reviews.jsonl")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
@click.argument("corpus", nargs=-1, metavar="[CORPUS...]")
@click.option("--format", metavar="NAME", help="Read every file as txt, jsonl, csv, tsv ...")
@click.pass_context
def verify_command(
    context: click.Context,
    /,
    output: Path,
    corpus: Sequence[str],
    *,
    format: str | None,  # noqa: A002  (it is the option's name)
) -> None:
    """Check an output, all of it, against its sources.

    Page checksums, hashes, rows without gap or overlap, columns and counts are checked, and whether
    the sources have changed. With a CORPUS each of its files must have its rows. Prints a sentence
    for each finding; the exit code is then 1.
    """
    from bertpipe.output.verify import verify

    found = verify(output, corpus, format=format)
    for finding in found.findings:
        click.echo(finding)
    sources = counted(found.n_sources, "source")
    gone = f", {len(found.gone):,} of them no longer there" if found.gone else ""
    click.echo(
        f"{output}: {counted(found.n_rows, 'row')} in {counted(found.n_parts, 'part')} of"
        f" {sources}{gone}; {counted(len(found.findings), 'finding')}."
    )
    if found.findings:
        context.exit(FOUND)
