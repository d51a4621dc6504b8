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
    """Fills the templates beside this file."""

    def __init__(self) -> None:
        templates = environment("bertpipe.view")
        self._document = templates.get_template("document.html")
        self._page = templates.get_template("page.html")

    def document(self, document: Document, *, is_hidden: bool) -> Markup:
        """Return the article of a document."""
        return Markup(self._document.render(document=document, is_hidden=is_hidden))

    def page(self, *, hues: Mapping[int, int], **values: Any) -> str:
        """Return the whole page; hues: those of the facets, in degrees."""
        rules = [f".f{facet} {{ --hue: {hue}; --chroma: 1; }}\n" for facet, hue in hues.items()]
        style = read("base.css") + read("page.css") + "".join(rules)
        plain, script = read("plain.css"), read("page.js")
        return self._page.render(
            **values,
            style=Markup(style),
            plain_style=Markup(plain),
            script=Markup(script),
            policy=policy(style, plain, script=script),
        )


def environment(package: str) -> Environment:
    """Return what fills the templates of a package; what is not markup already is escaped."""
    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )


def policy(*styles: str, script: str | None = None) -> str:
    """Return a content security policy that allows these texts, pictures within the page, no more.

    A page without a script runs none.
    """
    allowed = " ".join(map(_hash, styles))
    scripts = "'none'" if script is None else _hash(script)
    return (
        f"default-src 'none'; script-src {scripts}; style-src {allowed}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{b64encode(digest).decode('ascii')}'"


def read(name: str, package: str = "bertpipe.view") -> str:
    """Return a file that lies beside the templates."""
    return files(package).joinpath(name).read_text(encoding="utf-8")
