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


@main.command("zero-shot")
@click.argument("data", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--texts", "n_texts", default=1000, show_default=True, help="How many lines.")
@click.option("--seed", default=0, show_default=True, help="Which lines.")
@click.option("--embedding", help="The model of that method.  [default: all_minilm_l6_v2]")
@click.option("--entailment", help="The model of that method.  [default: en_nli_mini]")
@click.option("--template", help="The sentence about a label, with {}.  [default: the method's]")
def zero_shot(
    data: Path,
    n_texts: int,
    seed: int,
    embedding: str | None,
    entailment: str | None,
    template: str | None,
) -> None:
    """Measure zero-shot classification on lines of TEXT, a tab and CLASS, by both methods.

    Needs the plug-in bertpipe-zero-shot. Example: python -m benchmarks zero-shot agnews.tsv
    """
    from benchmarks.zero_shot import read, table

    models = {"embedding": embedding, "entailment": entailment}
    chosen = read(data, n_texts=n_texts, seed=seed)
    for line in table(chosen, models=models, template=template):
        click.echo(line)


if __name__ == "__main__":
    main()
