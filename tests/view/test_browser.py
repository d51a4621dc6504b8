"""A page in a real browser: what is seen, what is run and what is fetched."""

import socket
from collections.abc import Iterator

import pytest

from bertpipe.view.page import PER_PAGE, write_page

from .browser import Browser, find_chromium
from .conftest import Row, classes, span

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="no Chromium here; `apt-get install chromium` brings it"
)
ARABIC = "1911: ولد نجيب محفوظ في القاهرة."
VISIBLE = "[...document.querySelectorAll('article')].filter(each => each.checkVisibility())"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile"), "--window-size=1200,900") as browser:
        yield browser


@pytest.fixture
def show(make_output, tmp_path, browser):
    """Return a function that opens a page of some rows."""

    def show(rows):
        page = tmp_path / "page.html"
        write_page(make_output(rows), page)
        browser.open(page)
        return browser

    return show


def n_requests(server: socket.socket) -> int:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return 0
    return 1


def evil_texts(address: str) -> list[str]:
    return [
        "<script>document.title='x'</script>",
        f"</div></article></main><script src='{address}/a.js'></script>",
        f"<img src={address}/b.png onerror=\"document.title='x'\"> <svg onload=alert(1)>",
        f"<link rel=stylesheet href={address}/c.css><style>@import '{address}/d.css';</style>",
        f"<iframe src={address}/e></iframe><meta http-equiv=refresh content='0;url={address}/f'>",
        "]]></script><!-- {{ 7 * 7 }} ${alert(1)} \u2028 \0 \x1b",
    ]


def test_nothing_in_a_text_is_run_or_fetched(show, listener, browser):
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    texts = evil_texts(address)
    rows = [
        {
            "id": text,
            "text": text,
            "ner": [span(text, text[1:7], text)],
            "mood": classes(**{text: 0.9}),
            "qa": [{"question": text, "start": 0, "end": 5, "text": text[:5], "score": 0.5}],
            "_error": dict.fromkeys(("stage", "component", "type", "message"), text),
        }
        for text in texts
    ]
    show(rows)
    browser.evaluate("new Promise(resolve => setTimeout(resolve, 300))")
    assert browser.evaluate("document.title") == "letters.annotated"
    assert browser.evaluate("document.scripts.length") == 1
    assert browser.evaluate("document.querySelectorAll('img, link, iframe').length") == 0
    shown = browser.evaluate("[...document.querySelectorAll('h2')].map(each => each.textContent)")
    assert shown == [text.replace("\0", "␀").replace("\x1b", "␛") for text in texts]
    assert [url for url in browser.requested() if not url.startswith("file://")] == []
    assert n_requests(listener) == 0
    assert browser.complaints() == []


def test_the_policy_forbids_what_a_page_would_fetch(show, listener, browser):
    show([{"text": "Ada"}])
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
    load = (
        f"new Promise(done => {{ const i = new Image(); i.onerror = done; i.src = '{address}' }})"
    )
    browser.evaluate(f"{load}.then(() => 0)")
    browser.evaluate("document.body.setAttribute('onclick', 'document.title = 1')")
    browser.evaluate("document.body.click()")
    assert browser.evaluate("document.title") == "letters.annotated"
    assert n_requests(listener) == 0


def test_pages_are_turned(show):
    browser = show([{"id": str(i), "text": f"text {i}", "ner": []} for i in range(PER_PAGE + 2)])
    assert browser.evaluate(f"{VISIBLE}.length") == PER_PAGE
    browser.evaluate("document.querySelector('[data-step=\"1\"]').click()")
    names = f"{VISIBLE}.map(each => each.querySelector('h2').textContent)"
    assert browser.evaluate(names) == [str(PER_PAGE), str(PER_PAGE + 1)]
    assert browser.evaluate("document.querySelector('.range').textContent") == "26–27 of 27"
    assert browser.evaluate("document.querySelector('[data-step=\"1\"]').disabled") is True


