"""Any AutoModel as an encoder of one stage: padded, nothing clever."""

from typing import Any

import torch
from torch import Tensor

from bertpipe.encoder.base import Encoder, Inputs, Stage, digest


def hf_encoder(base: Any, *, device: str, precision: str, first_token: bool) -> Encoder:
    """Wrap a model of transformers; it sees padded batches and gives packed hidden states."""
    base = base.to(device).eval()
    kind = device.partition(":")[0]
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    takes_types = getattr(base.config, "type_vocab_size", 0) > 1

    def run(hidden: Tensor | None, inputs: Inputs) -> Tensor:
        del hidden
        mask = mask_of(inputs)
        arguments = {
            "input_ids": padded(inputs.ids, mask, base.config.pad_token_id or 0),
            "attention_mask": mask.long(),
        }
        if takes_types:
            arguments["token_type_ids"] = padded(inputs.types, mask, 0)
        with torch.autocast(kind, half or torch.bfloat16, enabled=half is not None):
            states = base(**arguments).last_hidden_state.float()
        return states[:, 0] if first_token else states[mask]

    suffix = "/first" if first_token else ""
    key = f"{digest(base)}/{device}/{precision}{suffix}"
    n_layers = getattr(base.config, "num_hidden_layers", 1)
    return Encoder((Stage(key, run, n_layers),), device, precision, "hf")


def mask_of(inputs: Inputs) -> Tensor:
    """Return which places of the padded windows hold tokens, bool (n_windows, longest)."""
    lengths = torch.tensor(inputs.lengths, device=inputs.ids.device)
    return torch.arange(max(inputs.lengths), device=inputs.ids.device) < lengths[:, None]


def padded(packed: Tensor, mask: Tensor, value: int) -> Tensor:
    """Return packed values (n_tokens,) in their places, `value` in the others."""
    found = packed.new_full(mask.shape, value)
    found[mask] = packed
    return found
