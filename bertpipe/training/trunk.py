"""One encoder under several heads, and how much of it learns."""

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from torch import nn

from bertpipe.errors import ConfigError
from bertpipe.training.masking import hidden_output

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Trunk(nn.Module):
    """Whole models by task name, all standing on the first one's embeddings and layers.

    masked: the tasks whose models are masked language models.
    """

    accepts_loss_kwargs = False  # the loss is the mean of a batch

    def __init__(
        self, models: Mapping[str, "PreTrainedModel"], *, masked: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.masked = masked
        self.models = nn.ModuleDict(models)
        first, *others = models.values()
        for model in others:
            share_encoder(first.base_model, model.base_model)
            model.tie_weights()  # a language model's head stands on the embeddings

    def train(self, mode: bool = True) -> Self:
        """Choose the mode; an encoder of which no layer learns drops nothing out.

        A head would learn from states that it never meets in use.
        """
        super().train(mode)
        for model in self.models.values():
            named: Any = model.base_model
            parts = [part for name, part in named.named_children() if name != "pooler"]
            if not any(each.requires_grad for part in parts for each in part.parameters()):
                for part in parts:
                    part.eval()
        return self

    def forward(self, task: str, **inputs: Any) -> Any:
        """Run one task's batch; the output has its loss."""
        model: Any = self.models[task]
        if task in self.masked:
            return hidden_output(model, **inputs)
        return model(**inputs)


def share_encoder(source: nn.Module, target: nn.Module) -> None:
    """Put the modules of `source` into `target`; poolers belong to heads and stay apart."""
    for name, module in source.named_children():
        if name != "pooler" and hasattr(target, name):
            setattr(target, name, module)


def encoder_layers(encoder: nn.Module) -> nn.ModuleList:
    """Return the list of transformer layers of any BERT-like encoder."""
    for module in encoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) > 0:
            return module
    raise ConfigError(f"{type(encoder).__name__} has no list of layers: freeze_layers needs one.")


def freeze(
    model: "PreTrainedModel",
    layers: int | Literal["embeddings", "encoder"] | None,
    *,
    new: Collection[str] = (),
) -> None:
    """Stop the embeddings and lower `layers` from learning; "encoder" stops all but the head.

    new: names of weights that the base did not have; a pooler among them is part of the head.
    """
    if layers is None:
        return
    encoder = model.base_model
    stack = encoder_layers(encoder)
    depth = {"embeddings": 0, "encoder": len(stack)}.get(layers, layers)  # type: ignore[arg-type]
    if not isinstance(depth, int) or not 0 <= depth <= len(stack):
        raise ConfigError(
            f"freeze_layers is {layers!r}: use 0 to {len(stack)}, embeddings or encoder."
        )
    frozen = [encoder.embeddings, *stack[:depth]]
    if layers == "encoder" and not any("pooler" in name for name in new):
        frozen += [encoder.pooler] if getattr(encoder, "pooler", None) is not None else []
    for module in frozen:
        module.requires_grad_(requires_grad=False)


def freeze_matching(model: nn.Module, patterns: Sequence[str]) -> None:
    """Stop the weights from learning whose names match one of `patterns`.

    patterns: shell wildcards over the names of weights, such as `*.intermediate.dense.weight`.
    """
    named = dict(model.named_parameters())
    for pattern in patterns:
        names = fnmatch.filter(named, pattern)
        if not names:
            raise ConfigError(
                f"training.freeze_parameters has {pattern!r}, which names no weight of the base; "
                f"names are such as {next(iter(named))}."
            )
        for name in names:
            named[name].requires_grad = False


def n_parameters(model: nn.Module) -> tuple[int, int]:
    """Return how many parameters learn, and how many there are."""
    sizes = [(p.requires_grad, p.numel()) for p in model.parameters()]
    return sum(n for learns, n in sizes if learns), sum(n for _, n in sizes)
