"""The HTML templates, and the policy that lets a browser run and fetch nothing but the page."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bertpipe.view.document import Document
from bertpipe.view.marks import printable


class Templates:
    """Fills the templates beside this file; what is not markup already is escaped."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("bertpipe.view", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=lambda value: printable(value) if type(value) is str else value,
        )
        self._document = environment.get_template("document.html")
        self._page = environment.get_template("page.html")

    def document(self, document: Document, *, is_hidden: bool) -> Markup:
        """Return the article of a document."""
        return Markup(self._document.render(document=document, is_hidden=is_hidden))

    def page(self, *, hues: Mapping[int, int], **values: Any) -> str:
        """Return the whole page; hues: those of the facets, in degrees."""
        rules = [f".f{facet} {{ --hue: {hue}; --chroma: 1; }}\n" for facet, hue in hues.items()]
        style, plain = _read("page.css") + "".join(rules), _read("plain.css")
        script = _read("page.js")
        return self._page.render(
            **values,
            style=Markup(style),
            plain_style=Markup(plain),
            script=Markup(script),
            policy=_policy(script, style, plain),
        )


def _policy(script: str, *styles: str) -> str:
    """Return a content security policy that allows these texts and nothing else."""
    allowed = " ".join(map(_hash, styles))
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {allowed};"
        " base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{b64encode(digest).decode('ascii')}'"


def _read(name: str) -> str:
    return files("bertpipe.view").joinpath(name).read_text(encoding="utf-8")
