"""Score a finished model folder on the dev files of a recipe, in float32.

    python -m bertpipe.training.evaluate configs/train/en_ner_mini.cfg MODEL DATA

DATA is the folder that the recipe calls paths.data. With --card before the recipe, the scores also
go into the model's card.
"""

import json
import sys
from pathlib import Path

from bertpipe.training.base import load_tokenizer
from bertpipe.training.card import put_scores
from bertpipe.training.scoring import score
from bertpipe.training.settings import TaskSettings, TrainSettings, read_settings
from bertpipe.training.tasks import build_model, load_dev

BATCH_TOKENS = 2048


def evaluate(settings: TrainSettings, model: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return the figures of the model by task and dev file."""
    return {name: evaluate_task(task, model) for name, task in settings.tasks.items()}


def evaluate_task(settings: TaskSettings, model: Path) -> dict[str, dict[str, float]]:
    """Return the figures of the model on one task's dev files."""
    task = load_dev(settings, load_tokenizer(model), model_labels(settings, model))
    return score(task, build_model(task, model, config={}), budget=BATCH_TOKENS, bf16=False)


def model_labels(settings: TaskSettings, model: Path) -> tuple[str, ...]:
    """Return a classifier's labels in the order of its scores; QA has none."""
    from transformers import AutoConfig

    if settings.kind == "question_answering":
        return ()
    config = AutoConfig.from_pretrained(model, local_files_only=True, trust_remote_code=False)
    return tuple(label for _, label in sorted(config.id2label.items()))


def main(arguments: list[str]) -> None:
    """Run `evaluate [--card] RECIPE MODEL DATA`; print figures as JSON."""
    to_card = arguments[:1] == ["--card"]
    recipe, model, data = arguments[to_card:]
    settings = read_settings(Path(recipe), {"paths.base": model, "paths.data": data})
    scores = evaluate(settings, Path(model))
    for figures in scores.values() if to_card else ():
        put_scores(Path(model), figures)
    sys.stdout.write(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
