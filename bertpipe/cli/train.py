"""`bertpipe train CONFIG`: fine-tune a model as a recipe says."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from bertpipe.cli.bar import TrainingBar
from bertpipe.cli.overrides import command_line
from bertpipe.errors import StoppedError

HELP = """Fine-tune a model as the recipe CONFIG says.

CONFIG is a .cfg file, or one of the ready recipes:

\b
  classes    one class of a text, from a table with the columns text and label
  labels     any number of labels of a text, from the same
  entities   entities, from CoNLL columns, texts with spans or .spacy files
  answers    answers to questions, from SQuAD JSON

They need --paths.train FILE; a fifth of it is held out to choose the best weights, unless
--paths.dev FILE is given. Columns of other names: --tasks.classes.train.file.text_field NAME, and
label_field. --show prints a recipe, to be changed into your own.

Any setting of a recipe can be changed by a pair such as --training.epochs 4.

The output folder opens in `bertpipe run`, transformers and spaCy, and holds a model card and the
learning curves. Run the same command again to go on where a training was stopped.
"""


@click.command(
    "train",
    help=HELP,
    epilog="Example: bertpipe train classes --paths.train reviews.csv",
)
@click.argument("recipe", type=click.Path(path_type=Path), metavar="CONFIG")
@click.option("--overwrite", is_flag=True, help="Train anew, whatever the output folder holds.")
@click.option("--show", is_flag=True, help="Print the recipe and do nothing.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.pass_context
def train_command(
    context: click.Context, recipe: Path, *, overwrite: bool, show: bool, quiet: bool
) -> None:
    from bertpipe.training.run import run_recipe
    from bertpipe.training.settings import find_recipe, read_settings

    if show:
        click.echo(find_recipe(recipe).read_text(encoding="utf-8"), nl=False)
        return
    settings = read_settings(recipe, context.obj)
    bar = TrainingBar(is_terminal=sys.stderr.isatty())
    try:
        run_recipe(
            settings,
            command=command_line(["bertpipe", "train", recipe], context.obj),
            overwrite=overwrite,
            report=_keep_quiet if quiet else bar.say,
            progress=None if quiet else bar,
        )
    except KeyboardInterrupt as error:
        raise StoppedError(
            signal.SIGINT, "Stopped; the same command goes on from the last checkpoint."
        ) from error
    finally:
        bar.close()


def _keep_quiet(line: str) -> None:
    del line
