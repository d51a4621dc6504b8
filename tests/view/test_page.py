"""What stands in a page, read as text."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from bertpipe.errors import ConfigError, OutputError
from bertpipe.output.schema import output_schema
from bertpipe.records import CLASSIFICATION_TYPE, NER_TYPE, SPAN_GROUPS_TYPE, TOKENS_TYPE
from bertpipe.view.document import FOLD_CHARS, MAX_TEXT_CHARS
from bertpipe.view.page import PER_PAGE, Page, write_page
from bertpipe.view.tables import MAX_ROWS

from .conftest import INPUT, SCHEMA, Row, classes, span, write_output

TEXT = "Ada Byron met Charles Babbage in London in 1833."
ANSWER = {"question": "when", "start": 43, "end": 47, "text": "1833", "score": 0.96}
ROW: Row = {
    "id": "a",
    "text": TEXT,
    "stars": 7,
    "ner": [span(TEXT, "Ada Byron"), span(TEXT, "London", "LOC", 0.8)],
    "mood": classes(joy=0.75, anger=0.2, fear=0.05),
    "qa": [ANSWER],
    "_n_tokens": 1234,
    "_n_windows": 3,
    "_truncated": True,
}
ERROR = {"stage": "read", "component": None, "type": "NullText", "message": "the text is null"}


@pytest.fixture
def page(make_output, tmp_path):
    """Return a function that writes rows, then a page of them, and returns the page's text."""

    def write(rows: list[Row], **options) -> str:
        write_page(make_output(rows), tmp_path / "page.html", **options)
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return write


def find(pattern: str, html: str) -> str:
    """Return what the group of a pattern matches."""
    found = re.search(pattern, html)
    assert found is not None
    return found[1]


