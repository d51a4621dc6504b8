"""The peers: each annotates a list of texts and says how long it took, start-up apart.

Run in a process of its own: `python -m benchmarks.peers JOB.json`, which prints a JSON result.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def transformers_ner(model: str, texts: list[str], batch_size: int) -> Callable[[], list[Any]]:
    """Return a call of the token-classification pipeline, windows as its `stride` makes them."""
    from transformers import AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(model, model_max_length=512)
    pipe: Any = pipeline(
        "token-classification",
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy="first",
        stride=64,
        device="cpu",
        dtype="float32",
    )

    def annotate() -> list[Any]:
        return [
            [
                [each["start"], each["end"], each["entity_group"], float(each["score"])]
                for each in found
            ]
            for found in pipe(_stream(texts), batch_size=batch_size)
        ]

    return annotate


def transformers_classifier(
    model: str, texts: list[str], batch_size: int
) -> Callable[[], list[Any]]:
    """Return a call of the text-classification pipeline; it knows no windows, so it truncates."""
    from transformers import AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(model, model_max_length=512)
    pipe: Any = pipeline(
        "text-classification",
        model=model,
        tokenizer=tokenizer,
        truncation=True,
        device="cpu",
        dtype="float32",
    )

    def annotate() -> list[Any]:
        found = pipe(_stream(texts), batch_size=batch_size)
        return [[each["label"], float(each["score"])] for each in found]

    return annotate


PEERS = {"ner": transformers_ner, "sentiment": transformers_classifier}


def _stream(texts: list[str]) -> Iterator[str]:
    yield from texts


def main(job: Path) -> None:
    """Run a job {component, model, texts, batch_size} and print its seconds and results."""
    wanted = json.loads(job.read_text(encoding="utf-8"))
    begun = time.perf_counter()
    annotate = PEERS[wanted["component"]](wanted["model"], wanted["texts"], wanted["batch_size"])
    ready = time.perf_counter()
    results = annotate()
    seconds = time.perf_counter() - ready
    job.with_suffix(".result.json").write_text(
        json.dumps({"startup": ready - begun, "seconds": seconds, "results": results})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
