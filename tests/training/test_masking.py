from typing import Any

import numpy as np
import pytest
import torch
import transformers

from bertpipe.errors import ModelError
from bertpipe.testing import tiny_model
from bertpipe.testing.models import ARCHITECTURES
from bertpipe.training.base import load_tokenizer
from bertpipe.training.batches import Portion, TaskBatches, TaskFeatures, inputs, targets
from bertpipe.training.features import IGNORED, Encoder
from bertpipe.training.masking import Masker, hidden_output, predict_hidden


@pytest.fixture(scope="module")
def tokenizer(base):
    return load_tokenizer(base)


def test_of_all_tokens_15_percent_are_chosen_and_80_percent_of_them_masked(tokenizer):
    features = Encoder(tokenizer, 60, 0).plain(["good film plot anna paris " * 2000])
    mask = Masker(tokenizer, seed=1)
    n_tokens = n_chosen = n_masked = n_kept = 0
    for i, feature in enumerate(features):
        masked = mask(feature, str(i))
        for before, after, target in zip(feature.ids, masked.ids, masked.target, strict=True):
            n_tokens += before not in tokenizer.all_special_ids
            n_chosen += target != IGNORED
            n_masked += after == tokenizer.mask_token_id
            n_kept += target != IGNORED and after == before
            assert target in (IGNORED, before)
            assert target != IGNORED or after == before
            assert before not in tokenizer.all_special_ids or target == IGNORED
    assert n_chosen / n_tokens == pytest.approx(0.15, abs=0.015)
    assert n_masked / n_chosen == pytest.approx(0.8, abs=0.04)
    assert n_kept / n_chosen == pytest.approx(0.1, abs=0.03)


def test_every_window_hides_at_least_one_token(tokenizer):
    features = Encoder(tokenizer, 60, 0).plain(["good"] * 50)
    mask = Masker(tokenizer, seed=1)
    assert all(mask(f, str(i)).target[1] != IGNORED for i, f in enumerate(features))


def test_masks_follow_from_seed_epoch_and_window(tokenizer):
    portions = {"t": [Portion(Encoder(tokenizer, 20, 0).plain(["good film plot anna " * 9] * 4))]}

    def epoch(number, *, seed=1):
        features = TaskFeatures(portions, mask=Masker(tokenizer, seed=seed))
        batches = TaskBatches(portions, size=2, budget=100, seed=1, epochs=2)
        batches.set_epoch(number)
        found = {key[1]: features[key][1].ids for batch in batches for key in batch}
        return [found[i] for i in sorted(found)]

    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1)
    assert epoch(0) != epoch(0, seed=2)
    assert len({tuple(ids) for ids in epoch(0)}) > 4


def test_a_text_without_a_token_gives_no_window(tokenizer):
    assert len(Encoder(tokenizer, 20, 0).plain(["good", "\u200b\x00"])) == 1


def test_a_tokenizer_without_a_mask_is_refused(base):
    tokenizer = load_tokenizer(base)
    tokenizer.mask_token = None
    with pytest.raises(ModelError, match="has no mask token; give a base"):
        Masker(tokenizer, seed=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_head_that_reads_hidden_tokens_alone_has_the_same_loss(tmp_path, architecture):
    folder = tiny_model(tmp_path, task="fill_mask", architecture=architecture)
    model: Any = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenizer = load_tokenizer(folder)
    mask = Masker(tokenizer, seed=1)
    features = Encoder(tokenizer, 30, 0).plain(
        ["Angela Merkel met Barack Obama in Berlin. " * 5, "a"]
    )
    windows = [mask(feature, str(i)) for i, feature in enumerate(features)]
    tensors = {**inputs(windows, pad_id=tokenizer.pad_token_id), **targets(windows)}
    if architecture in ("distilbert", "roberta"):
        tensors["token_type_ids"].zero_()
    losses, gradients = [], []
    for output in (model(**tensors), hidden_output(model, **tensors)):
        model.zero_grad()
        output.loss.backward()
        losses.append(float(output.loss.detach()))
        gradients.append(model.get_input_embeddings().weight.grad.clone())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
    found = np.concatenate(predict_hidden(model, windows, budget=40, bf16=False))
    assert float(found[:, 0].mean()) == pytest.approx(losses[0], rel=1e-5)