def words(html: str) -> str:
    """Return what a reader sees of some HTML, roughly."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_a_document_shows_all_that_was_found(page):
    seen = words(page([ROW]))
    assert "a.jsonl , row 0 · 1,234 tokens in 3 windows · truncated stars 7" in seen
    assert "Ada Byron PER 0.90 met Charles Babbage in London LOC 0.80 in 1833." in seen
    assert "mood joy 0.75 anger 0.20 fear 0.05" in seen


def test_answers_stand_under_their_questions(page):
    seen = words(page([ROW]))
    asked = seen.index("Who is it? No answer found When was it?")
    assert "London in 1833 0.96 . 0.96" in seen[asked:]


def test_an_answer_in_a_long_text_stands_in_a_piece_of_it(page):
    text = "word " * 200 + "1833" + " word" * 200
    answer = {**ANSWER, "start": 1000, "end": 1004}
    seen = words(page([{"id": "a", "text": text, "qa": [answer]}], columns=["qa"]))
    assert f"… {'word ' * 31}1833 0.96 word" in seen
    assert "Whole text" in seen


def test_an_error_is_shown_with_its_message(page):
    html = page([{"_error": ERROR}])
    assert "record: NullText the text is null" in words(html)
    assert "errors 1 NullText 1" in words(html)


def test_labels_are_counted(page):
    seen = words(page([ROW, {**ROW, "ner": ROW["ner"][:1]}]))
    assert "ner 3 PER 2 LOC 1 mood 2 joy 2 qa 2 when 2" in seen


def test_a_page_needs_no_script_to_count_its_bars(page):
    html = page([ROW, {**ROW, "ner": ROW["ner"][:1]}])
    assert html.count('<rect width="50.00"') == 1


def test_the_label_of_every_annotation_can_be_filtered(page):
    assert 'data-found="0:90 1:80 2:75 3:96 "' in page([ROW])


def test_text_is_never_markup(page):
    evil = "</script></style></article><script>alert(1)</script><img src=x onerror=alert(1)>"
    error = dict.fromkeys(ERROR, evil)
    row = {
        "id": evil,
        "text": evil,
        "ner": [span(evil, "article", evil)],
        "mood": classes(**{evil: 0.9}),
        "qa": [{**ANSWER, "question": evil, "start": 0, "end": 4}],
        "_error": error,
    }
    html = page([row])
    assert html.count("<script") == html.count("</script") == 1
    assert "<img" not in html
    assert html.count("<article") == html.count("</article") == 1


def test_only_what_is_in_the_page_may_run(page):
    html = page([ROW])
    policy = find(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy.startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"\b(?:src|href|srcset|action|style)=|url\(|@import", html)
    assert not re.search(r"\bon\w+=", html)


def test_only_the_first_page_is_open(page):
    html = page([ROW] * (PER_PAGE + 3))
    assert len(re.findall(r"<article [^>]*hidden>", html)) == 3


def test_a_long_text_is_folded_and_a_very_long_one_is_cut_and_says_so(page):
    assert 'class="text long"' not in page([{"text": "x" * FOLD_CHARS, "ner": []}])
    html = page([{"text": "x" * (MAX_TEXT_CHARS + 5), "ner": []}])
    assert 'class="text long"' in html
    assert "The page holds the first 50,000 of 50,005 characters." in html
    assert "x" * (MAX_TEXT_CHARS + 1) not in html


def test_overlapping_entities_are_named_below_the_text(page):
    row = {**ROW, "ner": [span(TEXT, "Ada Byron"), span(TEXT, "Byron", "LOC")]}
    assert "Overlapping, not marked: Byron LOC" in words(page([row]))


def test_many_classes_are_folded(page):
    row = {**ROW, "mood": classes(**{f"mood{i}": 0.1 for i in range(9)})}
    assert "mood4 0.10 4 more mood5 0.10" in words(page([row]))


def test_a_label_has_its_colour_whatever_its_rank(page):
    def hue(html: str, label: str) -> str:
        number = find(rf'class="f(\d+)"><label><input[^>]*>[^/]*<bdi>{label}<', html)
        return find(rf"\.f{number} {{ --hue: (\d+)", html)

    first, second = page([ROW]), page([{**ROW, "ner": ROW["ner"][::-1]}])
    without = page([{**ROW, "ner": ROW["ner"][:1]}])
    assert hue(first, "PER") == hue(second, "PER") == hue(without, "PER") != hue(second, "LOC")


def test_columns_and_rows_are_chosen(page):
    html = page([ROW, {**ROW, "id": "b", "stars": 9}], columns=["mood"], where=["stars > 7"])
    assert "1 of 2 documents · stars &gt; 7" in words(html)
    assert "<h2><bdi>b</bdi></h2>" in html
    assert "PER" not in words(html)


def test_the_limit_counts_documents_that_are_shown(make_output, tmp_path):
    rows = [{**ROW, "stars": i % 2} for i in range(600)]
    path = tmp_path / "page.html"
    written = write_page(make_output(rows), path, where=["stars == 1"], limit=290)
    assert written == Page(path, 290, 600)


def test_no_document_is_a_page_too(page):
    assert "0 of 1 documents" in words(page([ROW], where=["stars > 7"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["nre"]}, "Column 'nre' does not exist and cannot be viewed; choose from ner"),
        ({"columns": ["stars"]}, "Column 'stars' is of type int64 and cannot be viewed"),
        ({"where": ["star > 3"]}, "there is no column 'star'"),
    ],
)
def test_what_does_not_fit_is_said(page, options, message):
    with pytest.raises(ConfigError, match=message):
        page([ROW], **options)


SPACY = pa.struct(
    [
        ("ents", NER_TYPE),
        ("cats", CLASSIFICATION_TYPE),
        ("spans", SPAN_GROUPS_TYPE),
        ("tokens", TOKENS_TYPE),
    ]
)
FILL = pa.struct([("token", pa.string()), ("score", pa.float32())])
PLACE = [("start", pa.int32()), ("end", pa.int32()), ("fills", pa.list_(FILL))]
MASKS = pa.list_(pa.struct([*PLACE, ("vector", pa.list_(pa.float32()))]))
TOKENS = [
    {"start": start, "end": end, "pos": pos, "head": head}
    for start, end, pos, head in [(0, 3, "PROPN", 1), (4, 9, "PROPN", 1)]
]


@pytest.fixture
def page_of_spacy(tmp_path):
    """Return a function that writes a page of what a pipeline of spaCy found in one text."""

    def write(value, **options) -> str:
        schema = output_schema(INPUT, {"sm": SPACY, "masks": MASKS})
        masks = [{"start": 14, "end": 29, "fills": [{"token": "Ada", "score": 0.25}] * 2}]
        row = {"id": "a", "text": TEXT, "sm": value, "masks": masks}
        (tmp_path / "out").mkdir()
        folder = write_output(tmp_path / "out", [row, {"id": "b", "text": TEXT}], schema=schema)
        write_page(folder, tmp_path / "page.html", **options)
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return write


def test_the_fields_of_a_column_are_shown_each_as_what_it_is(page_of_spacy):
    spans = [{**span(TEXT, "met", ""), "group": "verbs"}]
    mood = classes(calm=0.75, angry=0.25)
    found = {"ents": [span(TEXT, "London", "GPE")], "cats": mood, "spans": spans, "tokens": TOKENS}
    html = page_of_spacy(found)
    seen = words(html)
    assert "sm.ents Ada Byron met Charles Babbage in London GPE 0.90 in 1833." in seen
    assert "sm.spans Ada Byron met verbs 0.90 Charles" in seen
    assert "sm.cats calm 0.75 angry 0.25" in seen
    assert "sm.tokens 2 text pos head 0 Ada PROPN 1 1 Byron PROPN 1" in seen
    assert "masks 1 text fills 0 Charles Babbage Ada 0.25, Ada 0.25" in seen
    assert "sm.ents 1 GPE 1 sm.cats 1 calm 1 sm.spans 1 verbs 1 Show" in seen


@pytest.mark.parametrize(("column", "is_there"), [("sm", True), ("sm.cats", False)])
def test_a_column_stands_for_all_of_its_fields(page_of_spacy, column, is_there):
    mood = classes(calm=0.75)
    found = {"ents": [span(TEXT, "London", "GPE")], "cats": mood, "spans": [], "tokens": []}
    seen = words(page_of_spacy(found, columns=[column], where=["sm.cats.label == calm"]))
    assert "sm.cats calm 0.75" in seen
    assert ("London GPE" in seen) == is_there
    assert "masks" not in seen


def test_many_tokens_are_cut_and_the_page_says_so(page_of_spacy):
    tokens = [{"start": 0, "end": 3, "pos": "X"}] * (MAX_ROWS + 7)
    html = page_of_spacy({"ents": [], "cats": None, "spans": [], "tokens": tokens})
    assert "The page holds the first 50 of 57." in words(html)
    assert html.count("<td><bdi>X</bdi></td>") == MAX_ROWS


def test_a_folder_without_parts_is_an_error(tmp_path: Path):
    with pytest.raises(OutputError, match="holds no annotated output"):
        write_page(tmp_path, tmp_path / "page.html")


def test_an_output_without_its_texts_is_an_error(tmp_path: Path):
    kept = pa.schema([field for field in SCHEMA if field.name != "text"])
    with pytest.raises(OutputError, match=r"has no column 'text'.*--keep text"):
        write_page(write_output(tmp_path, [{}], schema=kept), tmp_path / "page.html")


def test_a_page_in_a_folder_that_is_missing_is_an_error(make_output, tmp_path: Path):
    with pytest.raises(OutputError, match="is no folder; make it or give another -o"):
        write_page(make_output([ROW]), tmp_path / "missing" / "page.html")


def test_a_damaged_part_is_an_error(make_output, tmp_path: Path):
    folder = make_output([ROW])
    (part,) = folder.glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-50])
    with pytest.raises(OutputError, match="is damaged; run the same"):
        write_page(folder, tmp_path / "page.html")
