"""Candidates for masked tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from bertpipe import (
    BertAnnotator,
    ConfigError,
    EncoderSettings,
    LoadedModel,
    ModelError,
    Windowed,
    check_range,
    list_of,
)
from bertpipe_fill_mask.masks import Filling, find_masks, search

if TYPE_CHECKING:
    from torch import Tensor

FILLS_TYPE = list_of(pa.struct([("token", pa.string()), ("score", pa.float32())]))
MASKS_TYPE = list_of(
    pa.struct(
        [("start", pa.int32()), ("end", pa.int32()), ("text", pa.string()), ("fills", FILLS_TYPE)]
    )
)
JOINT_TYPE = list_of(pa.struct([("tokens", list_of(pa.string())), ("score", pa.float32())]))


class BertFillMask(BertAnnotator):
    """Says what a masked language model would put where a text has its mask token.

    top_k: candidates for each mask. targets: the only tokens that count; None is all of them.
    joint: false gives every mask its own candidates, with all masks in place; true gives the best
        fillings of all masks of a text together, found from left to right.
    """

    auto_class = "AutoModelForMaskedLM"

    def __init__(
        self,
        name: str = "fill_mask",
        *,
        model: str,
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
        top_k: int = 5,
        targets: Sequence[str] | None = None,
        joint: bool = False,
    ) -> None:
        check_range(name, "top_k", top_k, least=1)
        super().__init__(name, model=model, revision=revision, encoder=encoder)
        self.type = JOINT_TYPE if joint else MASKS_TYPE
        self.top_k = top_k
        self.targets = targets
        self.joint = joint

    def make_head(self, loaded: LoadedModel) -> FillMaskHead:
        """Return the head of this annotator on a loaded model."""
        targets = None if self.targets is None else [self._target(one) for one in self.targets]
        return FillMaskHead(loaded, self.mask_id, top_k=self.top_k, targets=targets, owner=self)

    @property
    def mask_id(self) -> int:
        """Return the id of the model's mask token."""
        mask = self.loaded.mask_token
        if mask is None:
            raise ModelError(
                f"Model {self.model!r} of component {self.name!r} has no mask token; give a masked "
                "language model."
            )
        return int(self.loaded.tokenizer.token_to_id(mask))

    def _target(self, text: str) -> int:
        """Return the id of a target, given as it is in the vocabulary or as text."""
        tokenizer = self.loaded.tokenizer
        known = tokenizer.token_to_id(text)
        if known is not None:
            return int(known)
        found = tokenizer.encode(text, add_special_tokens=False)
        if len(found.ids) != 1 or found.tokens[0] == getattr(tokenizer.model, "unk_token", None):
            raise ConfigError(
                f"Component {self.name!r}: target {text!r} is no single token to model "
                f"{self.model!r}, which reads {' '.join(found.tokens)}."
            )
        return int(found.ids[0])

    def scored(self, ids: np.ndarray) -> np.ndarray:
        """Read masks alone."""
        return ids == self.mask_id

    def labels_of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return no labels, whatever the model's config says."""
        return ()


class FillMaskHead:
    """Scores masks by their best tokens: for each of them its id and its probability."""

    def __init__(
        self,
        loaded: LoadedModel,
        mask_id: int,
        *,
        top_k: int,
        targets: list[int] | None,
        owner: BertFillMask,
    ) -> None:
        n_tokens = loaded.tokenizer.get_vocab_size()
        self._n_fills = min(top_k, n_tokens if targets is None else len(targets))
        self.n_scores = 2 * self._n_fills
        self._module = loaded.head
        self._tokenizer = loaded.tokenizer
        self._mask_id = mask_id
        self._targets = targets
        self._owner = owner

    def scores(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n, width) to ids and probabilities by turns (n, 2 * n_fills)."""
        probabilities = self._module(hidden).softmax(-1)
        if self._targets is None:
            best, ids = probabilities.topk(self._n_fills)
        else:
            targets = torch.tensor(self._targets, device=hidden.device)
            best, which = probabilities[:, targets].topk(self._n_fills)
            ids = targets[which]
        return torch.stack([ids.to(best.dtype), best], dim=-1).flatten(1)

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the masks of each item with their candidates, or fillings of all its masks."""
        if self._owner.joint:
            fillings = search(
                windowed, self._mask_id, width=self._n_fills, score=self._owner.own_pass.score_one
            )
            return pa.array([[*map(self._joint, each)] for each in fillings], JOINT_TYPE)
        found: list[list[dict[str, Any]]] = [[] for _ in range(windowed.windows.n_items)]
        masks = find_masks(windowed, self._mask_id)
        tokens, texts = windowed.tokens, windowed.request.texts
        for item, token, row in zip(masks.item, masks.token, scores[masks.row], strict=True):
            start, end = int(tokens.starts[token]), int(tokens.ends[token])
            # The mask of a byte-level tokenizer has the space before it.
            text = texts[item][start:end].lstrip()
            fills = [{"token": self._text(i), "score": p} for i, p in row.reshape(-1, 2)]
            found[item].append({"start": end - len(text), "end": end, "text": text, "fills": fills})
        return pa.array(found, MASKS_TYPE)

    def _joint(self, filling: Filling) -> dict[str, Any]:
        score = float(np.exp(filling.log_probability))
        return {"tokens": [self._text(token) for token in filling.tokens], "score": score}

    def _text(self, token: float) -> str:
        return self._tokenizer.decode([int(token)], skip_special_tokens=False)
