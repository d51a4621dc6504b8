"""What may not stand in a message: secrets, and characters that a terminal obeys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
_LOGIN = re.compile(r"(\w:/{1,2})[^\s/?#@]+@")  # one slash is what a Path leaves of two
# A value of the query of a URI, by the usual names: token, access_token, sig, X-Amz-Signature ...
_QUERY = re.compile(
    r"(?i)(?<=[?&])([\w.-]*(?:token|sig|signature|secret|password|passwd|pwd|credential|key))="
    r"[^\s&#'\"]+"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def hide_secrets(text: str) -> str:
    """Return a text whose URIs have lost their logins and the values of tokens and signatures."""
    return _QUERY.sub(rf"\1={HIDDEN}", _LOGIN.sub(rf"\1{HIDDEN}@", text))


def one_line(text: str) -> str:
    """Return a text as one line without secrets and without characters that move a cursor."""
    return _CONTROL.sub(" ", hide_secrets(text)).strip()


def without_secrets(value: Any) -> Any:
    """Return a JSON value whose strings have been through `hide_secrets`."""
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, Mapping):
        return {name: without_secrets(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(each) for each in value]
    return value
