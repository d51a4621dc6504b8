"""The page of an evaluation: what is in it, and that a browser runs and fetches nothing."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bertpipe.errors import OutputError
from bertpipe.evaluation.answers import AnswerScorer
from bertpipe.evaluation.classes import ClassScorer, MultiLabelScorer
from bertpipe.evaluation.entities import EntityScorer
from bertpipe.evaluation.evaluate import Evaluation
from bertpipe.evaluation.gold import Asked, Classed, marked_words
from bertpipe.evaluation.report import render, write_report

from ..view.browser import Browser, find_chromium

EVIL = "<script>document.title='x'</script><img src=http://127.0.0.1:1/a onerror=alert(1)> $x^2$"
ARABIC = "ولد نجيب محفوظ في القاهرة."


def classes(name: str = "model", text: str = EVIL) -> Evaluation:
    labels = ("bad", "good", EVIL)
    scorer = ClassScorer(labels, n_mistakes=3)
    for i in range(30):
        found = labels[i % 2]
        value = {"label": found, "score": 0.5 + i / 100, "labels": [found], "scores": []}
        scorer.add([Classed(text, (labels[i % 3],), place=f"{EVIL} line {i}")], [value])
    scores = scorer.scores()
    return Evaluation(name, EVIL, "text_classification", {"max_length": 512}, scores)


def several() -> Evaluation:
    scorer = MultiLabelScorer(("a", "b"), threshold=0.5, n_mistakes=2, find_threshold=True)
    for i in range(20):
        chances = {"a": i / 20, "b": 1 - i / 20}
        found = [label for label, chance in chances.items() if chance >= 0.5]
        scores = [{"label": label, "score": chance} for label, chance in chances.items()]
        value = {"label": "a", "score": 0.5, "labels": found, "scores": scores}
        scorer.add([Classed(ARABIC, ("a",) if i % 3 else ("b",))], [value])
    return Evaluation("topics", "t.csv", "text_classification", {}, scorer.scores())


def entities() -> Evaluation:
    scorer = EntityScorer(n_mistakes=2)
    words = ["Ada", "saw", EVIL.replace(" ", "_"), "Paris"]
    record = marked_words(words, ["B-PER", "O", "O", "B-LOC"], {})
    found = [{"start": 8, "end": 20, "label": "LOC", "score": 0.9}]
    scorer.add([record], [found])
    scores = scorer.scores()
    return Evaluation("ner", "x.conll", "token_classification", {}, scores, in_text=scores)


def answers() -> Evaluation:
    scorer = AnswerScorer(threshold=0.0, n_mistakes=2, find_threshold=True)
    gold = [Asked(EVIL, EVIL, ("Paris",)), Asked(ARABIC, "who?", ())]
    found = [[{"start": 2, "end": 8, "text": "cript>", "score": 0.75}]] * 2
    scorer.add(gold, found)
    return Evaluation("qa", "qa.json", "question_answering", {}, scorer.scores())


def page(*found: Evaluation) -> str:
    return render(found)


def test_all_that_was_found_is_in_the_page():
    html = page(replace(classes(), baseline=several().scores), several(), entities(), answers())
    for text in (
        "macro F1",
        "ROC-AUC",
        "expected calibration error",
        "No entity there",
        "onerror=alert(1)&gt; $x^2$ line 2",
    ):
        assert text in html
    assert html.count("data:image/svg+xml;base64,") == 4 + 2
    assert html.count('class="confusion"') == 2


def test_texts_labels_and_names_are_escaped():
    html = page(classes(name=EVIL), entities(), answers())
    assert "<script" not in html
    assert "<img src=http" not in html
    assert "&lt;script&gt;" in html


def test_a_matrix_that_would_be_too_large_is_a_list_of_pairs():
    labels = [f"label {i}" for i in range(40)]
    scorer = ClassScorer(labels, n_mistakes=0)
    for one, other in zip(labels, labels[1:] + labels[:1], strict=True):
        scorer.add([Classed("text", (one,))], [{"label": other, "score": 0.9}])
    html = page(Evaluation("m", "d", "text_classification", {}, scorer.scores()))
    assert 'class="confusion"' not in html
    assert "Commonest confusions" in html
    assert len(re.findall(r'<td class="name">', html)) == 20


def test_the_same_evaluation_gives_the_same_page():
    assert page(classes(), answers()) == page(classes(), answers())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written to .*file/report"):
        write_report([classes()], tmp_path / "file" / "report")


browser_needed = pytest.mark.skipif(
    find_chromium() is None,
    reason="no Chromium here; `apt-get install chromium` brings it",
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Iterator[Browser]:
    """Return a narrow browser that shows a page of all tasks."""
    folder = tmp_path_factory.mktemp("report")
    path = write_report([classes(name=EVIL), several(), entities(), answers()], folder / "made")
    with Browser(folder / "profile", "--window-size=380,800") as browser:
        browser.open(path)
        yield browser


@browser_needed
def test_nothing_in_the_page_is_run_or_fetched(shown):
    shown.evaluate("new Promise(resolve => setTimeout(resolve, 200))")
    assert shown.evaluate("document.title") == f"Evaluation of {EVIL}"
    assert shown.evaluate("document.scripts.length") == 0
    assert [url for url in shown.requested() if url.split(":")[0] not in ("file", "data")] == []
    assert shown.complaints() == []


@browser_needed
def test_every_plot_is_drawn(shown):
    widths = shown.evaluate("[...document.images].map(each => each.naturalWidth)")
    assert len(widths) == 6
    assert min(widths) > 100


@browser_needed
def test_the_page_is_no_wider_than_the_window(shown):
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


@browser_needed
def test_a_mistake_is_marked_in_its_text(shown):
    marks = shown.evaluate("[...document.querySelectorAll('mark')].map(m => m.textContent)")
    assert "cript>" in marks
    assert "Ada" in marks  # an entity that was not found
