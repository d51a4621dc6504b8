"""The command line: one file per command, each parses, makes one library call and prints."""

import click

from bertpipe import __version__
from bertpipe.cli.annotate import annotate_command
from bertpipe.cli.bench import bench_command
from bertpipe.cli.check import check_command
from bertpipe.cli.compact import compact_command
from bertpipe.cli.components import components_command
from bertpipe.cli.config import config_command
from bertpipe.cli.convert import convert_command
from bertpipe.cli.evaluate import evaluate_command
from bertpipe.cli.group import CommandGroup
from bertpipe.cli.new_plugin import new_plugin_command
from bertpipe.cli.run import run_command
from bertpipe.cli.status import status_command
from bertpipe.cli.train import train_command
from bertpipe.cli.verify import verify_command
from bertpipe.cli.view import view_command


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: bertpipe run corpus/ --components ner,sentiment",
)
@click.version_option(__version__, prog_name="bertpipe", message="%(prog)s %(version)s")
def main() -> None:
    """Annotate large text corpora with BERT-family models.

    Any setting of the config can be changed by a pair such as --run.stride 32 or
    --components.ner.model=PATH; `bertpipe config` prints them all.
    """


for command in (
    run_command,
    status_command,
    verify_command,
    compact_command,
    annotate_command,
    bench_command,
    check_command,
    components_command,
    config_command,
    train_command,
    convert_command,
    evaluate_command,
    view_command,
    new_plugin_command,
):
    main.add_command(command)
