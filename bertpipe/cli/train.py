"""`bertpipe train CONFIG`: fine-tune a model as a recipe says."""

from functools import partial
from pathlib import Path

import click


@click.command(
    "train",
    epilog="Example: bertpipe train configs/train/en_ner_mini.cfg --paths.data DATA",
)
@click.argument("recipe", type=click.Path(path_type=Path), metavar="CONFIG")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.pass_context
def train_command(context: click.Context, recipe: Path, *, resume: bool) -> None:
    """Fine-tune a model as the recipe CONFIG says.

    Settings of the recipe are changed by pairs such as --paths.train FILE or --training.epochs=3.
    """
    from bertpipe.training.settings import read_settings

    settings = read_settings(recipe, context.obj)
    # torch and transformers take seconds to load: only for a recipe that can be read.
    from bertpipe.training.run import run_recipe

    run_recipe(settings, recipe=recipe, resume=resume, report=partial(click.echo, err=True))
