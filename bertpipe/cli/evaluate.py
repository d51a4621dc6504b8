"""`bertpipe evaluate`: score a model on labelled data, or a finished run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bertpipe.cli.options import encoder_options
from bertpipe.cli.overrides import command_line
from bertpipe.cli.scores import show_scores

if TYPE_CHECKING:
    from bertpipe.evaluation.evaluate import Evaluation, Progress

TASKS = (
    "token_classification",
    "text_classification",
    "question_answering",
    "masked_language_model",
    "next_sentence",
)
OF_DATA = ("text_field", "pair_field", "label_field", "join_words", "limit", "stride")
NOT_OF_SCORES = ("card", "json_file", "report", "quiet", "mistakes")
FILE = click.Path(path_type=Path, dir_okay=False)

HELP = """Score a model on labelled data, or score a finished run.

MODEL is a folder, the name of an installed model, or a hub id. DATA is a labelled file: CoNLL
columns, a table (jsonl, csv, tsv, parquet) with a text and its label, texts with spans, spaCy's
Docs, or SQuAD JSON; for a masked language model any texts, for next sentences texts or pairs. What
is scored is what `bertpipe run` finds: long texts become windows in the same way.

With --gold, MODEL is the output folder of a run. With --recipe, the data are the dev files of a
recipe of `bertpipe train`.

