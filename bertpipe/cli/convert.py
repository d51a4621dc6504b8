"""`bertpipe convert`: safetensors from the pickle weights of a model."""

from __future__ import annotations

from pathlib import Path

import click

from bertpipe.cli.text import counted


@click.command("convert", epilog="Example: bertpipe convert old-model new-model")
@click.argument("model")
@click.argument("target", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--revision", metavar="NAME", help="Commit, branch or tag of a model of the hub.")
@click.option("--offline", is_flag=True, help="Never look for a model on the hub.")
def convert_command(model: str, target: Path, *, revision: str | None, offline: bool) -> None:
    """Write a model that has pickle weights (pytorch_model.bin) with safetensors instead.

    MODEL is a folder or a hub id; DIR is made. Pickle weights can run code when they are loaded;
    here they are read as tensors only, and anything else in them is refused.
    """
    from bertpipe.encoder.convert import convert

    made = convert(model, target, revision=revision, offline=offline)
    click.echo(
        f"{made.path} holds {counted(made.n_tensors, 'tensor')}, {made.n_bytes / 1e6:,.1f} MB, as"
        f" safetensors. Use it: --components.NAME.model {made.path}"
    )
