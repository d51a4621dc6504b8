"""Figures of a run in the text format of Prometheus, for its node exporter's textfile collector."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertpipe.cli.progress import PLAIN_SECONDS
from bertpipe.errors import BusyError, OutputError
from bertpipe.masking import hide_secrets

if TYPE_CHECKING:
    from bertpipe.errors import BertpipeError
    from bertpipe.report import Progress, Report

SUCCESS = "bertpipe_last_success_timestamp_seconds"
HELP = {
    "bertpipe_running": "1 while a run is at work.",
    "bertpipe_rows": "Rows of the output, those of earlier runs included.",
    "bertpipe_rows_in_error": "Rows of the output that are in error, by type.",
    "bertpipe_run_rows": "Rows that the last run annotated.",
    "bertpipe_run_rows_in_error": "Rows in error that the run at work has met.",
    "bertpipe_run_tokens": "Tokens that the last run annotated, special ones not counted.",
    "bertpipe_run_seconds": "Seconds that the last run worked, its start not counted.",
    "bertpipe_last_end_timestamp_seconds": "When the last run ended, however it ended.",
    "bertpipe_last_exit_code": "Exit code of the last run.",
    SUCCESS: "When a run last ended with exit code 0.",
}
Values = Mapping[str, float | Mapping[str, float]]


class Metrics:
    """Keeps a file of figures up to date; each change replaces the file in one step.

    What is not known anew stays as the last run left it.
    """

    def __init__(self, path: Path, output: Path) -> None:
        self._path = path
        self._output = _escaped(hide_secrets(str(output.absolute())))
        self._told_at = -PLAIN_SECONDS
        self._values: dict[str, float | Mapping[str, float]] = dict(_read(path, self._output))

    def start(self, output: Path) -> None:
        """Write that a run is at work."""
        del output
        self._write({"bertpipe_running": 1})

    def moment(self, moment: Progress) -> None:
        """Write how far the run is, if it is time to; no run ends because that fails."""
        if moment.seconds - self._told_at < PLAIN_SECONDS:
            return
        self._told_at = moment.seconds
        with contextlib.suppress(OutputError):
            self._write(
                {
                    "bertpipe_rows": moment.n_done + moment.n_rows,
                    "bertpipe_run_rows": moment.n_rows,
                    "bertpipe_run_rows_in_error": moment.n_errors,
                    "bertpipe_run_tokens": moment.n_tokens,
                    "bertpipe_run_seconds": moment.seconds,
                }
            )

    def finish(self, report: Report, exit_code: int) -> None:
        """Write what was done."""
        self._values.pop("bertpipe_run_rows_in_error", None)
        self._end(
            exit_code,
            {
                "bertpipe_rows": report.n_rows,
                "bertpipe_rows_in_error": report.errors_by_type,
                "bertpipe_run_rows": report.n_new,
                "bertpipe_run_tokens": report.n_tokens,
                "bertpipe_run_seconds": report.seconds,
            },
        )

    def fail(self, error: BertpipeError) -> None:
        """Write that the run ended early, unless another run is at work: the figures are its."""
        if not isinstance(error, BusyError):
            with contextlib.suppress(OutputError):  # which may be the very error
                self._end(error.exit_code, {})

    def _end(self, exit_code: int, values: Values) -> None:
        now = time.time()
        ended = {
            "bertpipe_running": 0,
            "bertpipe_last_end_timestamp_seconds": now,
            "bertpipe_last_exit_code": exit_code,
        }
        self._write({**values, **ended, **({} if exit_code else {SUCCESS: now})})

    def _write(self, values: Values) -> None:
        from bertpipe.output.files import write_bytes

        self._values.update(values)
        try:
            write_bytes(self._path, "".join(_lines(self._values, self._output)).encode())
        except OSError as error:
            raise OutputError(
                f"The metrics file {self._path} cannot be written ({error.strerror}); name another"
                " --metrics-file, in a folder that exists."
            ) from error


def _lines(values: Values, output: str) -> Iterator[str]:
    for name, help_text in HELP.items():
        if name not in values:
            continue
        yield f"# HELP {name} {help_text}\n# TYPE {name} gauge\n"
        value = values[name]
        label = f'output="{output}"'
        if isinstance(value, Mapping):
            for kind, number in sorted(value.items()):
                yield f'{name}{{{label},type="{_escaped(kind)}"}} {number:.15g}\n'
        else:
            yield f"{name}{{{label}}} {value:.15g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_LINE = re.compile(r'(\w+)\{output="(.*?)"(?:,type="(\w+)")?\} (\S+)')


def _read(path: Path, output: str) -> Iterator[tuple[str, float | Mapping[str, float]]]:
    """Yield the figures that an earlier run on the same output left in a file."""
    if not os.path.isfile(path):
        return
    kinds: dict[str, dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[1] not in HELP or match[2] != output:
            continue
        if match[3]:
            kinds.setdefault(match[1], {})[match[3]] = float(match[4])
        else:
            yield match[1], float(match[4])
    yield from kinds.items()
