"""Find and open the encoder that a training starts from."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bertpipe.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LEFTOVERS = ("max_length", "stride", "truncation_strategy", "pad_to_multiple_of", "is_local")


def resolve_base(name: str) -> Path:
    """Return the folder of the base: a path, or an installed package that holds a model."""
    if (Path(name) / "config.json").is_file():
        return Path(name)
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    for root in (spec.submodule_search_locations or []) if spec else []:
        for weights in sorted(Path(root).rglob("*.safetensors")):
            if (weights.parent / "tokenizer.json").is_file():
                return weights.parent
    raise ModelError(
        f"The base {name!r} is neither a model folder nor an installed package that holds one: "
        "set paths.base."
    )


def task_base(name: str, task: str) -> Path:
    """Return the folder that one task starts from: its own in an earlier trunk, or the base.

    A task that is new to a trunk takes the encoder from the first of the others.
    """
    own = Path(name) / task
    if (own / "config.json").is_file():
        return own
    others = sorted(config.parent for config in Path(name).glob("*/config.json"))
    return others[0] if others else resolve_base(name)


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """Open a tokenizer that neither truncates nor pads, whatever its file says."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain(tokenizer)
    return tokenizer


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what transformers says about heads that are new and files it writes."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def plain(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Switch off truncation and padding, which a call may have left on and saving would keep."""
    for leftover in LEFTOVERS:
        tokenizer.init_kwargs.pop(leftover, None)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
