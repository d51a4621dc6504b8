import json
import re
import shutil
from typing import Any

import pytest
import spacy
import torch
from safetensors.torch import load_file

from bertpipe.errors import ConfigError, CorpusError, ModelError
from bertpipe.evaluation.answers import WITHOUT
from bertpipe.evaluation.evaluate import Options
from bertpipe.evaluation.recipe import evaluate_recipe
from bertpipe.testing import tiny_model
from bertpipe.training.base import load_tokenizer, resolve_base, task_base
from bertpipe.training.batches import inputs
from bertpipe.training.card import put_scores, read_section
from bertpipe.training.loop import build_trunk, train
from bertpipe.training.run import run_recipe
from bertpipe.training.settings import LoopSettings
from bertpipe.training.tasks import load_task
from bertpipe.training.trunk import encoder_layers, n_parameters

pytestmark = pytest.mark.filterwarnings("default")


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_what_was_learned_is_found_by_a_spacy_pipeline(recipe):
    settings = recipe("ner", **{"training.epochs": 60})
    train(settings)
    nlp = spacy.blank("en")
    config = {"model": str(settings.output), "max_length": 32, "stride": 8}
    nlp.add_pipe("bert_ner", config=config)
    doc = nlp("Anna visits Paris.")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Anna", "PER"), ("Paris", "LOC")]


def test_several_tasks_share_one_encoder(recipe):
    settings = recipe("ner", "sentiment", "qa")
    train(settings)
    ner, sentiment, qa = (weights(settings.output / n) for n in ("ner", "sentiment", "qa"))
    common = [key for key in ner if key.startswith(("bert.embeddings.", "bert.encoder."))]
    assert len(common) > 30
    for key in common:
        assert torch.equal(ner[key], sentiment[key])
        assert torch.equal(ner[key], qa[key])
    assert "classifier.weight" in ner
    assert "qa_outputs.weight" in qa


@pytest.mark.parametrize(
    ("frozen", "changed"), [(None, 2), ("embeddings", 2), (1, 1), (2, 0), ("encoder", 0)]
)
def test_frozen_layers_stay_as_they_are(recipe, base, frozen, changed):
    settings = recipe("ner", **{"training.freeze_layers": frozen})
    train(settings)
    before, after = weights(base), weights(settings.output)
    layers = {
        key.split(".")[2]
        for key in before
        if key.startswith("encoder.layer.") and not torch.equal(before[key], after[f"bert.{key}"])
    }
    assert len(layers) == changed
    same = torch.equal(
        before["embeddings.word_embeddings.weight"],
        after["bert.embeddings.word_embeddings.weight"],
    )
    assert same == (frozen is not None)


def test_weights_of_frozen_names_stay_as_they_are_and_the_others_learn(recipe, base):
    settings = recipe("ner", **{"training.freeze_parameters": ["*embed*", "*.output.dense.weight"]})
    train(settings)
    before, after = weights(base), weights(settings.output)
    kept = {key for key in before if f"bert.{key}" in after}
    changed = {key for key in kept if not torch.equal(before[key], after[f"bert.{key}"])}
    assert "encoder.layer.0.attention.self.query.weight" in changed
    assert "encoder.layer.0.output.dense.bias" in changed
    assert not any("embed" in key or key.endswith("output.dense.weight") for key in changed)


def test_a_frozen_name_that_no_weight_has_is_refused(recipe):
    with pytest.raises(ConfigError, match=r"has '\*\.atention\.\*', which names no weight"):
        train(recipe("ner", **{"training.freeze_parameters": ["*.atention.*"]}))


def test_windows_that_the_base_does_not_take_are_refused(recipe):
    long = recipe("sentiment", **{"tasks.sentiment.max_length": 100})
    rows = ["good " * 200 + "\t1", "bad\t0"]
    long.tasks["sentiment"].train["file"].path.write_text("sentence\tlabel\n" + "\n".join(rows))
    message = (
        r"sentiment has windows of 100 tokens, and the base takes 64; set --tasks\.sentiment\."
    )
    with pytest.raises(ConfigError, match=message):
        train(long)


@pytest.mark.parametrize(("frozen", "drops_out"), [("encoder", False), (2, False), (1, True)])
def test_an_encoder_of_which_no_layer_learns_drops_nothing_out(recipe, base, frozen, drops_out):
    task = load_task(recipe("ner").tasks["ner"], load_tokenizer(base), seed=1)
    loop = LoopSettings(freeze_layers=frozen, dropout=0.5)
    trunk = build_trunk({"ner": task}, {"ner": base}, loop).train()
    model: Any = trunk.models["ner"]
    features = task.dev["file"].features[:2]
    tensors = inputs(features, pad_id=0)
    states = [model.base_model(**tensors).last_hidden_state for _ in range(2)]
    assert torch.equal(*states) != drops_out
    assert model.dropout.training


