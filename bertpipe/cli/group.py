"""The command group: overrides taken out first, library errors told as one sentence."""

import errno
from typing import Any

import click

from bertpipe.cli.overrides import split_overrides
from bertpipe.errors import BertpipeError

INTERRUPTED = 130
FULL = "What the command says, or a file of it, could not be written"
TELL_ERROR = "bertpipe.tell_error"  # in the context's meta: how a command tells its errors


class CommandGroup(click.Group):
    """Gives the overrides to the commands as `obj`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the overrides for the commands; click parses the rest."""
        rest, ctx.obj = split_overrides(args)
        return super().parse_args(ctx, rest)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit with the code of the error that it raises."""
        try:
            return super().invoke(ctx)
        except BertpipeError as error:
            ctx.meta.get(TELL_ERROR, _tell)(error)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            _tell(BertpipeError(f"{FULL} ({error.strerror}); make room and run it again."))
            ctx.exit(BertpipeError.exit_code)
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(INTERRUPTED)


def _tell(error: BertpipeError) -> None:
    click.secho(f"Error: {error}", fg="red", err=True)
