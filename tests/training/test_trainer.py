"""What the optimizer, the losses and the callbacks do."""

import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState

from bertpipe.errors import BertpipeError, ConfigError
from bertpipe.training.base import dropout_settings, load_tokenizer
from bertpipe.training.batches import Portion
from bertpipe.training.callbacks import Moment, Watch, is_out_of_patience, is_over
from bertpipe.training.features import Feature
from bertpipe.training.loop import build_trunk, train
from bertpipe.training.loss import amount, class_weights, loss_of
from bertpipe.training.settings import LoopSettings
from bertpipe.training.tasks import load_task
from bertpipe.training.trainer import TaskTrainer, choose

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def trainer(recipe, base):
    """A function that makes the trainer of one task, with settings."""

    def make(name: str, **overrides) -> TaskTrainer:
        settings = recipe(name, **overrides)
        tokenizer = load_tokenizer(base)
        tasks = {name: load_task(settings.tasks[name], tokenizer, seed=1)}
        trunk = build_trunk(tasks, {name: base}, settings.training)
        chosen = choose(settings.training, trunk)
        return TaskTrainer(
            trunk=trunk,
            tasks=tasks,
            tokenizer=tokenizer,
            settings=settings,
            chosen=chosen,
            progress=None,
        )

    return make


def test_weight_decay_is_for_all_but_biases_and_layer_norms(trainer):
    made = trainer("sentiment")
    optimizer = made.create_optimizer()
    names = {id(parameter): name for name, parameter in made.trunk.named_parameters()}
    decayed, others = (
        {names[id(parameter)] for parameter in group["params"]} for group in optimizer.param_groups
    )
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]
    assert decayed | others == set(names.values())
    assert all(name.endswith("bias") or "LayerNorm" in name for name in others)
    assert not any(name.endswith("bias") or "LayerNorm" in name for name in decayed)
    assert any("word_embeddings" in name for name in decayed)