def test_too_many_frozen_layers_are_refused(recipe):
    with pytest.raises(ConfigError, match="freeze_layers is 3: use 0 to 2, embeddings or encoder"):
        train(recipe("ner", **{"training.freeze_layers": 3}))


def test_the_number_of_learning_parameters_is_counted(recipe, base):
    settings = recipe("ner")
    task = load_task(settings.tasks["ner"], load_tokenizer(base), seed=1)
    trunk = build_trunk({"ner": task}, {"ner": base}, LoopSettings(freeze_layers="encoder"))
    n_labels = 4
    learning, total = n_parameters(trunk)
    assert learning == 32 * n_labels + n_labels
    assert total > learning
    assert len(encoder_layers(trunk.models["ner"].base_model)) == 2  # type: ignore[arg-type]


def test_a_head_is_one_linear_layer_on_the_pooled_output_if_the_base_has_one(
    recipe, base, tmp_path
):
    task = load_task(recipe("sentiment").tasks["sentiment"], load_tokenizer(base), seed=1)
    bare = tiny_model(tmp_path / "bare", task="ner")
    for folder, n_learning in ((base, 32 * 2 + 2), (bare, 32 * 2 + 2 + 32 * 32 + 32)):
        loop = LoopSettings(freeze_layers="encoder")
        learning, _ = n_parameters(build_trunk({"a": task}, {"a": folder}, loop))
        assert learning == n_learning


def test_the_saved_tokenizer_neither_truncates_nor_pads(recipe, base):
    from transformers import AutoTokenizer

    saved = json.loads((base / "tokenizer.json").read_text())
    assert saved["truncation"]["max_length"] == 128
    settings = recipe("sentiment")
    train(settings)
    saved = json.loads((settings.output / "tokenizer.json").read_text())
    assert saved["truncation"] is None
    assert saved["padding"] is None
    tokenizer = AutoTokenizer.from_pretrained(settings.output)
    assert len(tokenizer.backend_tokenizer.encode("film " * 300)) == 302
    assert len(tokenizer.backend_tokenizer.encode("film")) == 3
    assert "max_length" not in json.loads((settings.output / "tokenizer_config.json").read_text())


