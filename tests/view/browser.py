"""A headless Chromium, driven over the DevTools pipe: nothing is installed, nothing mocked."""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
)
TIMEOUT_SECONDS = 120
# Chromium reads commands from descriptor 3 and writes to 4.
_LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    " os.execv(sys.argv[3], sys.argv[3:])"
)


def find_chromium() -> str | None:
    """Return where Chromium is, if it is."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


class Browser:
    """One tab; `events` holds what it reported: requests, log entries, dialogs."""

    def __init__(self, profile: Path, *flags: str) -> None:
        child_reads, self._writes = os.pipe()
        self._reads, child_writes = os.pipe()
        ours = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (child_reads, child_writes)]
        os.close(child_reads)
        os.close(child_writes)
        command = [sys.executable, "-c", _LAUNCH, *map(str, ours), str(find_chromium()), *FLAGS]
        command += [*flags, f"--user-data-dir={profile}"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, pass_fds=ours, stdout=quiet, stderr=quiet, start_new_session=True
        )
        for fd in ours:
            os.close(fd)
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        self._n_sent = 0
        self._session: str | None = None
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._send(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._writes)
        os.close(self._reads)

    def open(self, path: Path) -> None:
        """Load a page; return when all that it loads is loaded."""
        self.events.clear()
        self._send("Page.navigate", url=path.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of a JavaScript expression."""
        sent = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self._send("Runtime.evaluate", **sent)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def requested(self) -> list[str]:
        """Return the address of everything the page asked for."""
        events = [each for each in self.events if each["method"] == "Network.requestWillBeSent"]
        return [each["params"]["request"]["url"] for each in events]

    def complaints(self) -> list[str]:
        """Return what the browser has to say against the page, and what the page printed."""
        logged = [each["params"] for each in self.events if each["method"] == "Log.entryAdded"]
        texts = [each["entry"]["text"] for each in logged]
        kinds = (
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Page.javascriptDialogOpening",
        )
        return texts + [str(each["params"]) for each in self.events if each["method"] in kinds]

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._n_sent += 1
        number = self._n_sent
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + TIMEOUT_SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reads], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"Chromium said nothing for {TIMEOUT_SECONDS} s"
            read = os.read(self._reads, 1 << 16)
            assert read, "Chromium ended"
            self._buffer += read
        raw, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(raw)
        if "method" in message:
            self.events.append(message)
        return message
