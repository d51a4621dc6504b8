"""The peers: each annotates a list of texts and says how long it took, start-up apart.

`python benchmarks/peers.py JOB.json` imports nothing of bertpipe, so that it runs in an environment
with other versions too. It writes JOB.result.json.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Call = Callable[[], list[Any]]


def pipeline(job: dict[str, Any]) -> Call:
    """Return a call of transformers' pipeline for the job's component."""
    from transformers import AutoTokenizer, pipeline

    model, size = job["model"], job["batch_size"]
    shared = {
        "model": model,
        "tokenizer": AutoTokenizer.from_pretrained(model, model_max_length=512),
        "device": "cpu",
        "dtype": "float32",
    }
    if job["component"] == "sentiment":  # it knows no windows, so it truncates
        classify: Any = pipeline("text-classification", truncation=True, **shared)
        return lambda: [
            [each["label"], float(each["score"])]
            for each in classify(_stream(job["texts"]), batch_size=size)
        ]
    find: Any = pipeline("token-classification", aggregation_strategy="first", stride=64, **shared)
    return lambda: [
        [[each["start"], each["end"], each["entity_group"], float(each["score"])] for each in found]
        for found in find(_stream(job["texts"]), batch_size=size)
    ]


def _spacy(job: dict[str, Any]) -> Any:
    import spacy

    nlp = spacy.blank("en")
    config = {"model": job["model"], "stride": 64, "aggregation_strategy": "first"}
    nlp.add_pipe("hf_token_pipe", config=config)
    return nlp


def nlp_pipe(job: dict[str, Any]) -> Call:
    """Return a call of `nlp.pipe` with spacy-huggingface-pipelines."""
    nlp = _spacy(job)
    return lambda: [
        [[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents]
        for doc in nlp.pipe(job["texts"], batch_size=job["batch_size"])
    ]


def spacy_apply(job: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Return the seconds of `spacy apply` on the texts, and those of a run on one short text."""
    _spacy(job).to_disk(folder / "nlp")
    one = _apply(folder, ["Short."])
    return _apply(folder, job["texts"]) - one, one


def _apply(folder: Path, texts: list[str]) -> float:
    source = folder / "apply.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    start = time.perf_counter()
    command = ["-m", "spacy", "apply", str(folder / "nlp"), str(source), str(folder / "out.spacy")]
    subprocess.run([sys.executable, *command, "--force"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _stream(texts: list[str]) -> Iterator[str]:
    yield from texts


def main(path: Path) -> None:
    """Run a job {kind, component, model, texts, batch_size}."""
    job = json.loads(path.read_text(encoding="utf-8"))
    if job["kind"] == "spacy-apply":
        seconds, startup = spacy_apply(job, path.parent)
        results: list[Any] = []
    else:
        begun = time.perf_counter()
        annotate = {"pipeline": pipeline, "nlp.pipe": nlp_pipe}[job["kind"]](job)
        ready = time.perf_counter()
        results = annotate()
        seconds, startup = time.perf_counter() - ready, ready - begun
    found = {"startup": startup, "seconds": seconds, "results": results}
    path.with_suffix(".result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
