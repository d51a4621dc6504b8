"""The table at the end of a run."""

from pathlib import Path

from bertpipe.cli.summary import summarise
from bertpipe.report import Report


def test_a_pass_of_several_components_says_how_many_layers_it_computes():
    shared = {"layers": {"ner": 6, "mood": 6}, "shared": {"ner": 0, "mood": 5}}
    alone = {"layers": {"qa": 6}, "shared": {"qa": 0}}
    lines = list(summarise(Report(Path("out"), passes=[shared, alone])))
    assert [line.split(maxsplit=2)[2] for line in lines if line.startswith("one pass")] == [
        "ner, mood: 7 of 12 layers computed"
    ]
