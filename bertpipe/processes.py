"""Start Python in processes of its own, each with one end of a pair of sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

# One thread a process: two one-thread workers beat one process with two threads.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # Few arenas hold freed memory, and what one batch frees stays for the next one: given back to
    # the system, each of its pages would be a fault again.
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}


def start_module(
    module: str, end: socket.socket, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Run a module with the number of a socket's descriptor as its argument.

    environment: what is changed of this process's.
    """
    return subprocess.Popen(
        # -P: a file of the user's in the current folder, json.py say, is not to be imported.
        [sys.executable, "-P", "-m", module, str(end.fileno())],
        start_new_session=True,  # Ctrl-C is the parent's to hear
        pass_fds=[end.fileno()],
        env={**os.environ, **environment, "PYTHONPATH": _search_path()},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno() if _has_descriptor(sys.stderr) else None,
    )


def ignore_signals() -> None:
    """Leave it to the parent what a signal means; without it, this process ends by itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _search_path() -> str:
    """Return where this process finds modules, so that another finds the same."""
    return os.pathsep.join(os.path.abspath(folder) for folder in sys.path)


def _has_descriptor(stream: Any) -> bool:
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True
