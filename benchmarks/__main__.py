"""Command line of the benchmarks."""

import platform
import subprocess
import sys
import time
from pathlib import Path

import click

from bertpipe.encoder.device import n_cpus
from bertpipe.report import versions


@click.group()
def main() -> None:
    """Measure bertpipe against its peers, in one run on one machine."""


@main.command()
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--texts", "n_texts", default=300, help="How many records of the corpus.")
@click.option("--repeats", default=3, help="How often each is measured; the table has medians.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the table there.")
def cpu(corpus: Path, n_texts: int, repeats: int, output: Path | None) -> None:
    """Compare with transformers' pipelines on a JSONL corpus with a field `text`.

    Example: python -m benchmarks cpu reviews.jsonl -o benchmarks/cpu.md
    """
    from benchmarks.cpu import run

    said: list[str] = []

    def say(line: str) -> None:
        click.echo(line, file=sys.stderr)
        said.append(f"- {line}")

    lines = run(corpus, n_texts=n_texts, repeats=repeats, say=say)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    when = time.strftime("%Y-%m-%d")
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    head = [
        f"`python -m benchmarks cpu {corpus.name} --texts {n_texts} --repeats {repeats}`, {when}, "
        f"commit {commit}, {n_cpus()} cores ({platform.machine()}), {used}",
        "",
        "| measure | times as fast |",
        "|---|---|",
    ]
    page = "\n".join([*head, *lines, "", *said, ""])
    click.echo(page)
    if output:
        output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
