"""Accuracy of zero-shot classification on labelled texts, by both methods."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

import bertpipe
from bertpipe import ModelError

METHODS = ("embedding", "entailment")


@click.command("zero-shot")
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
    models = {"embedding": embedding, "entailment": entailment}
    chosen = read(data, n_texts=n_texts, seed=seed)
    for line in table(chosen, models=models, template=template):
        click.echo(line)


@dataclass(frozen=True)
class Labelled:
    """Texts with the class of each."""

    texts: Sequence[str]
    classes: Sequence[str]

    @property
    def labels(self) -> list[str]:
        """Return the distinct classes in order."""
        return sorted(set(self.classes))


def read(path: Path, *, n_texts: int, seed: int) -> Labelled:
    """Return some lines of a file of TEXT, a tab and CLASS, chosen by chance."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line]
    chosen = random.Random(seed).sample(lines, min(n_texts, len(lines)))
    pairs = [line.rsplit("\t", 1) for line in chosen]
    return Labelled([text for text, _ in pairs], [name for _, name in pairs])


def table(
    data: Labelled, *, models: Mapping[str, str | None], template: str | None
) -> Iterator[str]:
    """Yield the lines of a table with what each method gets right.

    models: the model of each method; None is the default one.
    """
    labels = data.labels
    commonest = Counter(data.classes).most_common(1)[0][1] / len(data.classes)
    yield f"{len(data.texts)} texts, labels {', '.join(labels)}; the commonest has {commonest:.3f}"
    yield ""
    yield "| method | accuracy | " + " | ".join(f"F1 {label}" for label in labels) + " | seconds |"
    yield "|" + "---|" * (len(labels) + 3)
    for method in METHODS:
        start = time.perf_counter()
        try:
            found = classify(data.texts, labels, method, models.get(method), template)
        except ModelError as error:
            yield f"| {method} | not measured: {error} |" + " |" * (len(labels) + 1)
            continue
        seconds = time.perf_counter() - start
        right = sum(map(str.__eq__, found, data.classes)) / len(found)
        scores = " | ".join(f"{f1(found, data.classes, label):.3f}" for label in labels)
        yield f"| {method} | {right:.3f} | {scores} | {seconds:.0f} |"


def classify(
    texts: Sequence[str],
    labels: Sequence[str],
    method: str,
    model: str | None,
    template: str | None,
) -> list[str]:
    """Return the label of each text; one without a token has the label ""."""
    settings = {
        "labels": list(labels),
        "method": method,
        "model": model,
        "hypothesis_template": template,
    }
    rows = bertpipe.annotate(
        texts,
        components=["zero_shot"],
        overrides={f"components.zero_shot.{name}": value for name, value in settings.items()},
    )
    return [(row["zero_shot"] or {"label": ""})["label"] for row in rows]


def f1(found: Sequence[str], expected: Sequence[str], label: str) -> float:
    """Return the F1 of a label."""
    n_both = sum(a == b == label for a, b in zip(found, expected, strict=True))
    n_either = sum(a == label for a in found) + sum(b == label for b in expected)
    return 2 * n_both / n_either if n_either else 0.0
