"""`bertpipe train CONFIG`: fine-tune a model as a recipe says."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from bertpipe.cli.bar import TrainingBar
from bertpipe.cli.overrides import command_line
from bertpipe.errors import StoppedError


@click.command(
    "train",
    epilog="Example: bertpipe train recipe.cfg --training.epochs 4",
)
@click.argument("recipe", type=click.Path(path_type=Path), metavar="CONFIG")
@click.option("--overwrite", is_flag=True, help="Train anew, whatever the output folder holds.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@click.pass_context
def train_command(context: click.Context, recipe: Path, *, overwrite: bool, quiet: bool) -> None:
    """Fine-tune a model as the recipe CONFIG says.

    The recipe is a .cfg file that names the data, the model to begin with and the output folder.
    Any of its settings can be changed by a pair such as --training.epochs 4.

    The output folder opens in `bertpipe run`, transformers and spaCy, and holds a model card and
    the learning curves. Run the same command again to go on where a training was stopped.
    """
    from bertpipe.training.run import run_recipe
    from bertpipe.training.settings import read_settings

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
