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


def test_a_run_that_met_the_end_of_the_memory_names_the_budget_that_fitted():
    passes = [{"layers": {"ner": 6}, "shared": {"ner": 0}, "batch_tokens": 8192}]
    lines = list(summarise(Report(Path("out"), counts={"halvings": 2}, passes=passes)))
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("memory")] == [
        "did not suffice 2 times; --run.batch_tokens 8192 begins with what did"
    ]
