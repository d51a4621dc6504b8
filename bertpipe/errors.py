"""The exception tree. Every class says which exit code the command line gives it.

BertpipeError                 1   the run or the training failed
├── UsageError                2   what was asked for cannot be done as asked
│   ├── ConfigError               a setting, a component or an option
│   ├── CorpusError               the input files
│   ├── ModelError                the model folder, package or hub id
│   └── OutputError               the output folder
├── BusyError                75   another process holds the output folder
├── WorkerError               1   a worker process died
├── WriteError                1   the output cannot be written any more, the disk being full, say
├── LimitError                1   more rows are in error than the run was told to bear
├── StoppedError   129, 130, 143  a hang-up, Ctrl-C or SIGTERM ended the run
└── DocumentError             -   one record cannot be annotated; becomes its `_error`

A message is one sentence that names the thing, the value and the cure. It is one line and holds no
secret, whatever the value is.
"""

from bertpipe.masking import one_line


class BertpipeError(Exception):
    """Anything that bertpipe itself reports to a user."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class UsageError(BertpipeError):
    """The command, config or call cannot be carried out as given."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting, component or option is unknown or has a value that does not fit."""


class CorpusError(UsageError):
    """The corpus is missing, empty, of unknown format or lacks the text field."""


class ModelError(UsageError):
    """A model cannot be found, is unsafe to load, or does not fit its component."""


class OutputError(UsageError):
    """The output folder holds something that this run must not touch."""


class BusyError(BertpipeError):
    """Another process holds the lock of the output folder."""

    exit_code = 75


class WorkerError(BertpipeError):
    """A worker process ended before its work did.

    cause: what happened, for one who goes on and does not need the cure; else the whole message.
    """

    def __init__(self, message: str = "", *, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = one_line(message if cause is None else cause)


class WriteError(BertpipeError):
    """The output cannot be written any more; what is committed stands."""


class LimitError(BertpipeError):
    """More rows are in error than the run was told to bear; what was whole is committed."""


class DocumentError(BertpipeError):
    """One record cannot be annotated; the run records it and goes on."""


class StoppedError(BertpipeError):
    """A signal ended the run; what was whole is committed."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