@pytest.mark.parametrize(
    ("labels", "least", "seen"),
    [
        ([], 0, "abcd"),
        (["PER"], 0, "ab"),
        (["PER", "LOC"], 0, "abc"),
        (["PER", "joy"], 0, "a"),
        (["PER"], 50, "a"),
        ([], 95, "d"),
        (["LOC"], 95, ""),
    ],
)
def test_documents_are_filtered_by_label_and_score(show, labels, least, seen):
    text = "Ada saw London"
    rows: list[Row] = [
        {"id": "a", "ner": [span(text, "Ada", "PER", 0.9)], "mood": classes(joy=0.9)},
        {"id": "b", "ner": [span(text, "Ada", "PER", 0.4)], "mood": classes(fear=0.9)},
        {"id": "c", "ner": [span(text, "London", "LOC", 0.9)], "mood": classes(joy=0.9)},
        {"id": "d", "ner": [], "mood": classes(fear=0.99)},
    ]
    browser = show([{**row, "text": text} for row in rows])
    for label in labels:
        find = f"find(each => each.innerText.includes('{label}')).querySelector('input')"
        browser.evaluate(f"[...document.querySelectorAll('aside li')].{find}.click()")
    move = f"const slider = document.getElementById('least'); slider.value = {least};"
    browser.evaluate(f"{move} slider.dispatchEvent(new Event('input', {{bubbles: true}}))")
    names = f"{VISIBLE}.map(each => each.querySelector('h2').textContent).join('')"
    assert browser.evaluate(names) == seen
    browser.evaluate("document.querySelector('button[type=reset]').click()")
    browser.evaluate("new Promise(resolve => setTimeout(resolve))")
    assert browser.evaluate(names) == "abcd"


def test_an_entity_that_is_filtered_out_loses_its_colour(show):
    text = "Ada saw London"
    browser = show([{"text": text, "ner": [span(text, "Ada"), span(text, "London", "LOC", 0.4)]}])
    browser.evaluate("document.getElementById('least').value = 50")
    browser.evaluate("document.forms[0].dispatchEvent(new Event('input'))")
    colours = "[...document.querySelectorAll('mark')].map(m => getComputedStyle(m).backgroundColor)"
    sure, unsure = browser.evaluate(colours)
    assert unsure == "rgba(0, 0, 0, 0)" != sure


def test_right_to_left_text_runs_from_right_to_left(show):
    browser = show(
        [
            {"text": ARABIC, "ner": [span(ARABIC, "1911", "DATE"), span(ARABIC, "القاهرة", "LOC")]},
            {"text": "Cairo, 1911", "ner": [span("Cairo, 1911", "1911", "DATE")]},
        ]
    )
    directions = (
        "[...document.querySelectorAll('.text')].map(each => getComputedStyle(each).direction)"
    )
    assert browser.evaluate(directions) == ["rtl", "ltr"]
    place = "(m => [m.firstChild, m.lastChild].map(node => { const range = document.createRange();"
    place += " range.selectNodeContents(node); return range.getBoundingClientRect().left; }))"
    lefts = browser.evaluate(f"[...document.querySelectorAll('mark')].map({place})")
    assert [word > label for word, label in lefts] == [True, True, False]


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window(show, tmp_path, width):
    long = "unbroken" * 100
    show([{"id": long, "text": long, "ner": [span(long, long[:300], long)]}])
    with Browser(tmp_path / "narrow", f"--window-size={width},800") as browser:
        browser.open(tmp_path / "page.html")
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_page_without_script_shows_every_document(make_output, tmp_path):
    page = tmp_path / "page.html"
    write_page(make_output([{"text": "Ada"}] * (PER_PAGE + 1)), page)
    with Browser(tmp_path / "plain", "--blink-settings=scriptEnabled=false") as browser:
        browser.open(page)
        assert browser.evaluate(f"{VISIBLE}.length") == PER_PAGE + 1
