"""Write an annotated output as one HTML page that fetches nothing and runs only its own script."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from markupsafe import Markup

from bertpipe.errors import OutputError
from bertpipe.records import ERROR, N_TOKENS, N_WINDOWS, OWN_COLUMNS, SOURCE, TRUNCATED
from bertpipe.view.columns import Kind, Shown, choose, is_field
from bertpipe.view.document import DocumentMaker
from bertpipe.view.facets import Facets
from bertpipe.view.marks import renderer
from bertpipe.view.output import Output, open_output, rows
from bertpipe.view.templates import Templates
from bertpipe.view.where import Where

PER_PAGE = 25
LIMIT = 1_000
ID = "id"


@dataclass(frozen=True)
class Page:
    """A written page: its path, and how many documents of the output it shows."""

    path: Path
    n_documents: int
    n_rows: int


def write_page(
    folder: Path,
    path: Path,
    *,
    columns: Sequence[str] = (),
    where: Sequence[str] = (),
    limit: int = LIMIT,
) -> Page:
    """Write the first `limit` documents for which every condition of `where` holds.

    columns: the annotations to show; all that can be shown if none is named.

    Raises:
        OutputError: `folder` is no output that can be read, or `path` is in no folder.
        ConfigError: A column or a condition does not fit the output.
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is no folder; make it or give another -o.")
    output = open_output(folder)
    conditions = [Where(text, output.schema) for text in where]
    shown = choose(output.schema, columns)
    templates, facets = Templates(), Facets()
    articles = list(_articles(output, shown, conditions, limit, templates, facets))
    html = templates.page(
        name=folder.resolve().name,
        articles=articles,
        n_rows=output.n_rows,
        where=where,
        groups=list(facets.groups([*shown, ERROR])),
        kinds={name: each.kind.value for name, each in shown.items()} | {ERROR: "errors"},
        models={name: model for name, model in output.models.items() if name in _columns(shown)},
        hues=facets.hues([name for name, each in shown.items() if each.kind is Kind.SPANS]),
        per_page=PER_PAGE,
    )
    path.write_text(html, encoding="utf-8")
    return Page(path, len(articles), output.n_rows)


def _articles(
    output: Output,
    shown: Mapping[str, Shown],
    conditions: Sequence[Where],
    limit: int,
    templates: Templates,
    facets: Facets,
) -> Iterator[Markup]:
    annotations = _columns(shown)
    fields = _fields(output.schema, output.text_field, annotations)
    maker = DocumentMaker(
        shown,
        text_field=output.text_field,
        fields=fields,
        questions={name: output.questions(name) for name in shown},
        render=renderer(),
        facets=facets,
    )
    own = (SOURCE, ERROR, N_TOKENS, N_WINDOWS, TRUNCATED)
    ids = [ID] if ID in output.schema.names else []
    columns = list(dict.fromkeys([*own, *ids, output.text_field, *annotations, *fields]))
    chosen = rows(output, columns=columns, where=conditions, limit=limit)
    for number, row in enumerate(chosen):
        yield templates.document(maker.make(row), is_hidden=number >= PER_PAGE)


def _columns(shown: Mapping[str, Shown]) -> list[str]:
    return list(dict.fromkeys(each.path[0] for each in shown.values()))


def _fields(schema: pa.Schema, text_field: str, annotations: Sequence[str]) -> list[str]:
    """Return the columns of the input that stand beside a text."""
    apart = {*OWN_COLUMNS, *annotations, text_field, ID}
    return [field.name for field in schema if field.name not in apart and is_field(field.type)]
