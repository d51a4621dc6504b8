"""`bertpipe evaluate` on models, runs and recipes."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

import bertpipe
from bertpipe.errors import ConfigError
from bertpipe.evaluation import gold
from bertpipe.evaluation.stored import choose_column
from bertpipe.records import NER_TYPE, SENTENCES_TYPE
from bertpipe.testing import TEXTS

TASKS = ("ner", "mood", "topics", "qa")
FIGURES = {
    "ner": {"precision", "recall", "f1"},
    "mood": {"accuracy", "macro_precision", "macro_recall", "macro_f1"},
    "topics": {"micro_f1", "macro_f1", "accuracy", "roc_auc"},
    "qa": {"exact_match", "f1"},
}
THRESHOLDS = {"topics": {"threshold": 0.5}, "qa": {"threshold": 0.0}}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_figures(evaluate, models, data, task):
    found = evaluate(models[task], data[task], "--max-length", 48, "--stride", 16)
    assert found["scores"]["figures"].keys() == FIGURES[task]
    assert found["scores"]["n_records"] == 10
    assert found["settings"] == {
        "max_length": 48,
        "stride": 16,
        "precision": "fp32",
        "device": "cpu",
        **THRESHOLDS.get(task, {}),
    }
    assert found["scores"]["calibration"]["error"] >= 0


def test_what_is_scored_is_what_annotate_finds(evaluate, models, data):
    rows = [json.loads(line) for line in data["mood"].read_text().splitlines()]
    overrides = {"components.mood.model": models["mood"]}
    found = bertpipe.annotate(
        rows,
        components=["mood=bert_classifier"],
        overrides=overrides,
        precision="fp32",
        max_length=48,
        stride=16,
    )
    right = [value["mood"]["label"] == row["label"] for value, row in zip(found, rows, strict=True)]
    scores = evaluate(models["mood"], data["mood"], "--max-length", 48, "--stride", 16)["scores"]
    assert scores["figures"]["accuracy"] == sum(right) / len(right)
    assert scores["n_mistakes"] == {"another class": 10 - sum(right)}


@pytest.mark.parametrize("task", ["ner", "topics", "qa"])
def test_scores_do_not_depend_on_the_batches(evaluate, models, data, task, monkeypatch):
    options = ["--find-threshold"] if task in ("topics", "qa") else []
    whole = evaluate(models[task], data[task], "--max-length", 48, "--stride", 16, *options)
    monkeypatch.setattr(gold, "BATCH_CHARS", 1)
    again = evaluate(models[task], data[task], "--max-length", 48, "--stride", 16, *options)
    assert again["scores"]["figures"] == pytest.approx(whole["scores"]["figures"], abs=1e-5)
    assert again["scores"]["n_mistakes"] == whole["scores"]["n_mistakes"]


RUNS = {
    "ner": ("bert_ner", ()),
    "mood": ("bert_classifier", ()),
    "topics": ("bert_classifier", ()),
    "qa": ("bert_qa", ("--components.found.question_field=question",)),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_finished_run_scores_as_its_model_does(call, evaluate, models, data, task, tmp_path):
    factory, more = RUNS[task]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in unlabelled(task, data[task])))
    run = ["run", corpus, "--components", f"found={factory}", "-o", tmp_path / "out", "--quiet"]
    run += [
        f"--components.found.model={models[task]}",
        "--run.stride=16",
        "--run.max_length=48",
        "--precision=fp32",
    ]
    assert call(*run, *more, "--workers", 0).exit_code == 0
    model = evaluate(models[task], data[task], "--max-length", 48, "--stride", 16)
    stored = evaluate(tmp_path / "out", "--gold", data[task])
    expected = model["in_text"] if task == "ner" else model["scores"]
    assert stored["scores"]["figures"] == pytest.approx(expected["figures"], abs=1e-5)
    assert stored["settings"] == {
        "column": "found",
        "rows_in_error": 0,
        **THRESHOLDS.get(task, {}),
    }


def unlabelled(task, path):
    if task == "ner":
        blocks = path.read_text().strip().split("\n\n")
        return [{"text": " ".join(x.split()[0] for x in block.split("\n"))} for block in blocks]
    if task == "qa":
        paragraphs = json.loads(path.read_text())["data"][0]["paragraphs"]
        return [{"text": p["context"], "question": p["qas"][0]["question"]} for p in paragraphs]
    return [{"text": json.loads(line)["text"]} for line in path.read_text().splitlines()]


def test_a_text_that_the_run_lacks_is_named(call, models, data, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"text": "one"}) + "\n")
    run = ["run", corpus, "--components", "mood=bert_classifier", "-o", tmp_path / "out", "--quiet"]
    call(*run, f"--components.mood.model={models['mood']}", "--workers", 0)
    result = call("evaluate", tmp_path / "out", "--gold", data["mood"])
    assert result.exit_code == 2
    assert "10 of 10 texts of" in result.output
    assert "are not in" in result.output


def test_a_label_that_the_model_lacks_is_named_with_the_cure(call, models, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("text,label\nsea,1\nland,good\n")
    result = call("evaluate", models["mood"], path)
    assert result.exit_code == 2
    assert "has the label '1', which model" in result.output
    assert "--rename 1=bad" in result.output
    assert call("evaluate", models["mood"], path, "--rename", "1=bad").exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give one of DATA, --gold FILE (of a run) and --recipe FILE."),
        (["{data}", "--baseline"], "--baseline and --train FILE"),
        (["{data}", "--only", "x"], "--only goes with --recipe"),
        (["{data}", "--rename", "x"], "'x' is no pair of labels; write OLD=NEW"),
        (["{data}", "--find-threshold"], "A threshold is for models that give any number"),
        (["{data}", "--data.par", "train"], "has no setting 'par'; did you mean part"),
        (["{data}", "--run.stride", "3"], "has no section 'run'"),
        (["{data}", "--component.pool", "max"], "has no setting 'pool'"),
        (["no.csv"], "no.csv does not exist"),
        (["{data}", "--json", "no/x.json"], "no is no folder; give another --json"),
        (
            ["{data}", "--task", "token_classification"],
            "has no 'spans' (it has text, label): set text_field and spans",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(call, models, data, options, message):
    result = call("evaluate", models["mood"], *[each.format(data=data["mood"]) for each in options])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_the_baseline_stands_beside_the_model(call, models, data, tmp_path):
    train = tmp_path / "train.csv"
    rows = [json.loads(line) for line in data["mood"].read_text().splitlines()]
    train.write_text("text,label\n" + "".join(f"{r['text']},{r['label']}\n" for r in rows))
    result = call("evaluate", models["mood"], data["mood"], "--baseline", "--train", train)
    assert result.exit_code == 0, result.output
    header, accuracy = result.output.splitlines()[2:4]
    assert header.split() == ["model", "baseline"]
    assert accuracy.split()[2] == "1.0000"  # it has seen the texts


def test_several_labels_have_a_baseline_too(evaluate, models, data):
    found = evaluate(models["topics"], data["topics"], "--baseline", "--train", data["topics"])
    assert found["baseline"]["figures"]["micro_f1"] == 1.0


def test_pairs_are_scored_through_the_plug_in(evaluate, models, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("one,two,label\nAngela,Merkel,good\nthe sea,Berlin,bad\n")
    options = ["--text-field=one", "--pair-field=two"]
    found = evaluate(models["mood"], path, *options)
    assert found["scores"]["n_records"] == 2


def test_spans_of_characters_are_scored_as_they_are(evaluate, models, tmp_path):
    path = tmp_path / "spans.jsonl"
    text = "Angela Merkel (Berlin) likes the sea."
    spans = [{"start": 0, "end": 13, "label": "PER"}, {"start": 15, "end": 21, "label": "LOC"}]
    path.write_text(json.dumps({"text": text, "spans": spans}) + "\n")
    found = evaluate(models["ner"], path)
    assert "in_text" not in found
    assert {name: row["n"] for name, row in found["scores"]["rows"].items()} == {"LOC": 1, "PER": 1}


def test_a_missing_package_is_named_with_the_cure(call, models, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "seqeval", None)  # as if it were not installed
    result = call("evaluate", models["mood"], data["mood"])
    assert result.exit_code == 2
    assert "Evaluating needs seqeval" in result.output


@pytest.mark.parametrize("task", ["mood", "ner"])
def test_odd_texts_are_scored_like_others(evaluate, models, tmp_path, task):
    path = tmp_path / "odd.jsonl"
    labels: dict[str, dict[str, Any]] = {"mood": {"label": "good"}, "ner": {"spans": []}}
    path.write_text("".join(json.dumps({"text": text, **labels[task]}) + "\n" for text in TEXTS))
    scores = evaluate(models[task], path, "--max-length", 48, "--stride", 16)["scores"]
    assert scores["n_records"] == len(TEXTS)


def test_only_what_can_be_scored_is_taken_for_what_is_meant():
    types = {"sents": SENTENCES_TYPE, "sm": pa.struct([("ents", NER_TYPE)])}
    several: Any = SimpleNamespace(folder="out", schema=pa.schema({**types, "ner": NER_TYPE}))
    assert choose_column(several, None) == ("ner", "token_classification")
    none: Any = SimpleNamespace(folder="out", schema=pa.schema(types))
    with pytest.raises(ConfigError, match=r"out has no entities, .*; it has sents, sm\.ents"):
        choose_column(none, None)


def test_an_output_without_gold_is_named(call, data, tmp_path):
    (tmp_path / "out/_bertpipe").mkdir(parents=True)
    result = call("evaluate", tmp_path / "out", data["mood"])
    assert result.exit_code == 2
    assert "is the output of a run; give the labelled file with --gold" in result.output


def test_a_recipe_says_how_its_dev_files_are_scored(call, evaluate, models, data, tmp_path):
    recipe = tmp_path / "recipe.cfg"
    lines = ["[paths]", "base = null", f'output = "{tmp_path / "out"}"', "[tasks]"]
    for task, kind in (("mood", "text_classification"), ("ner", "token_classification")):
        lines += [f"[tasks.{task}]", f'kind = "{kind}"', "max_length = 32", "stride = 8"]
        for part in ("train", "dev"):
            lines += [f"[tasks.{task}.{part}]", f"[tasks.{task}.{part}.file]"]
            lines += [f'path = "{data[task]}"']
    recipe.write_text("\n".join(lines))
    result = call("evaluate", models["mood"], "--recipe", recipe)
    assert result.exit_code == 2
    assert "several tasks (mood, ner)" in result.output
    (found,) = evaluate(models["mood"], "--recipe", recipe, "--only", "mood")
    assert (found["settings"]["max_length"], found["settings"]["stride"]) == (32, 8)
    alone = evaluate(models["mood"], data["mood"], "--max-length", 32, "--stride", 8)
    assert found["scores"] == alone["scores"]
    missing = call("evaluate", models["mood"], "--recipe", recipe, "--only", "mood", "--card")
    assert missing.exit_code == 2
    assert "There is no card" in missing.output
    card = Path(models["mood"]) / "README.md"
    card.write_text("# mood\n\n## Scores\n\n## Limits\nnone\n")
    more = ["--only", "mood", "--max-length", 32, "--rename", "x=y", "--tasks.mood.stride=8"]
    again = call("evaluate", models["mood"], "--recipe", recipe, *more, "--card", "--mistakes", 0)
    assert again.exit_code == 0
    accuracy = alone["scores"]["figures"]["accuracy"]
    text = card.read_text()
    assert f"| file | {accuracy:.4f} |" in text
    assert "- `file` (mood.jsonl): 10 records, never trained on\n" in text
    (command,) = [line for line in text.split("\n") if line.startswith("bertpipe evaluate")]
    assert command == (
        "bertpipe evaluate mood --recipe recipe.cfg --only mood --rename x=y --max-length 32 "
        "--tasks.mood.stride=8"
    )
    words = [{"mood": models["mood"], "recipe.cfg": str(recipe)}.get(w, w) for w in command.split()]
    words[words.index("--only") + 1] = "mood"
    (found,) = evaluate(*words[2:])
    assert found["scores"]["figures"] == alone["scores"]["figures"]


@pytest.mark.parametrize("option", ["--stride", "--limit", "--text-field"])
def test_what_a_recipe_says_is_not_said_by_an_option(call, tmp_path, option):
    recipe = tmp_path / "recipe.cfg"
    recipe.touch()
    result = call("evaluate", "mood", "--recipe", recipe, option, "8")
    assert result.exit_code == 2
    assert f"{option} is not for --recipe, which says it" in result.output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "text,label\nfine,good\nx,\n",
            "line 3 has '' in 'label'; correct it, or leave the row out.",
        ),
        (
            "body,mood\nx,y\n",
            "line 2 has no 'text' (it has body, mood): set text_field, pair_field",
        ),
        ("", "x.csv holds no record to use: look into it, and check part, held_out and limit."),
    ],
)
def test_a_table_without_a_text_or_a_label_is_named(call, models, tmp_path, content, told):
    path = tmp_path / "x.csv"
    path.write_text(content)
    result = call("evaluate", models["mood"], path)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


def test_it_is_said_that_every_question_was_answered(call, models, data):
    told = "every question was answered; with --threshold 0.5"
    assert told in call("evaluate", models["qa"], data["qa"]).output
    for option in ("--threshold", "--component.no_answer_threshold"):
        assert told not in call("evaluate", models["qa"], data["qa"], option, "0.4").output


@pytest.mark.parametrize(
    ("task", "setting"), [("qa", "no_answer_threshold"), ("topics", "threshold")]
)
def test_the_threshold_of_the_component_is_the_one_that_is_told(
    evaluate, models, data, task, setting
):
    own = evaluate(models[task], data[task], f"--component.{setting}=0.4")
    assert own["settings"]["threshold"] == 0.4
    asked = evaluate(models[task], data[task], "--threshold=0.4")
    assert asked == own
