"""OpenVINO as the encoder of a CPU, an extra: the layers of `packed.py` as one padded graph.

The graph is made from the weights once and kept in a cache folder under their hash. Nothing of a
model is sent anywhere: the parts of OpenVINO and NNCF that report their use are not called.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bertpipe.batching.plan import pack
from bertpipe.batching.tokens import Template, tokenize
from bertpipe.batching.windows import Items, cut
from bertpipe.encoder.base import Encoder, Inputs, Stage, digest
from bertpipe.encoder.device import OPENVINO
from bertpipe.encoder.hf import mask_of, padded
from bertpipe.encoder.packed import Parts, activation, embeddings_of, parts_of

GRAPH = "encoder.xml"
# OpenVINO gets ready for each shape that it meets, which takes longer than some columns of padding.
LENGTH_STEP = 16
N_CALIBRATION_TOKENS = 256  # of a window; the texts are shorter


def openvino_encoder(
    base: Any, *, precision: str, first_token: bool, tokenizer: Any, template: Template
) -> Encoder:
    """Build the encoder of a model that has a packed one, for the threads of this process.

    precision: one of `OPENVINO`; int8 is quantised on the texts of `calibration.txt`.
    """
    import openvino

    parts = parts_of(base)
    assert parts is not None
    kind = "int8" if precision == "int8" else "float"
    name = f"{digest(base)}-{kind}-{version('openvino')}{'-first' if first_token else ''}"

    def make() -> Any:
        graph = _traced(_Padded(base, parts, first_token=first_token).eval())
        return graph if kind == "float" else _quantised(graph, tokenizer, template)

    with _cached(name, make, openvino.save_model) as path:
        compiled = openvino.Core().compile_model(path, "CPU", _options(precision))
    request = compiled.create_infer_request()

    def run(hidden: Tensor | None, inputs: Inputs) -> Tensor:
        del hidden
        mask = mask_of(inputs)
        mask = functional.pad(mask, (0, -mask.shape[1] % LENGTH_STEP))
        tokens = torch.stack([padded(inputs.ids, mask, 0), padded(inputs.types, mask, 0), mask])
        found = request.infer([tokens.numpy()], share_inputs=True, share_outputs=True)
        states = torch.from_numpy(found[0])  # which the next pass overwrites
        return states[:, 0].clone() if first_token else states[mask]

    stage = Stage(f"{name}/{precision}", run, n_layers=len(parts))
    return Encoder((stage,), "cpu", precision, "openvino")


def _options(precision: str) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": OPENVINO[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        # Workers are processes of their own: pinned, they would all sit on the first core.
        "ENABLE_CPU_PINNING": False,
    }


class _Padded(nn.Module):
    """The encoder on padded windows."""

    def __init__(self, base: Any, parts: list[Parts], *, first_token: bool) -> None:
        super().__init__()
        self.embeddings = embeddings_of(base)
        self.parts = parts
        self.first_token = first_token

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ids, types and mask, int64 (3, n_windows, length), to states.

        They are (n_windows, length, width), or (n_windows, 1, width) for first tokens.
        """
        ids, types, mask = tokens[0], tokens[1], tokens[2]
        positions = torch.arange(ids.shape[1])[None].expand_as(ids)
        hidden = self.embeddings.sum(ids, types, positions)
        bias = (mask[:, None, None] - 1).float() * 1e9
        for i, part in enumerate(self.parts):
            is_last = i == len(self.parts) - 1
            hidden = _layer(part, hidden, bias, only_first=self.first_token and is_last)
        return hidden


def _layer(part: Parts, hidden: Tensor, bias: Tensor, *, only_first: bool) -> Tensor:
    rows = hidden[:, :1] if only_first else hidden
    query, key, value = (
        states.unflatten(-1, (part.n_heads, -1)).transpose(1, 2)
        for states in (part.query(rows), part.key(hidden), part.value(hidden))
    )
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    rows = part.attention_norm(rows + part.attention_out(mixed.transpose(1, 2).flatten(2)))
    return part.norm(rows + part.down(activation(part.activation, compiled=False)(part.up(rows))))


def _traced(module: nn.Module) -> Any:
    """Return the graph of OpenVINO; `openvino.convert_model` does the same and reports its use."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.ones(3, 2, 16, dtype=torch.int64)
    example[1] = 0  # not every model has a second segment
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is going, its successor is not understood yet
        decoder = TorchScriptPythonDecoder(torch.jit.trace(module, example, check_trace=False))
    front_end = FrontEndManager().load_by_framework("pytorch")
    return front_end.convert(front_end.load(decoder))


def _quantised(graph: Any, tokenizer: Any, template: Template) -> Any:
    os.environ.setdefault("NNCF_CI", "1")  # it reports its use where this is not set
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import nncf

        windows = list(_calibration(tokenizer, template))
        return nncf.quantize(
            graph,
            nncf.Dataset(windows),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(windows),
        )


def _calibration(tokenizer: Any, template: Template) -> Iterator[np.ndarray]:
    """Yield ids, types and mask of windows, int64 (3, 1, length): each text, alone and in a pair.

    A head for pairs meets numbers that single texts do not have.
    """
    texts = Path(__file__).with_name("calibration.txt").read_text(encoding="utf-8").splitlines()
    tokens, every = tokenize(tokenizer, texts), np.arange(len(texts))
    firsts = tokenize(tokenizer, [text.partition(". ")[0] for text in texts])
    for items, prefixes in ((Items(every), None), (Items(every, np.roll(every, 1)), firsts)):
        windows = cut(
            tokens,
            items,
            template,
            max_length=N_CALIBRATION_TOKENS,
            stride=0,
            prefixes=prefixes,
        )
        for i in range(len(windows)):
            batch = pack(np.array([i]), tokens, windows, template, prefixes)
            yield np.stack([batch.ids, batch.types, np.ones_like(batch.ids)])[:, None]


@contextlib.contextmanager
def _cached(name: str, make: Callable[[], Any], save: Callable[..., None]) -> Iterator[Path]:
    """Give the file of a graph, made if it is not there; other workers wait meanwhile."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertpipe/openvino"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = Path(tempfile.mkdtemp(dir=root))
            try:
                save(make(), made / GRAPH, compress_to_fp16=False)
                made.rename(folder)
            finally:
                shutil.rmtree(made, ignore_errors=True)
        yield folder / GRAPH
