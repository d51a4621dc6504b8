"""Score masked language models and next-sentence heads, by the windows that training scores.

What is hidden, and which sentences are paired, follows from the recipe's files: no labelled data.
"""

from collections.abc import Iterator
from pathlib import Path

from bertpipe.evaluation.scores import Scores
from bertpipe.training import neighbours
from bertpipe.training.base import load_tokenizer
from bertpipe.training.scoring import score
from bertpipe.training.settings import TaskSettings
from bertpipe.training.tasks import build_model, load_dev

KINDS = ("masked_language_model", "next_sentence")
BATCH_TOKENS = 2048


def score_language(folder: Path, settings: TaskSettings) -> Iterator[tuple[str, Scores]]:
    """Yield the scores of a model folder on each of the recipe's dev files, in float32."""
    labels = neighbours.LABELS if settings.kind == "next_sentence" else ()
    task = load_dev(settings, load_tokenizer(folder), labels)
    model = build_model(task, folder, config={})
    for name, figures in score(task, model, budget=BATCH_TOKENS, bf16=False).items():
        yield name, Scores(n_records=len(task.dev[name].records), figures=figures, rows={})
