"""How the sources are now, against what the parts say of them: new, grown, changed or gone.

A part knows of each of its sources how many bytes were read for its rows and their hash. A source
of the same size and time is taken to be the same. Otherwise its first bytes are hashed again: where
they are what they were, the rows stand, and what is longer has grown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from bertpipe.corpus.delimited import ends_within_quotes
from bertpipe.corpus.growth import goes_on, last_line_end, prefix_hashes
from bertpipe.corpus.sources import STANDARD_INPUT, Source
from bertpipe.corpus.streams import Meter
from bertpipe.output.footer import Part, Stamp

Ranges = list[tuple[int, int]]


class Verdict(Enum):
    """What a source is to the rows that a part has of it."""

    SAME = "same"
    GROWN = "grown"  # the rows stand
    LINE_GROWN = "line grown"  # all rows stand but the last, whose line was not finished
    CHANGED = "changed"


@dataclass(frozen=True)
class Changes:
    """The sources as they are now, and the names of those that are not as they were.

    sources: in their order, each ending before a last line that is still being written. grown:
    those with more than the parts cover. unfinished: those with such a line, which is left for the
    next run. ignored: those that have changed and whose rows stay as they are.
    """

    sources: tuple[Source, ...]
    new: tuple[str, ...] = ()
    grown: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    _verdicts: Mapping[tuple[str, Stamp], Verdict] = field(default_factory=dict)
    _last_rows: Mapping[tuple[str, Stamp], int] = field(default_factory=dict)

    def without_changed(self) -> Changes:
        """Return the same with the changed sources left out; the rows of these stand."""
        return replace(
            self,
            sources=tuple(each for each in self.sources if each.name not in self.changed),
            changed=(),
            ignored=self.changed,
            unfinished=tuple(name for name in self.unfinished if name not in self.changed),
            _verdicts={k: v for k, v in self._verdicts.items() if k[0] not in self.changed},
        )

    def to_dict(self) -> dict[str, list[str]]:
        """Return the names of the sources that are not as they were, new ones left out."""
        kinds = ("grown", "changed", "ignored", "gone", "unfinished")
        return {kind: list(getattr(self, kind)) for kind in kinds}

    def stands(self, name: str, stamp: Stamp) -> bool:
        """Tell whether all rows that were made from an earlier state of a source stand."""
        return self._verdicts.get((name, stamp)) in (Verdict.SAME, Verdict.GROWN)

    def stale_rows(self, part: Part) -> dict[str, Ranges]:
        """Return the rows of a part that have to be computed again, by source."""
        found: defaultdict[str, Ranges] = defaultdict(list)
        stamps = part.stamps
        for each in part.slices:
            key = (each.source, stamps[each.source])
            verdict = self._verdicts.get(key, Verdict.SAME)
            if verdict is Verdict.CHANGED:
                found[each.source].append((each.first_row, each.end_row))
            elif verdict is Verdict.LINE_GROWN and each.end_row == self._last_rows[key]:
                found[each.source].append((each.end_row - 1, each.end_row))
        return dict(found)


@dataclass
class _Rows:
    """What the parts have of one source in one state."""

    end_row: int = 0
    reach_end: bool = False

    def add(self, end_row: int, reach_end: bool) -> None:
        self.end_row = max(self.end_row, end_row)
        self.reach_end = self.reach_end or reach_end


def compare(parts: Iterable[Part], sources: Sequence[Source], *, final: bool = False) -> Changes:
    """Hold the sources against the parts; with `final` every last line counts as finished.

    Raises:
        CorpusError: A source that is no longer as it was cannot be read.
    """
    found = _rows_by_state(parts)
    named = {source.name for source in sources}
    verdicts: dict[tuple[str, Stamp], Verdict] = {}
    now, grown, changed, unfinished = [], [], [], []
    for source in sources:
        of_source = _judge(source, found.get(source.name, {}))
        now.append(source if final else _without_unfinished(source, found, of_source))
        if now[-1].end < source.size:
            unfinished.append(source.name)
        if Verdict.CHANGED in of_source.values():
            changed.append(source.name)
        elif Verdict.GROWN in of_source.values() and not _is_covered(now[-1], found):
            grown.append(source.name)
        for stamp, verdict in of_source.items():
            verdicts[source.name, stamp] = _line_verdict(now[-1], stamp, verdict)
    states = ((name, stamp, rows) for name, each in found.items() for stamp, rows in each.items())
    return Changes(
        sources=tuple(now),
        new=tuple(source.name for source in sources if source.name not in found),
        grown=tuple(grown),
        changed=tuple(changed),
        gone=tuple(name for name in found if name not in named),
        unfinished=tuple(unfinished),
        _verdicts=verdicts,
        _last_rows={(name, stamp): rows.end_row for name, stamp, rows in states},
    )


def _rows_by_state(parts: Iterable[Part]) -> dict[str, dict[Stamp, _Rows]]:
    found: defaultdict[str, dict[Stamp, _Rows]] = defaultdict(dict)
    for part in parts:
        stamps = part.stamps
        for each in part.slices:
            rows = found[each.source].setdefault(stamps[each.source], _Rows())
            rows.add(each.end_row, each.is_last)
    return dict(found)


def _judge(source: Source, states: Mapping[Stamp, _Rows]) -> dict[Stamp, Verdict]:
    """Say of each earlier state of a source what it is now; only what differs is read."""
    if source.name == STANDARD_INPUT:
        return dict.fromkeys(states, Verdict.SAME)
    others = [stamp for stamp in states if stamp[:2] != (source.size, source.mtime_ns)]
    sizes = {stamp.covered for stamp in others if stamp.digest}
    hashes = prefix_hashes(source, sizes) if sizes else {}
    verdicts = dict.fromkeys(states, Verdict.SAME)
    for stamp in others:
        stands = stamp.digest and hashes.get(stamp.covered) == stamp.digest
        if not stands or (stamp.size != source.size and not source.grows):
            verdicts[stamp] = Verdict.CHANGED
        elif stamp.size != source.size or (stamp.covered < stamp.size and states[stamp].reach_end):
            verdicts[stamp] = Verdict.GROWN
    _refuse_open_quotes(source, states, verdicts)
    return verdicts


def _refuse_open_quotes(
    source: Source, states: Mapping[Stamp, _Rows], verdicts: dict[Stamp, Verdict]
) -> None:
    """Take a CSV as changed that grew within quotes: its last records are cut otherwise now."""
    if source.format not in ("csv", "tsv"):
        return
    grown = [
        stamp
        for stamp, verdict in verdicts.items()
        if verdict is Verdict.GROWN and (stamp.covered == stamp.size or states[stamp].reach_end)
    ]
    for stamp in grown:
        before = replace(source, last_line_end=stamp.covered, meter=Meter())
        if stamp.covered == max(each.covered for each in grown) and ends_within_quotes(before):
            verdicts[stamp] = Verdict.CHANGED


def _without_unfinished(
    source: Source,
    found: Mapping[str, Mapping[Stamp, _Rows]],
    verdicts: Mapping[Stamp, Verdict],
) -> Source:
    """Return the source up to its last whole line if it is known to grow; rows done stay done."""
    if not (source.grows and _is_growing(source, found.get(source.name, {}), verdicts)):
        return source
    stands = [stamp for stamp, verdict in verdicts.items() if verdict is not Verdict.CHANGED]
    at_end = [stamp for stamp in stands if found[source.name][stamp].reach_end]
    end = max([last_line_end(source), *(stamp.covered for stamp in at_end)])
    return source if end == source.size else replace(source, last_line_end=end)


def _is_growing(
    source: Source, states: Mapping[Stamp, _Rows], verdicts: Mapping[Stamp, Verdict]
) -> bool:
    """Tell whether a source was ever seen longer than before, or with a line left for later.

    What it was before it changed is held apart from what it is now: that the one is longer than the
    other says nothing of growth.
    """
    before = {stamp.size for stamp, verdict in verdicts.items() if verdict is Verdict.CHANGED}
    now = {stamp.size for stamp, verdict in verdicts.items() if verdict is not Verdict.CHANGED}
    left_a_line = (each.covered < each.size and rows.reach_end for each, rows in states.items())
    return len(before) > 1 or bool(now - {source.size}) or any(left_a_line)


def _is_covered(source: Source, found: Mapping[str, Mapping[Stamp, _Rows]]) -> bool:
    """Tell whether a part has the last row of a source as it is now."""
    states = found[source.name].items()
    return any(rows.reach_end and stamp.covered == source.end for stamp, rows in states)


def _line_verdict(source: Source, stamp: Stamp, verdict: Verdict) -> Verdict:
    is_cut = verdict is Verdict.GROWN and stamp.covered == stamp.size
    if is_cut and stamp.covered < source.end and goes_on(source, stamp.covered):
        return Verdict.LINE_GROWN
    return verdict
