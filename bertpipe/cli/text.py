"""Plain text for people: tables, numbers and durations."""

from collections.abc import Iterable, Sequence


def table(rows: Iterable[Sequence[str]], *, gap: str = "  ") -> list[str]:
    """Return the rows as lines with aligned columns; the last column is as wide as it is."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def duration(seconds: float) -> str:
    """Return a duration as `12.3 s`, `4:05` or `1:02:03`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: `1 row`, `2,000 rows`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def size(n_bytes: int) -> str:
    """Return a size as `1.2 MB`."""
    amount = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def rate(amount: float, noun: str) -> str:
    """Return a speed as `8,100 tokens/s`, or `4.6 docs/s` where a whole number says too little."""
    return f"{amount:,.0f} {noun}/s" if amount >= 10 else f"{amount:.1f} {noun}/s"


def names(found: Sequence[str], *, n_shown: int = 3) -> str:
    """Return some names, and how many more there are: `a, b, c and 7 more`."""
    n_more = len(found) - n_shown
    return ", ".join(found[:n_shown]) + (f" and {n_more:,} more" if n_more > 0 else "")
