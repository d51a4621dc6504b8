"""`bertpipe view`: look at an output in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bertpipe.cli.text import counted


@click.command("view", epilog="Example: bertpipe view reviews.annotated --where '_error'")
@click.argument("output", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--column", "columns", multiple=True, metavar="NAME", help="Show this annotation.")
@click.option("--where", multiple=True, metavar="CONDITION", help="Show rows that meet it.")
@click.option(
    "--limit", type=click.IntRange(1), default=1_000, show_default=True, help="Show N documents."
)
@click.option(
    "-o",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The page.  [default: NAME.html in the current folder]",
)
def view_command(
    output: Path, *, columns: Sequence[str], where: Sequence[str], limit: int, page: Path | None
) -> None:
    """Write an HTML page that shows an output: entities, classes, answers and errors.

    The page is one file that needs no network; send it or open it in any browser.

    A CONDITION compares columns with words, numbers or texts in quotes by == != < <= > >=, asks for
    a part of a text by in, or names a column that must not be empty. Joined by and, or, not and
    parentheses; what and joins on one list is about one and the same item of it.

    \b
      ner.label == PER and ner.score > 0.9    a person found with that score
      sentiment.score < 0.6                   what the classifier is unsure of
      not ner                                 no entity
      _error                                  records in error
      "harbour" in text and stars >= 7        columns of the input
    """
    from bertpipe.view.page import write_page

    path = page or Path(f"{output.resolve().name}.html")
    written = write_page(output, path, columns=columns, where=where, limit=limit)
    click.echo(f"{written.path}: {counted(written.n_documents, 'document')} of {written.n_rows:,}")
