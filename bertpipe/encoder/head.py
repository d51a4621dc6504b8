"""The head of a model of transformers, apart from its base."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling


class HeadModule(nn.Module):
    """A model of transformers whose base is given its hidden states instead of computing them."""

    def __init__(self, model: Any, *, first_token: bool) -> None:
        super().__init__()
        self.first_token = first_token
        base = model.base_model
        stand_in = _Given(base)
        setattr(model, model.base_model_prefix, stand_in)
        self.given = stand_in.given
        self.model = model

    def forward(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n, width) to logits (n, n_scores) in fp32."""
        self.given.hidden = hidden[:, None] if self.first_token else hidden[None]
        output = self.model(input_ids=hidden.new_zeros(1, 1, dtype=torch.long))
        return read_output(output, "first" if self.first_token else "tokens")


class _Given(nn.Module):
    """Stands in for a base model: gives out the hidden states that it was handed."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.pooler = None if getattr(base, "pooler", None) is None else Pooler(base)
        self.given = threading.local()  # several threads may use a head at the same time

    def forward(self, *args: object, **kwargs: object) -> BaseModelOutputWithPooling:
        del args, kwargs
        hidden: Tensor = self.given.hidden
        pooled = None if self.pooler is None else self.pooler(hidden[:, 0])
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=pooled)


class Pooler(nn.Module):
    """The pooler of a base model, given first tokens alone."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.pooler = base.pooler
        self.activation = getattr(base, "pooler_activation", None)

    def forward(self, first: Tensor) -> Tensor:
        """Map (n_windows, width) to the same shape."""
        if self.activation is not None:  # ALBERT's pooler is a bare linear layer
            return self.activation(self.pooler(first))
        return self.pooler(first[:, None])


def read_output(output: Any, states: str) -> Tensor:
    """Return logits (n, n_scores) or hidden states (n, width) of the output for one window."""
    if "start_logits" in output:
        return torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1)
    if "logits" in output:
        return output.logits if states == "first" else output.logits[0]
    if states == "pooler":
        return output.pooler_output
    hidden = output.last_hidden_state[0]
    if states == "mean":
        return hidden.mean(0, keepdim=True)
    if states == "max":
        return hidden.amax(0, keepdim=True)
    return hidden[:1] if states == "first" else hidden
