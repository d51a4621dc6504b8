"""The short table at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertpipe.cli.text import counted, duration, names, rate, table

if TYPE_CHECKING:
    from bertpipe.plan import Plan
    from bertpipe.report import Report

N_LABELS = 6
MAX_EXAMPLE_CHARS = 100


def summarise(report: Report) -> Iterator[str]:
    """Yield the lines that tell what a run did and how to look at it."""
    yield _headline(report)
    yield from table(_rows(report))
    yield from _sources(report)
    if report.skipped:
        yield f"Skipped {counted(len(report.skipped), 'file')} of unknown extension."
    yield query(report)


def summarise_plan(plan: Plan) -> Iterator[str]:
    """Yield the lines that tell what a run would do."""
    yield from table(_plan_rows(plan))
    if plan.is_refused:
        yield "The run would be refused: give --changed recompute or --changed ignore."


def _plan_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "output", f"{plan.output}, {counted(plan.n_rows, 'row')}"
    chunks = counted(plan.n_chunks, "chunk")
    yield "to compute", f"{counted(plan.n_documents, 'document')} in {chunks}"
    if plan.n_replaced:
        rows = counted(plan.n_recomputed, "row")
        yield (
            "to replace",
            f"{counted(plan.n_replaced, 'part')}, up to {rows} of them computed again",
        )
    if plan.n_retried:
        yield "to retry", f"{counted(plan.n_retried, 'row')} in error"
    for kind, found in {"new": plan.new, **plan.sources}.items():
        if found:
            yield kind, f"{counted(len(found), 'source')}: {names(found)}"


def _headline(report: Report) -> str:
    rows = counted(report.n_rows, "row")
    if not (report.n_new or report.n_retried or report.n_recomputed):
        return f"Nothing to do: {report.output} holds all {rows}."
    new = f", {report.n_new:,} of them new" if 0 < report.n_new < report.n_rows else ""
    retried = f"; {report.n_retried:,} in error computed again" if report.n_retried else ""
    return f"{report.output} holds {rows}{new}{retried}."


def _sources(report: Report) -> Iterator[str]:
    """Yield a line for what is not as it was when the rows were made."""
    found = report.sources
    if report.n_recomputed:
        yield f"Computed {counted(report.n_recomputed, 'row')} of changed lines and files again."
    if found.get("ignored"):
        n_ignored = counted(len(found["ignored"]), "changed source")
        yield f"Left the rows of {n_ignored} as they are: {names(found['ignored'])}."
    if found.get("gone"):
        n_gone = counted(len(found["gone"]), "source")
        yield f"Kept the rows of {n_gone} that are gone: {names(found['gone'])}."
    if found.get("unfinished"):
        lines = counted(len(found["unfinished"]), "unfinished last line")
        yield f"Left {lines} for the next run; --final takes it: {names(found['unfinished'])}."


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    if report.n_new:
        yield (
            "speed",
            f"{rate(report.documents_per_second, 'docs')}, "
            f"{rate(report.tokens_per_second, 'tokens')}, {duration(report.seconds)}",
        )
    for each in report.passes:
        if len(each["layers"]) > 1:
            yield "one pass", _shared(each)
    if report.counts.get("halvings"):
        yield "memory", _halved(report)
    for name, labels in report.labels.items():
        yield name, _counts(labels)
    yield "errors", f"{report.n_errors:,}"
    for kind, n_errors in sorted(report.errors_by_type.items()):
        yield f"  {kind}", f"{n_errors:,}{shorten(report.examples.get(kind))}"


def _halved(report: Report) -> str:
    budget = min(each["batch_tokens"] for each in report.passes)
    n_times = counted(report.counts["halvings"], "time")
    return f"did not suffice {n_times}; --run.batch_tokens {budget} begins with what did"


def _shared(one_pass: Mapping[str, Mapping[str, int]]) -> str:
    n_layers = sum(one_pass["layers"].values())
    n_computed = n_layers - sum(one_pass["shared"].values())
    return f"{', '.join(one_pass['layers'])}: {n_computed} of {n_layers} layers computed"


def _counts(labels: Mapping[str, int]) -> str:
    shown = [f"{label} {count:,}" for label, count in list(labels.items())[:N_LABELS]]
    n_more = len(labels) - len(shown)
    return ", ".join(shown) + (f" and {n_more} more labels" if n_more else "") or "nothing found"


def shorten(message: str | None) -> str:
    """Return an example of an error as the end of a line; nothing where there is none."""
    if not message:
        return ""
    line = " ".join(message.split())
    short = line if len(line) <= MAX_EXAMPLE_CHARS else f"{line[: MAX_EXAMPLE_CHARS - 1]}…"
    return f"  e.g. {short}"


def query(report: Report) -> str:
    """Return one line that shows how to query the output, in SQL and in Python."""
    column = next((str(component["name"]) for component in report.components), "_error")
    name = column if column.isidentifier() else f'"{column}"'
    files = str(Path(report.output) / "*.parquet").replace("'", "''")
    folder = str(report.output)
    return f"Query it: SELECT {name} FROM '{files}' (DuckDB) or pandas.read_parquet({folder!r})"
