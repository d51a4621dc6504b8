"""Where the time of a run went, for `--profile`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bertpipe.cli.text import counted, table

if TYPE_CHECKING:
    from bertpipe.report import Report


def profile_lines(report: Report) -> Iterator[str]:
    """Yield the lines that tell where a run's time went, stage by stage."""
    total = sum(report.stages.values())
    if not total:
        return
    yield f"Time of {counted(report.n_workers, 'worker')}, start-up left out:"
    rows = [
        (name, f"{seconds:.1f} s".rjust(10), f"{seconds / total:.1%}".rjust(6))
        for name, seconds in report.stages.items()
    ]
    rows.append(("start-up", f"{report.startup_seconds:.1f} s".rjust(10), ""))
    yield from table(rows)
    yield from table(
        [
            ("device idle", f"{report.device_idle:.1%}"),
            ("padding", f"{report.padding:.2%} of the computed tokens"),
            ("batches", f"{report.counts.get('batches', 0):,}"),
            ("halved", f"{report.counts.get('halvings', 0):,} that did not fit the memory"),
            *(
                (
                    "budget",
                    f"{each['batch_tokens']:,} tokens a batch of {', '.join(each['layers'])}",
                )
                for each in report.passes
            ),
        ]
    )
