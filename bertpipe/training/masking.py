"""Masked language models: which tokens are hidden, and the scores of these tokens alone.

A language model's head costs more than a small encoder, so it reads only the tokens that count.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from bertpipe.errors import ModelError
from bertpipe.training.batches import inputs, plan, targets
from bertpipe.training.features import IGNORED, Feature

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CHOSEN = 0.15  # of the tokens; of these 80 % are masked, 10 % replaced at random, 10 % kept
MAX_DRAWS = 100


class Masker:
    """Chooses the tokens to be found again by transformers' collator, as BERT was trained.

    Devlin et al. 2019, section 3.1. A window in which no token was chosen is drawn again, so that
    every window teaches something.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", *, seed: int) -> None:
        from transformers import DataCollatorForLanguageModeling

        if tokenizer.mask_token is None:
            raise ModelError(
                "The base's tokenizer has no mask token; give a base that has one, as BERT's have."
            )
        self._seed = seed
        self._collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=CHOSEN)

    def __call__(self, feature: Feature, key: str) -> Feature:
        """Return the window with masks and targets that follow from seed and `key`."""
        import torch

        for draw in range(MAX_DRAWS):
            seed = Random(f"{self._seed}/{key}/{draw}").getrandbits(62)
            self._collator.generator = torch.Generator().manual_seed(seed)
            ids, target = self._collator.torch_mask_tokens(torch.tensor([feature.ids]))
            if (target != IGNORED).any():
                break
        return replace(feature, ids=ids[0].tolist(), target=target[0].tolist())


def hidden_output(
    model: "PreTrainedModel", labels: "torch.Tensor", **tensors: "torch.Tensor"
) -> Any:
    """Run a masked language model; return loss and logits [1, hidden, vocabulary] of hidden tokens.

    labels: the hidden tokens [windows, tokens], -100 for all others.
    """
    is_hidden = labels != IGNORED
    with _only(model, is_hidden):
        return model(**tensors, labels=labels[is_hidden][None])


@contextmanager
def _only(model: "PreTrainedModel", chosen: "torch.Tensor") -> Iterator[None]:
    """Let the head read the chosen tokens [windows, tokens] alone."""

    def narrow(_: Any, __: Any, output: Any) -> Any:
        output["last_hidden_state"] = output["last_hidden_state"][chosen][None]
        return output

    handle = model.base_model.register_forward_hook(narrow)
    try:
        yield
    finally:
        handle.remove()


def predict_hidden(
    model: "PreTrainedModel", features: Sequence[Feature], *, budget: int, bf16: bool
) -> list[Any]:
    """Return the loss of each hidden token and whether it was found, batch by batch [hidden, 2]."""
    import torch

    training, found = model.training, []
    model.eval()
    pad_id = model.config.pad_token_id or 0
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        for batch in plan([len(feature.ids) for feature in features], budget=budget):
            windows = [features[i] for i in batch]
            tensors = {**inputs(windows, pad_id=pad_id), **targets(windows)}
            tensors = {name: tensor.to(model.device) for name, tensor in tensors.items()}
            gold = tensors["labels"][tensors["labels"] != IGNORED]
            logits = hidden_output(model, **tensors).logits[0].float()
            found.append(judge(logits, gold).cpu().numpy())
    model.train(training)
    return found


def judge(logits: "torch.Tensor", gold: "torch.Tensor") -> "torch.Tensor":
    """Return the loss of each hidden token and whether it was found [hidden, 2].

    logits: [hidden, vocabulary]. gold: token ids [hidden].
    """
    import torch
    from torch.nn.functional import cross_entropy

    losses = cross_entropy(logits, gold, reduction="none")
    return torch.stack([losses, (logits.argmax(-1) == gold).float()], 1)
