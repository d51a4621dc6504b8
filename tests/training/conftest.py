"""A tiny seeded encoder whose tokenizer truncates and pads, as the real base's does, and data."""

import json
from pathlib import Path

import pytest

WORDS = "good bad film plot anna paris acme visits in the a who where what does live works at . ?"


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *letters]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    backend.enable_truncation(128)
    backend.enable_padding(length=128)
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")
    }
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=64, model_input_names=names, **special
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def conll(tmp_path) -> Path:
    path = tmp_path / "ner.conll"
    sentences = [
        "Anna B-PER|visits O|Paris B-LOC|. O",
        "the O|film O|Acme B-ORG",
        "Anna B-PER|works O|at O|Acme B-ORG",
        "Paris B-LOC|in O|the O|film O",
    ]
    blocks = [sentence.replace("|", "\n") for sentence in sentences]
    path.write_text("-DOCSTART- O\n\n" + "\n\n".join(blocks) + "\n\n")
    return path


@pytest.fixture
def reviews(tmp_path) -> Path:
    path = tmp_path / "reviews.tsv"
    rows = ["a good film\t1", "the bad film\t0", "good plot\t1", "bad plot\t0"]
    path.write_text("sentence\tlabel\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def squad(tmp_path) -> Path:
    path = tmp_path / "qa.json"
    contexts = {"Anna works at Acme.": ("Acme", 14), "Anna visits Paris.": ("Paris", 12)}
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": context[:9],
                    "question": "where does Anna work?" if start == 14 else "what visits Anna?",
                    "answers": [{"text": text, "answer_start": start}],
                }
            ],
        }
        for context, (text, start) in contexts.items()
    ]
    path.write_text(json.dumps({"data": [{"title": "Anna", "paragraphs": paragraphs}]}))
    return path


@pytest.fixture
def tagged_reviews(tmp_path) -> Path:
    """Texts with any number of labels."""
    path = tmp_path / "tagged.jsonl"
    rows = {"a good film": ["film", "good"], "bad plot": ["plot"], "good plot": ["good", "plot"]}
    rows |= {"the bad film": ["film"], "what is the .": []}
    lines = [json.dumps({"sentence": text, "label": labels}) for text, labels in rows.items()]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def pairs(tmp_path) -> Path:
    path = tmp_path / "pairs.tsv"
    rows = ["a good film\tgood\t1", "a good film\tbad\t0", "bad plot\tbad\t1", "bad plot\tgood\t0"]
    path.write_text("sentence\tother\tlabel\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def stories(tmp_path) -> Path:
    path = tmp_path / "stories.jsonl"
    texts = [
        "Anna visits Paris. The film is good. Who works at Acme?",
        "Acme lives in the plot. What does Anna visit? A bad film.",
        "Where is Paris? Paris is in the film. Anna works.",
    ]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return path


@pytest.fixture
def recipe(tmp_path, base, conll, reviews, squad, tagged_reviews, pairs, stories):
    """A function that writes the recipe of the named tasks and returns its settings."""
    from bertpipe.training.settings import read_settings

    blocks = {
        "ner": ("token_classification", conll, ""),
        "sentiment": ("text_classification", reviews, 'text_field = "sentence"'),
        "qa": ("question_answering", squad, ""),
        "tags": ("text_classification", tagged_reviews, 'text_field = "sentence"'),
        "pairs": ("text_classification", pairs, 'text_field = "sentence"\npair_field = "other"'),
        "masks": ("masked_language_model", stories, ""),
        "next": ("next_sentence", stories, ""),
    }

    def write(*names: str, **overrides):
        lines = ["[paths]", f'base = "{base}"', f'output = "{tmp_path / "out"}"', "[training]"]
        lines += ["epochs = 3", "learning_rate = 3e-3", "batch_size = 2", "dropout = 0.0"]
        lines += ["attention_dropout = 0.0", 'precision = "fp32"', "[tasks]"]
        for name in names:
            kind, path, more = blocks[name]
            lines += [f"[tasks.{name}]", f'kind = "{kind}"', "max_length = 32", "stride = 8"]
            lines += ["multi_label = true"] if name == "tags" else []
            for part in ("train", "dev"):
                lines += [f"[tasks.{name}.{part}]", f"[tasks.{name}.{part}.file]"]
                lines += [f'path = "{path}"', more]
        recipe_path = tmp_path / "recipe.cfg"
        recipe_path.write_text("\n".join(lines))
        return read_settings(recipe_path, overrides)

    return write
