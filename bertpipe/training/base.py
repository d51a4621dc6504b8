"""Find and open the encoder that a training starts from."""

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bertpipe.encoder.resolve import resolve
from bertpipe.errors import ConfigError, ModelError
from bertpipe.training.settings import LoopSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DROPOUTS = {
    "dropout": ("hidden_dropout_prob", "dropout", "mlp_dropout"),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout"),
}
VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
)
LEFTOVERS = ("max_length", "stride", "truncation_strategy", "pad_to_multiple_of", "is_local")


def resolve_base(name: str) -> Path:
    """Return the folder of the base: a path, an installed package that holds a model, or the hub's.

    Raises:
        ModelError: It is nothing of these, or not safe to load.
    """
    if (Path(name) / "config.json").is_file():
        resolve(name)
        return Path(name)
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    for root in (spec.submodule_search_locations or []) if spec else []:
        for weights in sorted(Path(root).rglob("*.safetensors")):
            if (weights.parent / "tokenizer.json").is_file():
                resolve(str(weights.parent))
                return weights.parent
    return resolve(name).path


def task_base(name: str, task: str) -> Path:
    """Return the folder that one task starts from: its own in an earlier trunk, or the base.

    A task that is new to a trunk takes the encoder from the first of the others. A folder that is a
    model itself is no trunk, whatever lies in it.
    """
    own = Path(name) / task
    if (own / "config.json").is_file():
        return own
    if not (Path(name) / "config.json").is_file():
        for config in sorted(Path(name).glob("*/config.json")):
            return config.parent
    return resolve_base(name)


def dropout_settings(folder: Path, loop: LoopSettings) -> dict[str, float]:
    """Return the dropouts that a recipe sets, under the names that the base's config has."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = {}
    for setting, names in DROPOUTS.items():
        value = getattr(loop, setting)
        if value is None:
            continue
        name = next((name for name in names if name in config), None)
        if name is None:
            raise ConfigError(
                f"training.{setting} is set, but the base {folder} has no such thing."
            )
        found[name] = value
    return found


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """Open a tokenizer that neither truncates nor pads, whatever its file says."""
    from transformers import AutoTokenizer

    # transformers would make an empty one.
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise ModelError(f"The base {folder} has no tokenizer; put its tokenizer.json there.")
    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    plain(tokenizer)
    return tokenizer


def plain(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Switch off truncation and padding, which a call may have left on and saving would keep."""
    for leftover in LEFTOVERS:
        tokenizer.init_kwargs.pop(leftover, None)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
