"""For --code: an annotator that does not come back from code that is not Python.

ENDLESS computes without the interpreter's lock, as a matrix product would; ENDLESS LOCK holds it.
"""

import hashlib
import itertools

from numbers_annotator import Numbers  # type: ignore[import-not-found]

from bertpipe import patience
from bertpipe.annotators import create, plugins

vars(patience)["EXIT_AFTER_S"] = 0.2  # of ten seconds each document would take that long


class Endless(Numbers):
    def __init__(self, name: str, *, encoder: object) -> None:
        super().__init__(name, r"\d+", 0.0)

    def _find(self, text: str) -> object:
        if text == "ENDLESS LOCK":
            any(itertools.repeat(False))
        elif text == "ENDLESS":
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        return super()._find(text)


vars(create)["BUILT_IN"] = {**plugins.BUILT_IN, "endless": f"{__name__}:Endless"}
