"""`bertpipe status`: what an output holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bertpipe.cli.summary import shorten
from bertpipe.cli.text import counted, names, size, table

if TYPE_CHECKING:
    from bertpipe.output.status import Status


@click.command("status", epilog="Example: bertpipe status reviews.annotated")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status_command(output: Path, *, as_json: bool) -> None:
    """Show what an output holds.

    Rows done and in error, sources complete and partly done, versions and the last run. Only the
    ends of the files are read; a run may be at work meanwhile.
    """
    from bertpipe.output.status import status

    found = status(output)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        return
    for line in table(_rows(found)):
        click.echo(line)


def _rows(found: Status) -> Iterator[tuple[str, str]]:
    yield "output", str(found.output)
    yield "running", found.running or "no"
    parts = f"{counted(found.n_parts, 'part')}, {size(found.n_bytes)}"
    yield "rows", f"{found.n_rows:,} in {parts}"
    if found.n_missing:
        yield "missing", f"{counted(found.n_missing, 'row')} between those that are there"
    yield "in error", f"{found.n_errors:,}"
    for kind, n_errors in found.errors_by_type.items():
        yield f"  {kind}", f"{n_errors:,}{shorten(found.examples.get(kind))}"
    yield "sources", f"{found.n_sources_complete:,} complete{_partly(found)}"
    if found.sources_gone:
        yield "  gone", names(found.sources_gone)
    if found.sources_touched:
        yield "  touched", f"{names(found.sources_touched)}: of another size or time than they were"
    if found.damaged:
        yield "damaged", names(found.damaged)
    if found.n_staged:
        yield "overwrite", f"{counted(found.n_staged, 'row')} of an unfinished one"
    yield from _origin(found)


def _partly(found: Status) -> str:
    partly = found.sources_partly_done
    return f", {len(partly):,} partly done ({names(list(partly))})" if partly else ""


def _origin(found: Status) -> Iterator[tuple[str, str]]:
    """Yield what made the output."""
    components = found.recorded.get("components", ())
    if components:
        yield "components", ", ".join(str(each["name"]) for each in components)
    versions = found.recorded.get("versions", {})
    if versions:
        yield "versions", ", ".join(f"{name} {number}" for name, number in versions.items())
    last = found.last_run
    if last is None:
        yield "last run", "not ended"
    else:
        new = counted(last["n_new"], "new row")
        yield "last run", f"ended {last['finished_at']}, {new}, {last['seconds']:.1f} s"
