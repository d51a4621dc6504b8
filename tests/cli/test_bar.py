import re

from bertpipe.cli import bar
from bertpipe.cli.bar import TrainingBar, describe
from bertpipe.training.callbacks import Moment


def test_a_moment_is_told_in_words():
    assert describe(Moment(0, 2000), n_done=0, seconds=0) == "step 0 of 2,000"
    moment = Moment(1500, 2000, loss=0.25, score=0.875)
    assert describe(moment, n_done=1000, seconds=200) == (
        "step 1,500 of 2,000  loss 0.2500  score 0.8750  1:40 left"
    )


def test_the_time_of_a_finished_training_is_not_told():
    assert describe(Moment(9, 9, loss=1.0), n_done=9, seconds=5) == "step 9 of 9  loss 1.0000"


def test_without_a_terminal_there_is_a_line_at_each_evaluation_and_now_and_then(
    capsys, monkeypatch
):
    shown = TrainingBar(is_terminal=False)
    for step in range(5):
        shown(Moment(step, 4, loss=0.5, is_evaluated=step == 3))
    assert re.fullmatch(r"step 3 of 4  loss 0\.5000  0\.0 s left\n", capsys.readouterr().err)
    monkeypatch.setattr(bar, "PLAIN_SECONDS", 0.0)
    shown(Moment(4, 4))
    assert capsys.readouterr().err == "step 4 of 4\n"


def test_on_a_terminal_there_is_a_bar_with_loss_score_and_time_left(capsys):
    shown = TrainingBar(is_terminal=True)
    for step in range(50, 101):
        shown(Moment(step, 100, loss=0.5, score=0.75, is_evaluated=step == 100))
    shown.say("mood is in out")
    drawn, last = capsys.readouterr().err.rstrip("\n").rsplit("\n", 1)
    assert last == "mood is in out"
    final = drawn.rsplit("\r", 1)[1]
    assert final.startswith("100%|")
    assert "100/100" in final
    assert "loss 0.5000  score 0.7500" in final
    assert " 50%|" in drawn
