"""Open a model folder with transformers: safetensors only, no code of the model's, no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from packaging.version import Version

from bertpipe.encoder.quiet import quiet
from bertpipe.errors import ModelError

TASKS = ("ForTokenClassification", "ForSequenceClassification", "ForQuestionAnswering")


def open_model(path: Path, auto_class: str) -> Any:
    """Return the model of a folder in fp32, with nothing in it that was not trained.

    Raises:
        ModelError: It does not open as this class, or says that it is for another task.
    """
    kind = getattr(transformers, auto_class)
    dtype = "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype"
    try:
        with quiet():
            model, report = kind.from_pretrained(
                path,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **{dtype: torch.float32},
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"The model at {path} does not open as {auto_class}: {reason}") from error
    missing = report["missing_keys"]
    if auto_class == "AutoModel" and all(key.startswith("pooler.") for key in missing):
        if missing:
            model.pooler = None  # it would be random
    elif missing:
        names = ", ".join(sorted(missing)[:3])
        raise ModelError(
            f"The model at {path} lacks weights of {auto_class} ({names}); it was not trained for "
            "this task. Give a fine-tuned model or another component."
        )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    _refuse_other_task(path, auto_class, model.config)
    return model.eval()


def _refuse_other_task(path: Path, auto_class: str, config: Any) -> None:
    """Refuse a model that says it was trained for another task, though its weights may fit."""
    wanted = auto_class.removeprefix("AutoModel")
    for name in config.architectures or ():
        if wanted in TASKS and name.endswith(TASKS) and not name.endswith(wanted):
            raise ModelError(
                f"The model at {path} is a {name}, wanted is one {wanted.replace('For', 'for ')}; "
                "give a model of that task or another component."
            )


def open_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a model folder."""
    try:
        return transformers.AutoTokenizer.from_pretrained(
            path, use_fast=True, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"The model at {path} has no tokenizer that opens: {error}") from error


# Their positions are counted from the one after the padding token's id.
POSITIONS_AFTER_PADDING = frozenset(
    {
        "roberta",
        "xlm-roberta",
        "camembert",
        "mpnet",
        "longformer",
        "data2vec-text",
        "xlm-roberta-xl",
    }
)


def window_limit(config: Any, tokenizer: Any) -> int:
    """Return the most tokens of a window: the positions that the encoder really has."""
    limit = getattr(config, "max_position_embeddings", 512)
    if config.model_type in POSITIONS_AFTER_PADDING:
        limit -= config.pad_token_id + 1
    return min(limit, tokenizer.model_max_length)
