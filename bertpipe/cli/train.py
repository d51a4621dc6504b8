"""`bertpipe train CONFIG`: fine-tune a model as a recipe says."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click


@click.command("train", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("recipe", type=click.Path(path_type=Path), metavar="CONFIG")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.pass_context
def train_command(context: click.Context, recipe: Path, *, resume: bool) -> None:
    """Fine-tune a model as the recipe CONFIG says.

    Settings of the recipe are changed by pairs such as --paths.train FILE or --training.epochs=3.
    """
    from bertpipe.training.settings import read_settings

    settings = read_settings(recipe, overrides(context.args))
    # torch and transformers take seconds to load: only for a recipe that can be read.
    from bertpipe.training.run import run_recipe

    run_recipe(settings, recipe=recipe, resume=resume, report=partial(click.echo, err=True))


def overrides(arguments: Sequence[str]) -> dict[str, Any]:
    """Read `--section.name value` and `--section.name=value`; a value may be JSON."""
    found: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if not option.startswith("--") or "." not in option:
            raise click.UsageError(f"Unexpected argument {option!r}: overrides are --section.name.")
        if not equals:
            if not rest:
                raise click.UsageError(f"{option} needs a value.")
            value = rest.pop(0)
        found[option.removeprefix("--")] = _value(value)
    return found


def _value(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text
