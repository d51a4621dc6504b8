"""A page of 10,000 documents in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bertpipe.view.marks import percent
from bertpipe.view.page import PER_PAGE, Page, write_page

from .browser import Browser, find_chromium
from .conftest import Row, classes, span, write_output

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_chromium() is None, reason="no Chromium here; `apt-get install chromium` brings it"
    ),
]
N = 10_000
LAST = N - PER_PAGE
NAMES = "[...document.querySelectorAll('article')].filter(each => each.checkVisibility())"
NAMES += ".map(each => each.querySelector('h2').textContent)"


def row(i: int, address: str) -> Row:
    """Return a short document; each has its own scores, some have a script and some an error."""
    text = f"Letter {i}: Ada wrote from {'Paris' if i % 40 else 'London'}."
    if i % 10 == 1:
        text += f"<script src='{address}/a.js'></script><img src={address}/b.png onerror=alert(1)>"
    if i % 100 == 7:
        text = f"{i}: ولد نجيب محفوظ في القاهرة."
        return {"id": str(i), "text": text, "ner": [span(text, "القاهرة", "LOC", i / N)]}
    if i % 1000 == 9:
        error = {"stage": "read", "component": None, "type": "NoText", "message": "it is null"}
        return {"id": str(i), "text": None, "_error": error}
    entities = [span(text, "Ada", "PER", i / N)]
    entities += [] if i % 40 else [span(text, "London", "GPE", 0.9)]
    mood = classes(joy=0.8, fear=0.2) if i % 20 else classes(fear=0.7, joy=0.3)
    answer = {"question": "who", "start": 0, "end": 6, "text": "Letter", "score": 0.5}
    return {"id": str(i), "text": text, "ner": entities, "mood": mood, "qa": [answer]}


@pytest.fixture(scope="module")
def rows(listener) -> list[Row]:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return [row(i, address) for i in range(N)]


@pytest.fixture(scope="module")
def page(rows, tmp_path_factory) -> Page:
    folder = tmp_path_factory.mktemp("large")
    return write_page(write_output(folder / "out", rows), folder / "page.html", limit=N)


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile"), "--window-size=1200,900") as browser:
        browser.open(page.path)
        yield browser


def press(browser: Browser, label: str) -> None:
    find = f"find(each => each.textContent === '{label}')"
    browser.evaluate(f"[...document.querySelectorAll('.pager button')].{find}.click()")


def choose(browser: Browser, *labels: str, least: int = 0) -> list[str]:
    """Clear the filters, set others, and return the names of all documents of all pages."""
    browser.evaluate("document.querySelector('button[type=reset]').click()")
    browser.evaluate("new Promise(resolve => setTimeout(resolve))")
    for label in labels:
        find = f"find(each => each.innerText.startsWith('{label}')).querySelector('input')"
        browser.evaluate(f"[...document.querySelectorAll('aside li')].{find}.click()")
    move = f"document.getElementById('least').value = {least};"
    browser.evaluate(f"{move} document.forms[0].dispatchEvent(new Event('input'))")
    seen = browser.evaluate(NAMES)
    while not browser.evaluate("document.querySelector('[data-step=\"1\"]').disabled"):
        press(browser, "Next")
        seen += browser.evaluate(NAMES)
    return seen


def position(browser: Browser) -> tuple[str, str, list[bool]]:
    """Return range and page as the page tells them, and which buttons cannot be pressed."""
    told = browser.evaluate("document.querySelector('.range').textContent")
    number = "document.querySelector('.turn input').value + ' of '"
    pages = browser.evaluate(f"{number} + document.querySelector('.pages').textContent")
    buttons = "[...document.querySelector('.pager').querySelectorAll('button')]"
    return told, pages, browser.evaluate(f"{buttons}.map(each => each.disabled)")


def test_first_next_and_last_page_and_one_by_its_number_are_shown(browser):
    def numbers(first: int) -> list[str]:
        return [str(i) for i in range(first, first + PER_PAGE)]

    assert browser.evaluate(NAMES) == numbers(0)
    assert position(browser) == ("1–25 of 10,000", "1 of 400", [True, True, False, False])
    press(browser, "Next")
    assert browser.evaluate(NAMES) == numbers(PER_PAGE)
    assert position(browser) == ("26–50 of 10,000", "2 of 400", [False] * 4)
    press(browser, "Last")
    assert browser.evaluate(NAMES) == numbers(LAST)
    told = ("9,976–10,000 of 10,000", "400 of 400", [False, False, True, True])
    assert position(browser) == told
    for typed, first in (("200", 199 * PER_PAGE), ("9000", LAST), ("-3", 0), ("", 0)):
        turn = f"const i = document.querySelector('.turn input'); i.value = '{typed}';"
        browser.evaluate(f"{{ {turn} i.dispatchEvent(new Event('change')) }}")
        assert browser.evaluate(NAMES) == numbers(first)
    press(browser, "Last")
    press(browser, "Previous")
    assert browser.evaluate(NAMES) == numbers(LAST - PER_PAGE)
    press(browser, "First")
    assert browser.evaluate(NAMES) == numbers(0)


@pytest.mark.parametrize(
    ("labels", "least"),
    [(["LOC"], 0), (["NoText"], 0), (["LOC", "GPE"], 80), (["PER"], 98), (["PER", "fear"], 60)],
)
def test_a_filter_finds_documents_on_every_page(browser, rows, labels, least):
    def is_wanted(row: Row) -> bool:
        groups: dict[str, bool] = {}
        found = [("ner", e["label"], percent(e["score"])) for e in row.get("ner") or ()]
        if "mood" in row:
            found.append(("mood", row["mood"]["label"], percent(row["mood"]["score"])))
        if "_error" in row:
            found.append(("_error", row["_error"]["type"], 100))
        of = {"LOC": "ner", "GPE": "ner", "PER": "ner", "fear": "mood", "NoText": "_error"}
        for label in labels:
            has = any(f[0] == of[label] and f[1] == label and f[2] >= least for f in found)
            groups[of[label]] = groups.get(of[label], False) or has
        return all(groups.values())

    wanted = [row["id"] for row in rows if is_wanted(row)]
    assert len(wanted) >= 10
    assert choose(browser, *labels, least=least) == wanted
    told = browser.evaluate("document.querySelector('.range').textContent")
    assert told.endswith(f" of {len(wanted):,}")


def test_labels_are_counted_over_all_pages(browser, rows):
    counts = "[...document.querySelectorAll('aside li')].map(each => "
    counts += "[each.querySelector('.name').textContent, each.querySelector('.count').textContent])"
    found = dict(browser.evaluate(counts))
    people = sum(e["label"] == "PER" for row in rows for e in row.get("ner") or ())
    assert found["PER"] == f"{people:,}"
    assert (found["LOC"], found["NoText"]) == ("100", "10")


def test_nothing_is_run_or_fetched(browser, listener):
    choose(browser, "LOC")
    assert browser.evaluate("document.scripts.length") == 1
    assert browser.evaluate("document.querySelectorAll('img, link, iframe').length") == 0
    assert [url for url in browser.requested() if not url.startswith("file://")] == []
    assert browser.complaints() == []
    with pytest.raises(TimeoutError):
        listener.accept()


def test_a_short_document_takes_little_room(page: Page, rows):
    assert page.n_documents == N
    n_bytes = sum(len((row["text"] or "").encode()) for row in rows)
    assert Path(page.path).stat().st_size < 2 * n_bytes + 2_000 * N
