"""`bertpipe check`: look before a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertpipe.cli.components import short_type
from bertpipe.cli.options import code_option, component_options, corpus_options, read_config
from bertpipe.cli.text import counted, size, table

if TYPE_CHECKING:
    from bertpipe.check import Check, ComponentCheck


@click.command("check", epilog="Example: bertpipe check reviews.jsonl --components ner,sentiment")
@click.argument("corpus", nargs=-1, required=True, metavar="CORPUS...")
@component_options
@code_option
@corpus_options
@click.option("--offline", is_flag=True, default=None, help="Never look for a model on the hub.")
@click.option(
    "--sample",
    type=click.IntRange(1),
    default=1_000,
    show_default=True,
    metavar="N",
    help="Records to read, from the beginnings of the files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def check_command(
    overrides: Mapping[str, Any],
    /,
    corpus: Sequence[str],
    *,
    components: Sequence[str] | None,
    config_path: Path | None,
    sample: int,
    as_json: bool,
    **settings: Any,
) -> None:
    """Check a config and a sample of a corpus before a run.

    Says how many documents, tokens and windows the sample has, which records are in error and
    which columns would be written. Tokenizers are loaded, models are not; nothing is written.
    """
    config = read_config(components, config_path, overrides, settings)
    from bertpipe.check import check

    found = check(corpus, config=config, n_documents=sample)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: Check) -> Iterator[str]:
    yield f"corpus    {counted(found.n_files, 'file')}, {size(found.n_bytes)}"
    part = "all of it" if found.is_whole else "the beginnings of the files"
    documents = counted(found.n_documents, "document")
    yield f"sample    {documents} ({part}), {counted(found.n_chars, 'character')}"
    yield f"in error  {found.n_errors:,}"
    for kind, n_errors in found.errors.items():
        yield f"  {kind} {n_errors:,}  e.g. {' '.join(found.examples[kind].split())}"
    if found.skipped:
        yield f"skipped   {counted(len(found.skipped), 'file')} of unknown extension"
    yield ""
    n_texts = found.n_documents - found.n_errors
    yield from table([_HEADER, *(_row(component, n_texts) for component in found.components)])
    yield ""
    yield "columns that a run would write:"
    yield from table(("  " + name, short_type(kind)) for name, kind in found.columns.items())


_HEADER = ("COMPONENT", "MODEL", "WINDOW", "TOKENS", "WINDOWS", "PER DOCUMENT", "LONG")


def _row(component: ComponentCheck, n_texts: int) -> tuple[str, ...]:
    if component.n_tokens is None or component.n_windows is None:
        return (component.name, *["-"] * (len(_HEADER) - 1))
    return (
        component.name,
        component.model or "-",
        f"{component.max_length:,}",
        f"{component.n_tokens:,}",
        f"{component.n_windows:,}",
        f"{component.n_windows / n_texts:.2f}" if n_texts else "-",
        f"{component.n_long:,}",
    )
