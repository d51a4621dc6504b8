"""Learning curves: loss by step and dev figures by evaluation, as a table and as a picture."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TABLE, PICTURE = "curves.csv", "curves.png"
ALWAYS = ("step", "epoch", "learning_rate", "loss")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with these a spreadsheet begins to compute
SMOOTHED_OVER = 20  # the line in front is the mean over this part of the curve
Row = dict[str, float]


def rows_of(
    history: Sequence[Mapping[str, float]], task: str, scores: Mapping[str, Mapping[str, float]]
) -> list[Row]:
    """Return what was logged by step, one row a step: loss, and the figures of the task's files."""
    columns = {name: name for name in ALWAYS}
    columns |= {
        f"eval_{task}_{file}_{figure}": f"{file} {figure}"
        for file, figures in scores.items()
        for figure in figures
    }
    rows: dict[float, Row] = {}
    for entry in history:
        found = {column: entry[name] for name, column in columns.items() if name in entry}
        if len(found) > len({"step", "epoch"}):
            rows.setdefault(entry["step"], {}).update(found)
    return list(rows.values())


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV; a cell is empty where nothing was measured at that step."""
    names = list(dict.fromkeys([*ALWAYS, *(name for row in rows for name in row)]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writerow({name: f"'{name}" if name.startswith(FORMULA) else name for name in names})
        writer.writerows(rows)


def write_picture(path: Path, rows: Sequence[Row], *, figure: str, best_step: int) -> None:
    """Draw the loss above and one figure of each dev file below; mark the best checkpoint."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(8, 6), layout="constrained")
    above, below = picture.subplots(2, sharex=True)
    _draw_loss(above, [row for row in rows if "loss" in row])
    _draw_scores(below, rows, figure)
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        best = f"best checkpoint, step {best_step:,}"
        axes.axvline(best_step, color="black", linestyle=":", linewidth=1, label=best)
        axes.legend(frameon=False)
    picture.savefig(path, dpi=120)


def _draw_loss(axes: "Axes", rows: Sequence[Row]) -> None:
    steps, losses = [row["step"] for row in rows], [row["loss"] for row in rows]
    axes.plot(steps, losses, color="tab:blue", alpha=0.3, linewidth=1)
    axes.plot(steps, smooth(losses), color="tab:blue", linewidth=1.5, label="loss, smoothed")
    axes.set_ylabel("training loss")
    axes.set_ylim(bottom=0)


def _draw_scores(axes: "Axes", rows: Sequence[Row], figure: str) -> None:
    for name in dict.fromkeys(name for row in rows for name in row):
        if name.endswith(f" {figure}"):
            found = [row for row in rows if name in row]
            axes.plot(
                [row["step"] for row in found],
                [row[name] for row in found],
                marker="o",
                markersize=4,
                label=name.removesuffix(f" {figure}"),
            )
    axes.set_ylabel(f"{figure.replace('_', ' ')} on the dev files")
    axes.set_xlabel("step")


def smooth(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its neighbours on both sides."""
    width = len(values) // SMOOTHED_OVER // 2
    near = [values[max(0, i - width) : i + width + 1] for i in range(len(values))]
    return [sum(each) / len(each) for each in near]
