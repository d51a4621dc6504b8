"""What a run says on standard error: lines for people, or JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertpipe.cli.group import TELL_ERROR
from bertpipe.cli.progress import PLAIN_SECONDS, ProgressLine
from bertpipe.cli.summary import summarise
from bertpipe.cli.text import counted
from bertpipe.masking import without_secrets

if TYPE_CHECKING:
    from bertpipe.cli.metrics import Metrics
    from bertpipe.errors import BertpipeError
    from bertpipe.report import Progress, Report

LOG_FORMATS = ("text", "json")


class TextLog:
    """Lines for people; quiet ones are errors only."""

    def __init__(self, *, quiet: bool) -> None:
        self._line = None if quiet else ProgressLine(is_terminal=sys.stderr.isatty())

    def start(self, output: Path) -> None:
        """Say nothing: the user has just said it."""

    def moment(self, moment: Progress) -> None:
        """Show how far the run is."""
        if self._line:
            self._line(moment)

    def wrote_docs(self, path: Path, n_docs: int) -> None:
        """Say where the output stands as Docs."""
        if self._line:
            self._line.clear()
            click.echo(f"{path} holds {counted(n_docs, 'Doc')}.", err=True)

    def finish(self, report: Report, exit_code: int) -> None:
        """Say what was done."""
        del exit_code
        if self._line:
            self._line.clear()
            for line in summarise(report):
                click.echo(line, err=True)

    def fail(self, error: BertpipeError) -> None:
        """Say why the run ended."""
        if self._line:
            self._line.clear()
        click.secho(f"Error: {error}", fg="red", err=True)


class JsonLog:
    """One JSON object a line, each with `time` and `event`; quiet ones are errors only."""

    def __init__(self, *, quiet: bool) -> None:
        self._is_quiet = quiet
        self._told_at = 0.0

    def start(self, output: Path) -> None:
        """Say where the output is."""
        self._say("started", output=str(output))

    def moment(self, moment: Progress) -> None:
        """Say how far the run is, if it is time to."""
        if moment.seconds - self._told_at >= PLAIN_SECONDS:
            self._told_at = moment.seconds
            self._say("progress", **asdict(moment))

    def wrote_docs(self, path: Path, n_docs: int) -> None:
        """Say where the output stands as Docs."""
        self._say("docs", path=str(path), n_docs=n_docs)

    def finish(self, report: Report, exit_code: int) -> None:
        """Say what was done: all that the report has."""
        self._say("finished", exit_code=exit_code, **report.to_dict())

    def fail(self, error: BertpipeError) -> None:
        """Say why the run ended."""
        kind = type(error).__name__
        self._say("failed", exit_code=error.exit_code, type=kind, message=str(error))

    def _say(self, event: str, **values: Any) -> None:
        if self._is_quiet and event != "failed":
            return
        moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = without_secrets({"time": moment, "event": event, **values})
        click.echo(json.dumps(line, ensure_ascii=False), err=True)


class RunLog:
    """Tells a log, and the file of metrics if there is one, what becomes of a run."""

    def __init__(self, log: TextLog | JsonLog, metrics: Metrics | None) -> None:
        self._log = log
        self._tellers: tuple[Any, ...] = (log,) if metrics is None else (log, metrics)

    @classmethod
    def begin(
        cls, context: click.Context, *, form: str, quiet: bool, metrics: Metrics | None
    ) -> RunLog:
        """Make a log, which from now on is told of the errors of the command, too."""
        made = cls((JsonLog if form == "json" else TextLog)(quiet=quiet), metrics)
        context.meta[TELL_ERROR] = made.fail
        return made

    def start(self, output: Path) -> None:
        """Tell where the output is."""
        self._tell(lambda teller: teller.start(output))

    def __call__(self, moment: Progress) -> None:
        """Tell how far the run is."""
        self._tell(lambda teller: teller.moment(moment))

    def wrote_docs(self, path: Path, n_docs: int) -> None:
        """Tell where the output stands as Docs."""
        self._log.wrote_docs(path, n_docs)

    def finish(self, report: Report, exit_code: int) -> None:
        """Tell what was done."""
        self._tell(lambda teller: teller.finish(report, exit_code))

    def fail(self, error: BertpipeError) -> None:
        """Tell why the run ended."""
        self._tell(lambda teller: teller.fail(error))

    def _tell(self, say: Callable[[Any], None]) -> None:
        for teller in self._tellers:
            say(teller)
