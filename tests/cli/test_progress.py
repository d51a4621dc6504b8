"""Progress: one line that changes on a terminal, plain lines elsewhere."""

import pytest

from bertpipe.cli.progress import ProgressLine, describe
from bertpipe.report import Progress


def moment(seconds, **changes):
    values = {"n_rows": 100, "n_done": 0, "n_errors": 0, "n_tokens": 5000, "share": None}
    return Progress(**{**values, "seconds": seconds, **changes})


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (moment(10), "100 rows  10 docs/s  500 tokens/s"),
        (moment(0), "100 rows  100 docs/s  5,000 tokens/s"),
        (moment(100, n_errors=3), "100 rows  3 in error  1.0 docs/s  50 tokens/s"),
        (moment(10, n_done=900), "1,000 rows  10 docs/s  500 tokens/s"),
        (moment(110, share=1.0), "100 rows  0.9 docs/s  45 tokens/s"),
        (moment(110, share=0.5), "100 rows  0.9 docs/s  45 tokens/s  50%  1:40 left"),
    ],
)
def test_a_moment_in_words(now, line):
    assert describe(now, moment(10, share=0.0)) == line


def test_a_terminal_has_one_line(capsys):
    line = ProgressLine(is_terminal=True)
    line(moment(1))
    line(moment(100))
    line.clear()
    written = capsys.readouterr().err
    assert "\n" not in written
    assert written.split("\r")[1:3] == [
        "100 rows  100 docs/s  5,000 tokens/s",
        "100 rows  1.0 docs/s  50 tokens/s   ",
    ]
    assert written.endswith("\r")


def test_elsewhere_lines_come_now_and_then(capsys):
    line = ProgressLine(is_terminal=False)
    for seconds in range(100):
        line(moment(seconds))
    line.clear()
    assert capsys.readouterr().err.count("\n") == 3