@pytest.mark.parametrize("name", ["ner", "sentiment", "qa"])
def test_the_pieces_of_a_batch_give_the_gradient_of_the_whole(trainer, name):
    whole = trainer(name, **{"training.batch_size": 4, "training.batch_tokens": 1000})
    pieces = trainer(name, **{"training.batch_size": 4, "training.batch_tokens": 1})
    pieces.trunk.load_state_dict(whole.trunk.state_dict())
    losses = []
    for made, n_pieces in ((whole, 1), (pieces, len(pieces.features))):
        (batch,) = made.get_train_dataloader()
        assert len(batch["pieces"]) == n_pieces
        losses.append(float(made.training_step(made.trunk, batch)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for one, other in zip(whole.trunk.parameters(), pieces.trunk.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_a_training_has_the_same_weights_twice(recipe, tmp_path):
    settings = recipe("ner", **{"training.dropout": 0.1})
    train(settings)
    again = recipe("ner", **{"training.dropout": 0.1, "paths.output": str(tmp_path / "again")})
    train(again)
    first, second = (load_file(s.output / "model.safetensors") for s in (settings, again))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_balanced_weights_let_each_label_count_alike(recipe, base, reviews):
    reviews.write_text("sentence\tlabel\n" + "good film\tgood\n" * 6 + "bad film\tbad\n" * 2)
    task = load_task(recipe("sentiment").tasks["sentiment"], load_tokenizer(base), seed=1)
    found = class_weights({"sentiment": task}, LoopSettings(class_weights="balanced"))
    assert task.labels == ("bad", "good")
    torch.testing.assert_close(found["sentiment"], torch.tensor([8 / 4, 8 / 12]))


def test_words_without_a_label_have_no_part_in_balanced_weights(recipe, base):
    task = load_task(recipe("ner").tasks["ner"], load_tokenizer(base), seed=1)
    (found,) = class_weights({"ner": task}, LoopSettings(class_weights="balanced")).values()
    counts = {"B-LOC": 2, "B-ORG": 2, "B-PER": 2, "O": 9}
    expected = {label: 15 / (4 * n) for label, n in counts.items()}
    by_label = dict(zip(task.labels, found.tolist(), strict=True))
    assert {label: by_label[label] for label in counts} == pytest.approx(expected)


def test_of_several_labels_having_one_counts_as_much_as_not_having_it(recipe, base):
    task = load_task(recipe("sentiment").tasks["sentiment"], load_tokenizer(base), seed=1)
    targets = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    windows = [Feature([2, 3], [0, 0], target, i) for i, target in enumerate(targets)]
    several = replace(task, labels=("a", "b", "c"), train=[Portion(windows, passes=2.0)])
    (found,) = class_weights({"x": several}, LoopSettings(class_weights="balanced")).values()
    assert found.tolist() == pytest.approx([1 / 3, 3.0, 1.0])


def test_a_loss_of_several_labels_weighs_having_one():
    logits, labels = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    weights = torch.tensor([3.0, 5.0])
    output, piece = SimpleNamespace(logits=logits), {"labels": labels, "input_ids": labels}
    found = loss_of(output, piece, weights=weights, smoothing=0.0)
    yes, no = -logits.sigmoid().log(), -(1 - logits.sigmoid()).log()
    assert float(found) == pytest.approx(float(3 * yes[0, 0] + no[0, 1]) / 2)
    soft = loss_of(output, piece, weights=None, smoothing=0.2)
    each = torch.stack([0.9 * yes[0, 0] + 0.1 * no[0, 0], 0.1 * yes[0, 1] + 0.9 * no[0, 1]])
    assert float(soft) == pytest.approx(float(each.mean()))
    assert float(amount(piece, weights=weights)) == 1


def test_weights_by_label_are_put_in_the_order_of_the_labels(recipe, base):
    task = load_task(recipe("ner").tasks["ner"], load_tokenizer(base), seed=1)
    found = class_weights({"ner": task}, LoopSettings(class_weights={"O": 0.5, "B-PER": 3}))
    by_label = dict(zip(task.labels, found["ner"].tolist(), strict=True))
    assert (by_label["B-PER"], by_label["O"], by_label["B-LOC"]) == (3, 0.5, 1)
    with pytest.raises(ConfigError, match="has the label 'PER', which no task has; use some of B-"):
        class_weights({"ner": task}, LoopSettings(class_weights={"PER": 3}))
    with pytest.raises(ConfigError, match="gives 'O' the weight 0; give a number above 0"):
        class_weights({"ner": task}, LoopSettings(class_weights={"O": 0}))


@pytest.mark.parametrize("setting", [{"class_weights": "balanced"}, {"label_smoothing": 0.1}])
def test_what_is_for_labels_is_refused_where_there_are_none(recipe, base, setting):
    task = load_task(recipe("qa").tasks["qa"], load_tokenizer(base), seed=1)
    with pytest.raises(ConfigError, match="is set, but no task has labels; leave it out"):
        class_weights({"qa": task}, LoopSettings(**setting))


def test_a_weighted_loss_is_the_mean_by_weight():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    labels, weights = torch.tensor([0, 1, 0]), torch.tensor([1.0, 3.0])
    each = -logits.log_softmax(-1)[range(3), labels]
    output, piece = SimpleNamespace(logits=logits), {"labels": labels}
    found = loss_of(output, piece, weights=weights, smoothing=0.0)
    assert float(found) == pytest.approx(float((each * weights[labels]).sum() / 5))
    assert float(amount(piece, weights=weights)) == 5


def test_a_smoothed_loss_gives_the_other_labels_their_share():
    logits, labels = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([0])
    each = -logits.log_softmax(-1)[0]
    output, piece = SimpleNamespace(logits=logits), {"labels": labels}
    found = loss_of(output, piece, weights=None, smoothing=0.3)
    assert float(found) == pytest.approx(float(0.7 * each[0] + 0.3 * each.mean()))


@pytest.mark.parametrize(
    ("setting", "rate"), [({}, 5e-5), ({"freeze_layers": "encoder"}, 1e-2), (None, 3e-3)]
)
def test_the_learning_rate_follows_from_the_model_unless_it_is_set(trainer, setting, rate):
    made = trainer("sentiment")
    loop = LoopSettings(learning_rate=3e-3) if setting is None else LoopSettings(**setting)
    assert choose(loop, made.trunk).learning_rate == rate


def test_dropout_is_set_under_the_name_that_the_base_has(tmp_path, base):
    loop = LoopSettings(dropout=0.2)
    assert dropout_settings(base, loop) == {"hidden_dropout_prob": 0.2}
    (tmp_path / "config.json").write_text('{"dropout": 0.1}')
    assert dropout_settings(tmp_path, loop) == {"dropout": 0.2}
    with pytest.raises(
        ConfigError, match=r"training\.attention_dropout is set, but the base .* no"
    ):
        dropout_settings(tmp_path, LoopSettings(attention_dropout=0.0))


@pytest.mark.parametrize(
    ("scores", "is_out"),
    [([], False), ([0.5, 0.4], False), ([0.5, 0.4, 0.5], True), ([0.5, 0.4, 0.6], False)],
)
def test_patience_counts_evaluations_since_the_best(scores, is_out):
    history = [{"loss": 1.0}, *({"eval_score": score} for score in scores)]
    assert is_out_of_patience(history, 2) == is_out
    assert not is_out_of_patience(history, None)
    state = TrainerState(global_step=3, max_steps=9, log_history=history)
    assert is_over(state, patience=2) == is_out
    assert is_over(TrainerState(global_step=9, max_steps=9), patience=None)


def test_a_training_stops_when_the_score_gets_no_better(recipe):
    settings = recipe(
        "sentiment", **{"training.epochs": 40, "training.patience": 3, "training.evaluations": 1}
    )
    trained = train(settings)
    steps = [entry["step"] for entry in trained.history if "eval_score" in entry]
    assert trained.best_step < steps[-1] < trained.n_steps
    assert len(steps) - 1 - steps.index(trained.best_step) == 3


def test_a_training_that_goes_on_tells_the_loss_and_score_it_had():
    moments: list[Moment] = []
    history = [{"loss": 0.5}, {"eval_score": 0.8}, {"loss": 0.4}]
    state = TrainerState(global_step=7, max_steps=9, log_history=history)
    watch, control = Watch(moments.append), TrainerControl()
    watch.on_train_begin(None, state, control)  # type: ignore[arg-type]
    assert moments == [Moment(7, 9, loss=0.4, score=0.8)]


def test_a_loss_that_is_no_number_ends_the_training():
    watch, state = Watch(None), TrainerState(global_step=7)
    with pytest.raises(BertpipeError, match=r"nan at step 7: .* lower training\.learning_rate"):
        watch.on_log(None, state, TrainerControl(), logs={"loss": math.nan})  # type: ignore[arg-type]


# The limit comes when a function of the loop is called, so that what came before has what it needs.
STARVED = """
import resource, sys
from bertpipe.cli import main
from bertpipe.training import loop
kind, room, name, *arguments = sys.argv[1:]
def starve(*arguments, **options):
    pages = int(open("/proc/self/statm").read().split()[0])
    held = pages * resource.getpagesize() if kind == "RLIMIT_AS" else 0
    resource.setrlimit(getattr(resource, kind), (held + int(room), held + int(room)))
    return called(*arguments, **options)
called = getattr(loop, name)
setattr(loop, name, starve)
main(arguments, prog_name="bertpipe")
"""


def starved(kind: str, room: int, name: str, recipe_path: Path, *settings: str) -> str:
    """Return what a training says that lacks something from a function of the loop on."""
    command = [sys.executable, "-c", STARVED, kind, str(room), name, "train", str(recipe_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run([*command, *settings], capture_output=True, text=True, env=environment)
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.slow
def test_a_lack_of_memory_names_the_setting_to_change(recipe, tmp_path):
    recipe("sentiment")
    said = starved(
        "RLIMIT_AS",
        200 << 20,
        "fit",
        tmp_path / "recipe.cfg",
        "--training.batch_size=null",
        "--training.batch_tokens=1000000",
        "--tasks.sentiment.train.file.passes=20000",
    )
    assert "does not suffice for 1,000,000 tokens at once; lower training.batch_tokens" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["build_trunk", "TaskTrainer"])
def test_a_lack_of_memory_before_the_first_step_names_what_to_make_smaller(
    recipe, base, tmp_path, name
):
    from transformers import AutoModel, BertConfig

    large = shutil.copytree(base, tmp_path / "large")
    config = BertConfig.from_pretrained(base)
    config.vocab_size = 2_000_000  # 256 MB
    AutoModel.from_config(config).save_pretrained(large)
    recipe("sentiment")
    settings = [f"--paths.base={large}", "--tasks.sentiment.train.file.passes=3e7"]
    said = starved("RLIMIT_AS", 64 << 20, name, tmp_path / "recipe.cfg", *settings)
    assert f"the data and the base {large}; take a smaller base in paths.base" in said


@pytest.mark.slow
def test_a_lack_of_room_on_disk_is_told(recipe, tmp_path):
    settings = recipe("sentiment")
    said = starved("RLIMIT_FSIZE", 20_000, "fit", tmp_path / "recipe.cfg")
    assert f"{settings.output} cannot be written (" in said
    assert "make room and run the same command again" in said
