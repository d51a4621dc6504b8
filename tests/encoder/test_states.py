"""A bare encoder gives the states that transformers gives: of tokens, or one a window."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import transformers

from bertpipe.batching.plan import pack
from bertpipe.batching.tokens import tokenize
from bertpipe.batching.windows import Items, cut
from bertpipe.encoder.base import SharedRun, to_device
from bertpipe.encoder.load import STATES, LoadedModel, load
from bertpipe.errors import ModelError
from bertpipe.testing import ARCHITECTURES, TEXTS, tiny_model

READABLE = [text for text in TEXTS if text.strip() and len(text) < 100]
HAVE_POOLER = ("bert", "roberta", "albert")


def open_encoder(folder, states: str) -> LoadedModel:
    return load(folder, auto_class="AutoModel", states=states, device="cpu", precision="fp32")


@torch.inference_mode()
def states_of(loaded: LoadedModel, texts: list[str]) -> torch.Tensor:
    """Return the output of the encoder for texts, in their order, one window each."""
    tokens = tokenize(loaded.tokenizer, texts)
    items = Items(torch.arange(len(texts)).numpy())
    windows = cut(tokens, items, loaded.template, max_length=64, stride=0)
    batch = pack(torch.arange(len(texts)).numpy(), tokens, windows, loaded.template)
    return SharedRun([loaded.encoder])(to_device(batch, "cpu"))[0]


@torch.inference_mode()
def expected_states(folder, states: str) -> torch.Tensor:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    found = []
    for text in READABLE:
        output = model(**tokenizer(text, return_tensors="pt"))
        hidden = output.last_hidden_state[0]
        found.append(
            {
                "tokens": lambda hidden=hidden: hidden,
                "first": lambda hidden=hidden: hidden[:1],
                "mean": lambda hidden=hidden: hidden.mean(0, keepdim=True),
                "max": lambda hidden=hidden: hidden.max(0, keepdim=True).values,
                "pooler": lambda output=output: output.pooler_output,
            }[states]()
        )
    return torch.cat(found)


@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_states_are_those_of_transformers(tmp_path, architecture, states):
    folder = tiny_model(tmp_path / "model", task="encoder", architecture=architecture)
    if states == "pooler" and architecture not in HAVE_POOLER:
        with pytest.raises(ModelError, match="has no pooler; read other states"):
            open_encoder(folder, states)
        return
    found = states_of(open_encoder(folder, states), READABLE)
    torch.testing.assert_close(found, expected_states(folder, states), rtol=0, atol=2e-5)


def test_a_pooler_that_was_not_trained_is_not_read(tmp_path):
    folder = tiny_model(tmp_path / "model", task="ner")  # a tagger has none
    assert len(states_of(open_encoder(folder, "mean"), READABLE)) == len(READABLE)
    with pytest.raises(ModelError, match="has no pooler"):
        open_encoder(folder, "pooler")


def test_threads_that_use_a_head_together_do_not_mix_their_states(tmp_path):
    folder = tiny_model(tmp_path / "model", task="classifier", max_length=64)
    loaded = load(
        folder,
        auto_class="AutoModelForSequenceClassification",
        states="first",
        device="cpu",
        precision="fp32",
    )
    width = loaded.config.hidden_size
    states = [torch.full((200, width), float(i)) for i in range(8)]

    @torch.inference_mode()
    def scored(hidden: torch.Tensor) -> torch.Tensor:
        return torch.cat([loaded.head(hidden) for _ in range(20)])

    alone = [scored(hidden) for hidden in states]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(scored, states))
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other)
