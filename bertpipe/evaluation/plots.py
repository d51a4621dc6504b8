"""Plots of an evaluation as SVG: numbers only, so that no text of the data is in them."""

import io
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bertpipe.evaluation.calibration import N_BINS
from bertpipe.evaluation.scores import Calibration, Threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Seen on light paper and on dark.
INK, LINE = "#83868f", "#4a80d4"
STYLE: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "bertpipe",  # the same plot is the same text
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
}


def reliability(found: Calibration) -> str:
    """Draw how often scores were right by their size, above how many there are of each size."""
    with _figure((4.6, 4.4)) as figure:
        above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        above.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1)
        above.plot(found.confidence, found.share_right, color=LINE, linewidth=1, alpha=0.4)
        # The area of a point is its share of the scores, but never too small to be seen.
        sizes = [8 + 60 * count / max(found.counts) for count in found.counts]
        above.scatter(found.confidence, found.share_right, sizes, color=LINE, clip_on=False)
        above.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
        bins = [min(int(mean * N_BINS), N_BINS - 1) for mean in found.confidence]
        middles = [(each + 0.5) / N_BINS for each in bins]
        below.bar(middles, found.counts, width=0.8 / N_BINS, color=LINE)
        below.set(xlabel="score", ylabel="number")
        _thin_ticks(below)
        return _svg(figure)


def threshold_curve(found: Threshold) -> str:
    """Draw a figure by threshold, with the best one and the one that was used."""
    with _figure((4.6, 3.2)) as figure:
        axes = figure.subplots()
        axes.plot(*zip(*found.at, strict=True), color=LINE, linewidth=1.5)
        axes.plot([found.best], [found.value], color=LINE, marker="o", markersize=6)
        axes.axvline(found.before, color=INK, linestyle=":", linewidth=1)
        axes.set(
            xlabel="threshold",
            ylabel=found.figure.replace("_", " ").replace("f1", "F1"),
            xlim=(-0.01, 1.01),
        )
        return _svg(figure)


def _thin_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")


@contextmanager
def _figure(size: tuple[float, float]) -> Iterator["Figure"]:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        yield Figure(figsize=size, layout="constrained")


def _svg(figure: "Figure") -> str:
    """Return the figure as the address of a picture that is in the page."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(file.getvalue()).decode('ascii')}"
