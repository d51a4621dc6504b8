"""`bertpipe view`: look at an output in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bertpipe.cli.text import counted

HELP = """Write an HTML page that shows an output: entities, classes, answers and errors.

The page is one file that needs no network; open it in a browser or send it to somebody.

--column and --where can be given several times. A condition compares a column with a word, a number
or a text in quotes by == != < <= > >=; asks whether a text is in a column; or names a column that
has to have a value. Conditions are joined by and, or, not and parentheses; those on one list that
`and` joins are about the same item of it.

\b
  ner.label == PER and ner.score > 0.9    a person, found with that score
  sentiment.score < 0.6                   what the classifier is unsure of
  not ner                                 no entity found
  _error                                  records in error
  "harbour" in text and stars >= 7        columns of the input
"""


@click.command(
    "view", help=HELP, epilog="Example: bertpipe view reviews.annotated --where 'ner.label == PER'"
)
@click.argument("output", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--column", "columns", multiple=True, metavar="NAME", help="Show this annotation.")
@click.option("--where", multiple=True, metavar="CONDITION", help="Show rows that meet it.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=1_000,
    metavar="N",
    help="Show the first N of them.  [default: 1000]",
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
    from bertpipe.view.page import write_page

    path = page or Path(f"{output.resolve().name}.html")
    written = write_page(output, path, columns=columns, where=where, limit=limit)
    shown = f"{counted(written.n_documents, 'document')} of {written.n_rows:,}"
    click.echo(f"{written.path}: {shown}", err=True)
