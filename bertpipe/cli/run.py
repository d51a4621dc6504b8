"""`bertpipe run`: annotate a corpus."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertpipe.cli.metrics import Metrics
from bertpipe.cli.options import (
    code_option,
    component_options,
    corpus_options,
    encoder_options,
    read_config,
)
from bertpipe.cli.profile import profile_lines
from bertpipe.cli.runlog import LOG_FORMATS, RunLog
from bertpipe.cli.summary import summarise_plan
from bertpipe.errors import ConfigError
from bertpipe.tolerance import ON_ERROR, Tolerance, tolerance

if TYPE_CHECKING:
    from bertpipe.output.shards import Shard
    from bertpipe.report import Report

ROWS_IN_ERROR = 3


def _parse_tolerance(
    context: click.Context, option: click.Parameter, value: str | None
) -> Tolerance | None:
    """Return how many rows may be in error."""
    del context, option
    try:
        return None if value is None else Tolerance.parse(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


def _parse_shard(
    context: click.Context, option: click.Parameter, value: str | None
) -> Shard | None:
    """Return which part of the work is to be done."""
    del context, option
    if value is None:
        return None
    from bertpipe.output.shards import Shard

    try:
        return Shard.parse(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


@click.command("run", epilog="Example: bertpipe run reviews.jsonl --components ner,sentiment")
@click.argument("corpus", nargs=-1, required=True, metavar="CORPUS...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for the output.  [default: NAME.annotated in the current folder]",
)
@component_options
@code_option
@corpus_options
@encoder_options
@click.option("--workers", type=click.IntRange(0), metavar="N", help="0 works in this process.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Stop after N records.")
@click.option("--overwrite", is_flag=True, help="Replace an output of other settings.")
@click.option("--retry-errors", is_flag=True, help="Compute the rows in error again first.")
@click.option(
    "--changed",
    type=click.Choice(("recompute", "ignore")),
    help="What to do with a file that changed since.  [default: stop]",
)
@click.option("--final", is_flag=True, help="A growing file's last line counts without its end.")
@click.option(
    "--shard",
    callback=_parse_shard,
    metavar="I/N",
    help="Do the I-th of N parts of the work; others do the rest.",
)
@click.option("--commit-every", metavar="TIME", help="Finish a part after this.  [default: 5m]")
@click.option("--grace", metavar="TIME", help="Time to end after Ctrl-C.  [default: 20s]")
@click.option(
    "--allow-errors",
    callback=_parse_tolerance,
    default="0",
    metavar="N|P%",
    help="Exit with 0 although N rows, or P percent, are in error.",
)
@click.option(
    "--on-error",
    type=click.Choice(ON_ERROR),
    default="record",
    show_default=True,
    help="A record that fails is a row in error, or ends the run.",
)
@click.option(
    "--max-errors",
    callback=_parse_tolerance,
    metavar="N|P%",
    help="End the run early when more rows are in error.  [default: any number]",
)
@click.option(
    "--docbin",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write Docs of spaCy as well, when all is done: a file NAME.spacy, or a folder of them.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default=LOG_FORMATS[0],
    show_default=True,
    help="Lines for people or JSON lines, on standard error.",
)
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep figures for Prometheus in this file.",
)
@click.option("--profile", is_flag=True, help="Say where the time went, too.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def run_command(
    context: click.Context,
    /,
    corpus: Sequence[str],
    *,
    output: Path | None,
    components: Sequence[str] | None,
    config_path: Path | None,
    limit: int | None,
    overwrite: bool,
    retry_errors: bool,
    changed: str | None,
    final: bool,
    shard: Shard | None,
    allow_errors: Tolerance,
    on_error: str,
    max_errors: Tolerance | None,
    docbin: Path | None,
    dry_run: bool,
    log_format: str,
    metrics_file: Path | None,
    profile: bool,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Annotate a corpus and write it as Parquet.

    CORPUS is files, folders, globs, or - for standard input. Every record becomes one row. Run the
    same command again to go on where a run was stopped, or to add new files.

    Exit code 3 means that all is written and some rows are in error.
    """
    output = output or Path(default_output(corpus[0]))
    metrics = Metrics(metrics_file, output) if metrics_file and not dry_run else None
    log = RunLog.begin(context, form=log_format, quiet=quiet, metrics=metrics)
    config = read_config(components, config_path, context.obj, settings)
    what: dict[str, Any] = {
        "config": config,
        "output": output,
        "limit": limit,
        "overwrite": overwrite,
        "retry": retry_errors,
        "changed": changed,
        "final": final,
    }
    if dry_run and shard:
        raise click.UsageError("--dry-run tells of all the work; leave out --shard.")
    if docbin and shard:
        raise click.UsageError("--docbin needs the whole output; leave out --shard.")
    if dry_run:
        _tell_plan(corpus, what, as_json=as_json)
        return
    from bertpipe.engine import run

    if docbin:
        from bertpipe.docbin import check_docbin

        check_docbin(docbin, output)
    log.start(output)
    report = run(
        corpus,
        **what,
        shard=shard,
        tolerance=tolerance(on_error, None if max_errors is None else str(max_errors)),
        progress=log,
    )
    if docbin:
        from bertpipe.docbin import write_docbin

        log.wrote_docs(docbin, write_docbin(report.output, docbin))
    exit_code = 0 if is_allowed(report, allow_errors) else ROWS_IN_ERROR
    log.finish(report, exit_code)
    if profile and log_format == LOG_FORMATS[0]:
        for line in profile_lines(report):
            click.echo(line, err=True)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    context.exit(exit_code)


def _tell_plan(corpus: Sequence[str], what: dict[str, Any], *, as_json: bool) -> None:
    from bertpipe.plan import plan

    found = plan(corpus, **what)
    lines = [json.dumps(found.to_dict(), indent=2, ensure_ascii=False)]
    for line in lines if as_json else summarise_plan(found):
        click.echo(line)


def is_allowed(report: Report, allowed: tuple[float, bool]) -> bool:
    """Tell whether no more rows are in error than allowed."""
    return Tolerance(*allowed).bears(report.n_errors, report.n_rows)


def default_output(first: str) -> str:
    """Return NAME.annotated, NAME being the stem of the first argument."""
    return f"{_stem(first)}.annotated"


def _stem(path: str) -> str:
    from bertpipe.corpus.sources import COMPRESSIONS, FORMAT_OF_EXTENSION

    if path == "-":
        return "stdin"
    if glob.has_magic(path) and not os.path.exists(path):
        return "corpus"
    name = Path(path).resolve().name
    if not os.path.isdir(path):
        for extensions in (COMPRESSIONS, FORMAT_OF_EXTENSION):
            stem, dot, last = name.rpartition(".")
            name = stem if dot and stem and last.lower() in extensions else name
    return name or "corpus"
