"""Mark spans in a text, as HTML: displaCy draws and escapes, the page's own style colours."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

Render = Callable[[str, "Sequence[Mark]"], Markup]

# `bdi` keeps the label out of what decides the direction of the text around it.
_TEMPLATE = (
    '<mark class="f{facet}" data-f="{facet}" data-s="{percent}" title="{label} {score}">{text}'
    "<bdi>{label}<small>{score}</small></bdi></mark>"
)
# The style attribute would only be refused by the page's policy.
_WRAPPER = re.compile(r'\s*<div class="entities"[^>]*>')
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}


@dataclass(frozen=True)
class Mark:
    """A span [start, end) in characters; percent: its score as a whole number of hundredths."""

    start: int
    end: int
    label: str
    facet: int
    percent: int


def percent(score: float | None) -> int:
    """Return a score in whole hundredths; 100 for what has no score."""
    return 100 if score is None else round(score * 100)


def printable(text: str) -> str:
    """Return a text of the same length in which HTML loses no character: control codes as pictures.

    A browser would read CR as a line of its own and drop NUL.
    """
    return text.replace("\r\n", " \n").replace("\r", "\n").translate(_CONTROLS)


def renderer() -> Render:
    """Return a function that draws a text with its marks; marks must not overlap."""
    from spacy.displacy.render import EntityRenderer

    displacy = EntityRenderer({"template": _TEMPLATE})

    def render(text: str, marks: Sequence[Mark]) -> Markup:
        parsed = {"text": printable(text), "ents": [_as_entity(mark) for mark in marks]}
        html = _WRAPPER.sub("", displacy.render([parsed]), count=1)
        return Markup(html.rstrip().removesuffix("</div>"))

    return render


def without_overlaps(marks: Sequence[Mark]) -> tuple[list[Mark], list[Mark]]:
    """Return the marks in the order of the text that can be drawn, and those left over.

    Of marks that overlap the first is drawn, of those with the same start the longest.
    """
    drawn: list[Mark] = []
    left: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.start, -mark.end)):
        fits = mark.start < mark.end and (not drawn or mark.start >= drawn[-1].end)
        (drawn if fits else left).append(mark)
    return drawn, left


def _as_entity(mark: Mark) -> dict[str, object]:
    label = escape(printable(mark.label))
    score = f"{mark.percent / 100:.2f}"
    params = {"facet": mark.facet, "percent": mark.percent, "score": score}
    return {"start": mark.start, "end": mark.end, "label": label, "params": params}