def test_labels_are_sorted_and_stored(recipe):
    settings = recipe("sentiment", **{"tasks.sentiment.rename": {"1": "good", "0": "bad"}})
    train(settings)
    config = json.loads((settings.output / "config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good"}


def test_a_label_that_training_never_saw_is_refused(recipe, tmp_path):
    other = tmp_path / "other.conll"
    other.write_text("Anna B-NAME\n")
    with pytest.raises(CorpusError, match=r"other\.conll line 1 has the label 'B-NAME'"):
        train(recipe("ner", **{"tasks.ner.dev.file.path": str(other)}))


IOB1_FILE = "Anna I-PER\nvisits O\nParis I-LOC\n\nAnna I-PER\nAnna B-PER\n"


@pytest.mark.parametrize(
    ("to_iob2", "labels", "scheme", "is_told"),
    [
        (False, ["B-PER", "I-LOC", "I-PER", "O"], "IOB1", True),
        (True, ["B-LOC", "B-PER", "O"], "IOB2", False),
    ],
)
def test_iob1_is_recognised_and_told_and_can_become_iob2(
    recipe, conll, to_iob2, labels, scheme, is_told
):
    conll.write_text(IOB1_FILE)
    files = {f"tasks.ner.{part}.file.to_iob2": to_iob2 for part in ("train", "dev")}
    settings = recipe("ner", **files, **{"training.epochs": 1})
    said: list[str] = []
    train(settings, report=said.append)
    config = json.loads((settings.output / "config.json").read_text())
    assert config["tag_scheme"] == scheme
    assert list(config["label2id"]) == labels
    assert any("ner has tags of IOB1" in line for line in said) == is_told


@pytest.mark.parametrize(
    ("content", "scheme"), [(IOB1_FILE, "IOB1"), ("Anna B-PER\nAnna L-PER\nin O\n", "BILOU")]
)
def test_files_of_different_schemes_are_refused(recipe, tmp_path, content, scheme):
    other = tmp_path / "other.conll"
    other.write_text(content)
    message = rf"other\.conll line 1 has tags of {scheme}, and .*ner\.conll line 3 of IOB2; set to_"
    with pytest.raises(CorpusError, match=message):
        train(recipe("ner", **{"tasks.ner.dev.file.path": str(other)}))


def test_dev_questions_without_any_answer_are_refused(recipe, squad):
    content = json.loads(squad.read_text())
    for paragraph in content["data"][0]["paragraphs"]:
        for question in paragraph["qas"]:
            question["answers"] = []
    other = squad.with_name("none.json")
    other.write_text(json.dumps(content))
    with pytest.raises(CorpusError, match=r"none\.json has no question with an answer"):
        train(recipe("qa", **{"tasks.qa.dev.file.path": str(other)}))


def test_dev_questions_without_an_answer_count_and_evaluate_counts_them_alike(recipe, squad):
    content = json.loads(squad.read_text())
    content["data"][0]["paragraphs"][0]["qas"][0]["answers"] = []
    other = squad.with_name("some.json")
    other.write_text(json.dumps(content))
    paths = {f"tasks.qa.{part}.file.path": str(other) for part in ("train", "dev")}
    settings = recipe("qa", **paths, **{"training.epochs": 60})
    said: list[str] = []
    run_recipe(settings, command="bertpipe train recipe.cfg", report=said.append)
    (found,) = evaluate_recipe(str(settings.output), settings, Options())
    figures = ", ".join(f"{name} {value:.4f}" for name, value in found.scores.figures.items())
    assert f"qa on file: {figures}" in said
    assert found.scores.figures == {"exact_match": 1.0, "f1": 1.0}
    assert found.scores.rows[WITHOUT]["n"] == 1
    card = (settings.output / "README.md").read_text()
    assert "--threshold=0.5" in read_section(card, "Check the scores")[1]


def test_a_model_folder_is_no_trunk_whatever_lies_in_it(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "base")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    assert task_base(str(folder), "ner") == folder
    (folder / "config.json").rename(folder / "1_Pooling" / "config.json")
    assert task_base(str(folder), "ner") == folder / "1_Pooling"


def test_a_base_without_a_tokenizer_is_refused(recipe, base, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(base / name, bare)
    with pytest.raises(ModelError, match="bare has no tokenizer; put"):
        train(recipe("ner", **{"paths.base": str(bare)}))


def test_an_unknown_base_is_refused():
    with pytest.raises(ModelError, match="'no_such_model' is neither a folder nor an installed"):
        resolve_base("no_such_model")


def test_a_recipe_leaves_a_card_with_data_recipe_and_scores(recipe, tmp_path):
    settings = recipe("ner")
    lines: list[str] = []
    run_recipe(settings, command="bertpipe train recipe.cfg", report=lines.append)
    assert lines[0] == "ner learns from 4 records and is scored on 4."
    assert lines[1].endswith("parameters learn.")
    assert lines[-1] == f"ner is in {settings.output}"
    card = (settings.output / "README.md").read_text()
    assert "bertpipe train recipe.cfg" in card
    assert "(ner.conll): 4 records, each epoch" in card
    assert "| data | precision | recall | f1 |" in card
    assert "| batch_tokens | 2048 |" in card
    assert "bertpipe evaluate OUTPUT ner.conll --max-length=32 --stride=8" in card
    assert re.search(r"on \d+ CPU cores?", card)
    assert str(tmp_path) not in card
    for linked in re.findall(r"\]\((.*?)\)", card):
        assert (settings.output / linked).is_file()


def test_a_card_that_is_scored_again_says_on_what_and_by_which_command(recipe):
    settings = recipe("ner")
    run_recipe(settings, command="bertpipe train recipe.cfg", report=lambda line: None)
    card = settings.output / "README.md"
    before = card.read_text()
    put_scores(
        settings.output,
        {"other": {"f1": 0.5}},
        dev_lines=["- `other` (other.conll): 9 records, never trained on"],
        command="bertpipe evaluate out other.conll",
    )
    after = card.read_text()
    assert read_section(after, "Scores") == ["| data | f1 |", "| --- | --- |", "| other | 0.5000 |"]
    assert read_section(after, "Check the scores")[1] == "bertpipe evaluate out other.conll"
    assert read_section(after, "Data") == [
        "- `file` (ner.conll): 4 records, each epoch",
        "- `other` (other.conll): 9 records, never trained on",
    ]
    for title in ("Licence", "Recipe", "Training", "Limits"):
        assert read_section(after, title) == read_section(before, title)


def test_scores_are_added_to_a_card_that_has_none(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("# mine\n\nBy hand.\n")
    put_scores(tmp_path, {"dev": {"f1": 1.0}}, dev_lines=["- dev"], command="bertpipe evaluate")
    text = card.read_text()
    assert text.startswith("# mine\n\nBy hand.\n\n## Data\n- dev\n\n## Scores\n| data | f1 |\n")
    assert text.endswith("\n\n## Check the scores\n```sh\nbertpipe evaluate\n```\n")
