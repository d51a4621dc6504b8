"""Tiny models, each made once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest

from bertpipe.config import EncoderSettings
from bertpipe.testing import tiny_model

# Scores are compared with those of transformers, which computes in fp32 here.
ENCODER = EncoderSettings(device="cpu", precision="fp32", stride=8)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function from the settings of a tiny model to its folder."""

    @cache
    def make(task: str, architecture: str = "bert", **settings) -> str:
        folder: Path = tmp_path_factory.mktemp("model") / f"{architecture}-{task}"
        return str(tiny_model(folder, task=task, architecture=architecture, **settings))

    return make


def annotate(annotator, texts, **columns):
    """Annotate texts and return plain values."""
    batch = pa.record_batch({"text": pa.array(texts, pa.string()), **columns})
    found = annotator.annotate(batch)
    found.validate(full=True)
    return found.to_pylist()
