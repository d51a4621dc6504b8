import csv

import pytest

from bertpipe.training.curves import rows_of, smooth, write_picture, write_table

HISTORY = [
    {"step": 1, "epoch": 0.5, "loss": 2.0, "learning_rate": 0.1, "grad_norm": 3.0, "seconds": 1.0},
    {"step": 2, "epoch": 1.0, "loss": 1.0, "learning_rate": 0.0, "seconds": 2.0},
    {"step": 2, "epoch": 1.0, "eval_ner_dev_f1": 0.5, "eval_qa_dev_f1": 0.7, "eval_score": 0.6},
    {"step": 2, "epoch": 1.0, "train_runtime": 5.0},
]


def test_a_table_has_a_row_a_step_with_the_figures_of_its_task(tmp_path):
    rows = rows_of(HISTORY, "ner", {"dev": {"f1": 0.5}})
    write_table(tmp_path / "curves.csv", rows)
    with (tmp_path / "curves.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [
        {"step": "1", "epoch": "0.5", "learning_rate": "0.1", "loss": "2.0", "dev f1": ""},
        {"step": "2", "epoch": "1.0", "learning_rate": "0.0", "loss": "1.0", "dev f1": "0.5"},
    ]


def test_a_name_that_is_a_formula_is_none_in_the_table(tmp_path):
    rows = rows_of(HISTORY, "ner", {"=cmd|' /C calc'!A0": {"f1": 0.5}})
    write_table(tmp_path / "curves.csv", [{**row, "=cmd|' /C calc'!A0 f1": 0.5} for row in rows])
    with (tmp_path / "curves.csv").open(newline="") as file:
        header, *_ = csv.reader(file)
    assert header[-1] == "'=cmd|' /C calc'!A0 f1"


def test_a_picture_is_drawn_without_a_display(tmp_path):
    rows = rows_of(HISTORY, "ner", {"dev": {"f1": 0.5}})
    write_picture(tmp_path / "curves.png", rows, figure="f1", best_step=2)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_smoothed_value_is_the_mean_of_its_neighbourhood():
    values = [float(i % 2) for i in range(60)]
    assert smooth(values)[1:-1] == pytest.approx([1 / 3, 2 / 3] * 29)
    assert smooth([1.0, 2.0]) == [1.0, 2.0]
    rising = [float(i) for i in range(100)]
    assert smooth(rising)[2:-2] == pytest.approx(rising[2:-2])
