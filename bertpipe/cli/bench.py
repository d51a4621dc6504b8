"""`bertpipe bench`: find the fastest settings for a corpus on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertpipe.cli.options import (
    code_option,
    component_options,
    corpus_options,
    encoder_options,
    read_config,
)
from bertpipe.cli.text import rate, table

if TYPE_CHECKING:
    from bertpipe.bench import Trial

HEAD = ("precision", "batch_tokens", "workers", "compile", "speed", "", "device idle", "as in fp32")
# Options that the words of a setting give anew.
SET_BY_TRIAL = ("precision", "workers", "run.batch_tokens", "run.compile")


@click.command("bench", epilog="Example: bertpipe bench reviews.jsonl --components ner")
@click.argument("corpus", nargs=-1, required=True, metavar="CORPUS...")
@component_options
@code_option
@corpus_options
@encoder_options
@click.option("--workers", type=click.IntRange(1), metavar="N", help="The most to be tried.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    metavar="N",
    help="Measure on the first N records.",
)
@click.pass_context
def bench_command(
    context: click.Context,
    /,
    corpus: Sequence[str],
    *,
    components: Sequence[str] | None,
    config_path: Path | None,
    limit: int,
    **settings: Any,
) -> None:
    """Measure a corpus with several settings and print the fastest.

    Tries each precision that the device has, larger and smaller batches, torch.compile where there
    is a compiler, and fewer workers. Start-up, compiling included, is not counted. The last column
    is the share of documents that are annotated as in fp32, scores apart.
    """
    config = read_config(components, config_path, context.obj, settings)
    from bertpipe.bench import bench

    trials = bench(
        corpus,
        config=config,
        n_documents=limit,
        tell=lambda trial: click.echo(f"tried {' '.join(trial.setting.words())}", err=True),
    )
    for line in table([HEAD, *map(_row, trials)]):
        click.echo(line)
    options = {"components": components and ",".join(components), "config": config_path}
    options |= {name.replace("_", "-"): value for name, value in settings.items()}
    options |= context.obj
    click.echo(
        shlex.join(["bertpipe", "run", *corpus, *_words(options), *trials[0].setting.words()])
    )


def _words(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield options as words of a command; what the best setting says itself is left out."""
    for name, value in options.items():
        if value is not None and name not in SET_BY_TRIAL:
            yield f"--{name}"
            yield from [] if value is True else [str(value)]


def _row(trial: Trial) -> tuple[str, ...]:
    setting = trial.setting
    return (
        setting.precision,
        f"{setting.batch_tokens:,}",
        str(setting.workers or "one a device"),
        "yes" if setting.compile else "no",
        rate(trial.documents_per_second, "docs"),
        rate(trial.tokens_per_second, "tokens"),
        f"{trial.device_idle:.1%}",
        f"{trial.same:.1%}",
    )
