"""Command line of the benchmarks."""

import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.zero_shot import zero_shot
from bertpipe.encoder.device import n_cpus
from bertpipe.report import versions

ROWS = ("pipelines", "forward", "openvino", "padding", "spacy", "scale")
output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the table there too."
)
repeats_option = click.option(
    "--repeats",
    default=3,
    help="How often each is measured; the table has medians.",
    show_default=True,
)


@click.group()
def main() -> None:
    """Measure bertpipe against its peers, in one run on one machine."""


main.add_command(zero_shot)


@main.command()
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--texts", "n_texts", default=300, show_default=True, help="Records of the corpus.")
@repeats_option
@click.option(
    "--rows",
    default=",".join(ROWS),
    show_default=True,
    callback=lambda context, option, value: value.split(","),
    help="Which measures, separated by commas.",
)
@click.option(
    "--peer-python",
    metavar="FILE",
    help="Python of an environment with transformers 4 and spacy-huggingface-pipelines.",
)
@click.option(
    "--scale", "factor", default=1.0, show_default=True, help="Times 100,000 short documents."
)
@output_option
def cpu(
    corpus: Path,
    n_texts: int,
    repeats: int,
    rows: Sequence[str],
    peer_python: str | None,
    factor: float,
    output: Path | None,
) -> None:
    """Fill the CPU table on a JSONL corpus with a field `text`.

    Example: python -m benchmarks cpu reviews.jsonl -o benchmarks/cpu.md
    """
    from benchmarks.cpu import run

    said: list[str] = []

    def say(line: str) -> None:
        click.echo(line, err=True)
        said.append(f"- {line}")

    lines = run(
        corpus,
        rows=rows,
        n_texts=n_texts,
        repeats=repeats,
        peer_python=peer_python,
        factor=factor,
        say=say,
    )
    head = ["| measure | at least | median | spread |", "|---|---|---|---|"]
    _tell([*head, *lines, "", *said], output)


@main.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Records of each dev file.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda:0.")
@output_option
def precision(data: Path, limit: int | None, device: str, output: Path | None) -> None:
    """Measure what bf16 and int8 change on the dev files of the embedded models.

    DATA holds the data sets as the recipes in configs/train name them.
    """
    from benchmarks.precision import run

    head = [
        "| model | dev file | precision | labels as in fp32 | fp32 | change |",
        "|---" * 6 + "|",
    ]
    _tell([*head, *run(data, limit=limit, device=device)], output)


@main.command()
@repeats_option
@output_option
def parts(repeats: int, output: Path | None) -> None:
    """Measure what the CPU path is built of against what torch does by itself.

    Counts CPU time of one core, so that other work on the machine matters little.
    """
    from benchmarks.parts import run

    _tell(["| part | bertpipe | torch | times |", "|---|---|---|---|", *run(repeats)], output)


@main.command()
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", default="en_ner_mini", show_default=True, help="A token classifier.")
@click.option(
    "--texts", "n_texts", default=20_000, show_default=True, help="Records of the corpus."
)
@click.option("--device", default="cuda", show_default=True, help="cpu tries the command out.")
@repeats_option
@output_option
def gpu(
    corpus: Path, model: str, n_texts: int, device: str, repeats: int, output: Path | None
) -> None:
    """Fill the GPU table: matrix peak, whole run, pipeline, share of time that the GPU is busy.

    Example: python -m benchmarks gpu reviews.jsonl --model dslim/bert-base-NER -o benchmarks/gpu.md
    """
    from benchmarks.gpu import run

    lines = run(corpus, model=model, n_texts=n_texts, device=device, repeats=repeats)
    _tell(["| measure | at least | median | spread |", "|---|---|---|---|", *lines], output)


def _tell(lines: Sequence[str], output: Path | None) -> None:
    """Print a page that says when, on what and at which commit it was measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    command = " ".join(["python -m benchmarks", *map(_shown, sys.argv[1:])])
    page = "\n".join(
        [
            f"`{command}`, {time.strftime('%Y-%m-%d')}, commit {commit}, {n_cpus()} cores "
            f"({_processor()}), {used}",
            "",
            *lines,
            "",
        ]
    )
    click.echo(page)
    if output:
        output.write_text(page, encoding="utf-8")


def _shown(argument: str) -> str:
    """Leave the folders of this machine out of what is written down."""
    return Path(argument).name if "/" in argument else argument


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@main.command("long-run")
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--components", default="ner,sentiment", help="Names, separated by commas.")
@click.option("--early", default=5_000, help="Rows after which memory is to stay as it is.")
@output_option
def long_run(corpus: Path, components: str, early: int, output: Path | None) -> None:
    """Watch the memory of a run over the whole of a corpus.

    Example: python -m benchmarks long-run reviews.jsonl
    """
    from benchmarks.long_run import measure

    _tell(measure(corpus, components.split(","), early=early), output)


if __name__ == "__main__":
    main()
