"""Find the rows of an output that labelled records are for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bertpipe.errors import ConfigError, CorpusError
from bertpipe.evaluation.evaluate import Progress
from bertpipe.evaluation.gold import Asked, Gold, place_of_record
from bertpipe.evaluation.scores import Scorer
from bertpipe.records import ERROR
from bertpipe.view.output import Output, rows

NO_LIMIT = 1 << 62
N_ROWS = 1024  # that are held at once
SHOWN_CHARS = 60
Change = Callable[[Any], Any]
Key = tuple[str, str | None]


def join(
    output: Output, name: str, records: Sequence[Gold], path: Path
) -> Iterator[tuple[list[Gold], Any, bool]]:
    """Yield what the column has in each row, the records that it is for, and whether it failed.

    Of rows with the same text the first counts. Nothing of a row is kept; of the records, which are
    in memory, it is kept where they are.
    """
    places: dict[Key, list[int]] = {}
    for number, record in enumerate(records):
        places.setdefault(key_of(record), []).append(number)
    n_keys = len(places)
    for key, value, is_error in annotations(output, name, has_questions=is_asked(records)):
        if numbers := places.pop(key, None):
            yield [records[number] for number in numbers], value, is_error
    if places:
        first = records[min(numbers[0] for numbers in places.values())]
        raise CorpusError(
            f"{len(places):,} of {n_keys:,} texts of {path} are not in {output.folder} (the first "
            f"is {first.text[:SHOWN_CHARS]!r}, {place_of_record(first)}); annotate them too, or "
            "leave them out."
        )


def score_rows(
    joined: Iterable[tuple[list[Gold], Any, bool]],
    scorer: Scorer,
    change: Change,
    n_records: int,
    progress: Progress | None,
) -> int:
    """Hand rows to the scorer, N_ROWS at a time; return how many are in error."""
    n_errors = n_done = 0
    rest = iter(joined)
    while piece := list(islice(rest, N_ROWS)):
        found = [(record, change(value)) for records, value, _ in piece for record in records]
        scorer.add(*zip(*found, strict=True))
        n_errors += sum(is_error for *_, is_error in piece)
        n_done += len(found)
        if progress:
            progress(n_done, n_records)
    return n_errors


def key_of(record: Gold) -> Key:
    """Return what a record and its row have in common."""
    return record.text, record.question if isinstance(record, Asked) else None


def is_asked(records: Sequence[Gold]) -> bool:
    """Tell whether the records are questions."""
    return isinstance(records[0], Asked)


def annotations(
    output: Output, name: str, *, has_questions: bool
) -> Iterator[tuple[Key, Any, bool]]:
    """Yield the key, the annotation and whether there is an error, of every row or question."""
    field = question_field(output, name) if has_questions else None
    columns = [output.text_field, name, ERROR, *([field] if field else [])]
    questions = output.questions(name)
    for row in rows(output, columns=columns, where=(), limit=NO_LIMIT):
        text, value, is_error = row[output.text_field], row[name], row[ERROR] is not None
        if not has_questions:
            yield (text, None), value, is_error
            continue
        asked = {row[field]: row[field]} if field else questions
        for label, question in asked.items():
            answers = [each for each in value or () if each["question"] == label]
            yield (text, question), answers, is_error


def question_field(output: Output, name: str) -> str | None:
    """Return the column with the question of each row, if the run asked these."""
    settings = output.parts[0].job.fingerprint.get(f"component {name}", {})
    field = settings.get("question_field")
    if field is not None and field not in output.schema.names:
        raise ConfigError(
            f"{output.folder} has no column {field!r} with the questions; run with --keep {field} "
            "as well."
        )
    return field