Pairs say the rest: --data.held_out 0.2 how the data are read, --train.limit 5000 how those of
--train are, --component.pooling max a setting of the component.
"""


def _renamed(
    context: click.Context, option: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    """Return the new names of labels by the old ones."""
    del context, option
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r} is no pair of labels; write OLD=NEW.")
    return dict(value.split("=", 1) for value in values)


@click.command(
    "evaluate",
    help=HELP,
    epilog="Example: bertpipe evaluate en_ner_mini news.conll --report news",
)
@click.argument("model", metavar="MODEL")
@click.argument("data", required=False, type=click.Path(path_type=Path), metavar="[DATA]")
@click.option("--gold", type=FILE, metavar="FILE", help="Score the run in MODEL on this file.")
@click.option("--column", metavar="NAME", help="The column of the run to score.")
@click.option("--recipe", type=FILE, metavar="FILE", help="Score the dev files of this recipe.")
@click.option("--only", metavar="TASK", help="Score this task of the recipe.")
@click.option("--card", is_flag=True, help="Put the scores into the model's card.")
@click.option("--task", type=click.Choice(TASKS), help="What the model does.  [default: it says]")
@click.option("--text-field", metavar="NAME", help="Field with the text.  [default: text]")
@click.option("--pair-field", metavar="NAME", help="Field with the second text of a pair.")
@click.option("--label-field", metavar="NAME", help="Field with the label.  [default: label]")
@click.option("--join-words", type=int, metavar="N", help="Join sentences up to so many words.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Score N records, drawn by hash."
)
@click.option(
    "--rename",
    multiple=True,
    callback=_renamed,
    metavar="OLD=NEW",
    help="A label of the data and what the model calls it.",
)
@click.option("--max-length", type=click.IntRange(8), metavar="N", help="Tokens of a window.")
@click.option("--stride", type=click.IntRange(0), metavar="N", help="Tokens windows share.")
@encoder_options
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Score from which a label, or an answer, counts.",
)
@click.option("--find-threshold", is_flag=True, help="Find the best threshold on these data.")
@click.option("--baseline", is_flag=True, help="Compare with TF-IDF and logistic regression.")
@click.option("--train", type=FILE, metavar="FILE", help="What the baseline learns from.")
@click.option(
    "--mistakes",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    metavar="N",
    help="Show the N worst of each kind.",
)
@click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write all as JSON.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write an HTML page with plots there.",
)
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.pass_context
def evaluate_command(
    context: click.Context, /, model: str, data: Path | None, **given: Any
) -> None:
    _check(data, given)
    line = None if given["quiet"] else _Line()
    if given["recipe"] is None:
        found = _evaluate(model, data, given, context.obj, line)
    else:
        found = _evaluate_recipe(model, given, context, line)
    if line is not None:
        line.clear()
    if not given["quiet"]:
        for each in found:
            for text in show_scores(each, n_mistakes=given["mistakes"]):
                click.echo(text)
    _write(found, given)


def _check(data: Path | None, given: Mapping[str, Any]) -> None:
    """Refuse options that do not go together."""
    sources = [data, given["gold"], given["recipe"]]
    if sum(source is not None for source in sources) != 1:
        raise click.UsageError("Give one of DATA, --gold FILE (of a run) and --recipe FILE.")
    if given["baseline"] != (given["train"] is not None):
        raise click.UsageError("--baseline and --train FILE, which it learns from, go together.")
    if given["baseline"] and data is None:
        raise click.UsageError("--baseline compares with a model on DATA; leave it out.")
    if given["json_file"] is not None and not given["json_file"].parent.is_dir():
        raise click.UsageError(f"{given['json_file'].parent} is no folder; give another --json.")
    for name, needs in (("only", "recipe"), ("card", "recipe"), ("column", "gold")):
        if given[name] and not given[needs]:
            raise click.UsageError(f"--{name} goes with --{needs}.")
    for name in OF_DATA:
        if given[name] is not None and given["recipe"]:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is not for --recipe, which says it; change what it "
                "says by a pair such as --tasks.TASK.stride 32 or --tasks.TASK.dev.FILE.limit 100."
            )


def _evaluate(
    model: str,
    data: Path | None,
    given: Mapping[str, Any],
    overrides: Mapping[str, Any],
    progress: Progress | None,
) -> list[Evaluation]:
    from bertpipe.evaluation.settings import (
        check_installed,
        make_options,
        make_source,
        split_overrides,
    )

    check_installed()
    _, own = split_overrides(overrides, others=False)
    options = make_options(given, own["component"], progress)
    if given["gold"] is not None:
        from bertpipe.evaluation.stored import evaluate_output

        source = make_source(given["gold"], given, own["data"])
        return [evaluate_output(Path(model), source, options, column=given["column"])]
    from bertpipe.evaluation.evaluate import evaluate_model

    assert data is not None
    train = make_source(given["train"], {**given, "limit": None}, own["train"])
    source = make_source(data, given, own["data"])
    return [evaluate_model(model, source, options, train=train if given["train"] else None)]


def _evaluate_recipe(
    model: str, given: Mapping[str, Any], context: click.Context, line: _Line | None
) -> list[Evaluation]:
    from bertpipe.evaluation.recipe import evaluate_recipe, task_models, write_cards
    from bertpipe.evaluation.settings import check_installed, make_options, split_overrides
    from bertpipe.training.settings import read_settings

    check_installed()
    recipe, own = split_overrides(context.obj, others=True)
    settings = read_settings(given["recipe"], {**recipe, "paths.base": model})
    options = make_options(given, own["component"], line)
    found = list(evaluate_recipe(model, settings, options, only=given["only"]))
    if line is not None:
        line.clear()
    if given["card"]:
        models = task_models(model, settings, given["only"])
        tasks = {folder: settings.tasks[name] for folder, name in models.items()}
        for path in write_cards(found, tasks, command=_command(context)):
            click.echo(f"The scores are in {path}.", err=True)
    return found


def _command(context: click.Context) -> str:
    """Return the command that gives the same scores."""
    words: list[Any] = ["bertpipe", "evaluate"]
    for parameter in context.command.params:
        name = str(parameter.name)
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            value = context.params[name]
            words += [value] if isinstance(parameter, click.Argument) else _words(parameter, value)
    return command_line(words, context.obj)


def _words(option: click.Parameter, value: Any) -> list[Any]:
    flag = option.opts[-1]
    if option.name in NOT_OF_SCORES:
        return []
    if isinstance(value, dict):
        return [word for pair in value.items() for word in (flag, "=".join(pair))]
    return [flag] if value is True else [flag, value]


def _write(found: Sequence[Evaluation], given: Mapping[str, Any]) -> None:
    if given["json_file"] is not None:
        values = [each.to_dict() for each in found]
        text = json.dumps(values[0] if given["recipe"] is None else values, indent=1)
        given["json_file"].write_text(text + "\n", encoding="utf-8")
    if given["report"] is not None:
        from bertpipe.evaluation.report import write_report

        path = write_report(found, given["report"])
        if not given["quiet"]:
            click.echo(f"{path}: open it in a browser.", err=True)


class _Line:
    """Tells on a terminal how many records are done."""

    def __init__(self) -> None:
        self.width = 0

    def __call__(self, n_done: int, n_records: int) -> None:
        if sys.stderr.isatty():
            text = f"{n_done:,} of {n_records:,} records"
            click.echo("\r" + text.ljust(self.width), nl=False, err=True)
            self.width = len(text)

    def clear(self) -> None:
        if self.width:
            click.echo("\r" + " " * self.width + "\r", nl=False, err=True)
            self.width = 0
