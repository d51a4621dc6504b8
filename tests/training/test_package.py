"""The embedded models as they ship: they open through transformers and know their task."""

import json
from configparser import ConfigParser
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "plugins/bertpipe-en-mini"
FOLDER = PLUGIN / "bertpipe_en_mini"
NAMES = ("en_ner_mini", "en_sentiment_mini", "en_qa_mini", "en_nli_mini")


def opened(name, auto):
    from transformers import AutoTokenizer

    folder = FOLDER / name
    return AutoTokenizer.from_pretrained(folder), auto.from_pretrained(folder)


def test_every_model_has_an_entry_point_that_leads_to_its_folder():
    config = ConfigParser()
    config.read(PLUGIN / "setup.cfg")
    lines = config["options.entry_points"]["bertpipe_models"].split("\n")
    assert lines[1:] == [f"{name} = bertpipe_en_mini:{name}" for name in NAMES]
    assert all((FOLDER / name / "config.json").is_file() for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_tokenizer_neither_truncates_nor_pads(name):
    tokenizer = json.loads((FOLDER / name / "tokenizer.json").read_text())
    assert tokenizer["truncation"] is None
    assert tokenizer["padding"] is None


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_and_lower_layers_are_stored_once(name):
    index = json.loads((FOLDER / name / "model.safetensors.index.json").read_text())
    shared = {key for key, file in index["weight_map"].items() if file.startswith("../shared/")}
    assert "bert.embeddings.word_embeddings.weight" in shared
    assert {key.split(".")[3] for key in shared if ".layer." in key} >= set("0123")
    assert (FOLDER / name / "own.safetensors").stat().st_size < 8_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_data_licence_command_scores_and_limits(name):
    card = (FOLDER / name / "README.md").read_text()
    for heading in ("Data", "Licence", "Recipe", "Scores", "Limits"):
        assert f"\n## {heading}\n" in card
    assert "bertpipe train configs/train/" in card


def test_the_ner_model_finds_people_and_places():
    import torch
    from transformers import AutoModelForTokenClassification

    tokenizer, model = opened("en_ner_mini", AutoModelForTokenClassification)
    tokens = tokenizer("Angela Merkel visited Paris.", return_tensors="pt")
    with torch.inference_mode():
        found = model(**tokens).logits[0].argmax(-1).tolist()
    labels = [model.config.id2label[i] for i in found]
    words = tokens.word_ids()
    assert labels[words.index(0)] == "B-PER"
    assert labels[words.index(3)] == "B-LOC"


def test_the_sentiment_model_tells_good_from_bad():
    import torch
    from transformers import AutoModelForSequenceClassification

    tokenizer, model = opened("en_sentiment_mini", AutoModelForSequenceClassification)
    texts = ["A warm and funny film.", "A dull, lifeless mess."]
    with torch.inference_mode():
        found = model(**tokenizer(texts, return_tensors="pt", padding=True)).logits.argmax(-1)
    assert [model.config.id2label[i] for i in found.tolist()] == ["positive", "negative"]


def test_the_qa_model_finds_an_answer():
    import torch
    from transformers import AutoModelForQuestionAnswering

    tokenizer, model = opened("en_qa_mini", AutoModelForQuestionAnswering)
    context = "The bridge was opened in 1932 and is painted grey."
    tokens = tokenizer("When was the bridge opened?", context, return_tensors="pt")
    with torch.inference_mode():
        output = model(**tokens)
    start = tokens.token_to_chars(int(output.start_logits.argmax())).start
    end = tokens.token_to_chars(int(output.end_logits.argmax())).end
    assert "1932" in context[start:end]


def test_the_nli_model_tells_what_follows_from_what_contradicts():
    import torch
    from transformers import AutoModelForSequenceClassification

    tokenizer, model = opened("en_nli_mini", AutoModelForSequenceClassification)
    premise = "A man is playing a guitar on stage."
    hypotheses = ["A man is making music.", "Nobody is playing an instrument."]
    pairs = tokenizer([premise] * 2, hypotheses, return_tensors="pt", padding=True)
    with torch.inference_mode():
        found = model(**pairs).logits.argmax(-1)
    assert [model.config.id2label[i] for i in found.tolist()] == ["entailment", "contradiction"]
