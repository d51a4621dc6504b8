"""Turn a row of an output into what its template shows, counting labels on the way."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from bertpipe.records import ERROR, N_TOKENS, N_WINDOWS, SOURCE, TRUNCATED
from bertpipe.view.columns import Kind, Shown
from bertpipe.view.facets import Facets
from bertpipe.view.marks import Mark, Render, percent, without_overlaps
from bertpipe.view.tables import Table, make_table

MAX_TEXT_CHARS = 50_000
MAX_FIELD_CHARS = 300
FOLD_CHARS = 1_200  # a longer text is folded until somebody wants it
N_OPEN_CLASSES = 5
CONTEXT_CHARS = 160  # on each side of an answer


@dataclass(frozen=True)
class Passage:
    """A text with its marks; the first `n_shown` of its `n_chars` characters are in the page."""

    column: str
    html: Markup
    n_chars: int
    n_shown: int
    overlapping: Sequence[str] = ()

    @property
    def is_long(self) -> bool:
        return self.n_shown > FOLD_CHARS


@dataclass(frozen=True)
class Class:
    """A class with its score."""

    label: str
    percent: int
    is_chosen: bool


@dataclass(frozen=True)
class Classes:
    """The classes of a column, the likeliest first; unlikely ones that are many are folded."""

    open: Sequence[Class]
    folded: Sequence[Class]


@dataclass(frozen=True)
class Answer:
    """An answer marked in its context."""

    context: Markup
    percent: int


@dataclass(frozen=True)
class Question:
    """A question with the answers that were found."""

    text: str
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Document:
    """What the page shows of one row. found: (facet, percent) of each annotation."""

    name: str
    path: str
    row: int
    fields: Mapping[str, str]
    statistics: Mapping[str, Any]
    error: Mapping[str, str | None] | None
    passages: list[Passage] = field(default_factory=list)
    classes: dict[str, Classes] = field(default_factory=dict)
    questions: dict[str, list[Question]] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    found: list[tuple[int, int]] = field(default_factory=list)

    @property
    def has_only_answers(self) -> bool:
        return bool(self.questions) and not self.classes and not self.passages[0].column


class DocumentMaker:
    """Makes documents of rows and counts their labels in `facets`."""

    def __init__(
        self,
        columns: Mapping[str, Shown],
        *,
        text_field: str,
        fields: Sequence[str],
        questions: Mapping[str, Mapping[str, str]],
        render: Render,
        facets: Facets,
    ) -> None:
        self.columns = columns
        self.text_field = text_field
        self.fields = fields
        self.questions = questions
        self.render = render
        self.facets = facets

    def make(self, row: Mapping[str, Any]) -> Document:
        """Return what is shown of a row."""
        source = row[SOURCE]
        document = Document(
            name=str(row.get("id") or PurePath(source["path"]).name),
            path=source["path"],
            row=source["row"],
            fields=dict(_fields(row, self.fields)),
            statistics={name: row[name] for name in (N_TOKENS, N_WINDOWS, TRUNCATED)},
            error=row[ERROR],
        )
        if document.error is not None:
            self._found(document, ERROR, document.error["type"] or "unknown", None)
        text = row[self.text_field]
        if text is not None:
            self._add_annotations(document, text, row)
        return document

    def _add_annotations(self, document: Document, text: str, row: Mapping[str, Any]) -> None:
        for column, shown in self.columns.items():
            kind, value = shown.kind, shown.value(row)
            if value is None:
                continue
            if kind is Kind.SPANS:
                document.passages.append(self._passage(document, text, column, value))
            elif kind is Kind.CLASSES:
                document.classes[column] = self._classes(document, column, value)
            elif kind is Kind.TABLE:
                document.tables[column] = make_table(text, value, shown.fields)
            else:
                document.questions[column] = self._questions(document, text, column, value)
        if not document.passages:
            document.passages.append(self._passage(document, text, "", []))

    def _passage(
        self, document: Document, text: str, column: str, spans: Iterable[Mapping[str, Any]]
    ) -> Passage:
        labels = ((span["label"] or span.get("group") or "", span) for span in spans)
        marks = [self._mark(document, column, label, span) for label, span in labels]
        drawn, left = without_overlaps(marks)
        shown = text[:MAX_TEXT_CHARS]
        html = self.render(shown, [mark for mark in drawn if mark.end <= len(shown)])
        overlapping = [f"{text[mark.start : mark.end]} {mark.label}" for mark in left]
        return Passage(column, html, len(text), len(shown), overlapping)

    def _classes(self, document: Document, column: str, value: Mapping[str, Any]) -> Classes:
        chosen = value.get("labels")
        chosen = [value["label"]] if chosen is None else chosen
        classes = []
        for each in value.get("scores") or [value]:
            label, score = each["label"] or "", each["score"]
            is_chosen = label in chosen
            if is_chosen:
                self._found(document, column, label, score)
            classes.append(Class(label, percent(score), is_chosen))
        n_open = max(N_OPEN_CLASSES, sum(each.is_chosen for each in classes))
        return Classes(classes[:n_open], classes[n_open:])

    def _questions(
        self, document: Document, text: str, column: str, values: Iterable[Mapping[str, Any]]
    ) -> list[Question]:
        """Return the questions of the settings, then those that the rows themselves bring."""
        named = self.questions.get(column, {})
        questions = {name: Question(asked) for name, asked in named.items()}
        for value in values:
            mark = self._mark(document, column, value["question"] or "", value)
            question = questions.setdefault(mark.label, Question(mark.label))
            question.answers.append(Answer(self._context(text, mark), mark.percent))
        return list(questions.values())

    def _context(self, text: str, mark: Mark) -> Markup:
        """Return the answer in the text around it, cut at spaces."""
        start = _word_edge(text, mark.start - CONTEXT_CHARS, mark.start)
        end = min(len(text), mark.end + CONTEXT_CHARS)
        if end < len(text):
            end = max(mark.end, text.rfind(" ", mark.end, end))
        inner = Mark(mark.start - start, mark.end - start, "", mark.facet, mark.percent)
        html = self.render(text[start:end], [inner])
        return Markup("… " if start else "") + html + Markup(" …" if end < len(text) else "")

    def _mark(self, document: Document, column: str, label: str, value: Mapping[str, Any]) -> Mark:
        score = value.get("score")
        facet = self._found(document, column, label, score)
        return Mark(value["start"], value["end"], label, facet, percent(score))

    def _found(self, document: Document, column: str, label: str, score: float | None) -> int:
        facet = self.facets.count(column, label)
        document.found.append((facet, percent(score)))
        return facet


def _word_edge(text: str, start: int, end: int) -> int:
    """Return the place after the first space in [start, end), so that no word is cut."""
    if start <= 0:
        return 0
    space = text.find(" ", start, end)
    return space + 1 if space >= 0 else start


def _fields(row: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if row[name] is not None:
            value = str(row[name])
            yield name, value if len(value) <= MAX_FIELD_CHARS else f"{value[:MAX_FIELD_CHARS]}…"
