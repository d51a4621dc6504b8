"""Marking spans in texts."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from bertpipe.view.marks import Mark, percent, printable, renderer, without_overlaps

RENDER = renderer()


class Reader(HTMLParser):
    """Reads HTML as a browser does, and keeps the text, that of marks, and the tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.marked: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "br":
            self.handle_data("\n")
            return
        self._open.append(tag)
        if tag == "mark":
            self.marked.append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "bdi" in self._open:
            return
        self.text += data
        if "mark" in self._open:
            self.marked[-1] += data


def mark(start: int, end: int, label: str = "PER") -> Mark:
    return Mark(start, end, label, facet=3, percent=90)


def test_a_span_is_marked_with_its_label_and_score():
    html = RENDER("Ada & Co", [mark(0, 3)])
    assert html == (
        '<mark class="f3" data-f="3" data-s="90" title="PER 0.90">Ada<bdi>PER<small>0.90</small>'
        "</bdi></mark> &amp; Co"
    )


def test_nothing_in_a_text_or_label_is_markup():
    html = RENDER("<script>x</script>", [mark(1, 7, "<img src=x>")])
    read = Reader(html)
    assert read.text == "<script>x</script>"
    assert read.tags == {"mark", "bdi", "small"}


def test_braces_are_only_braces():
    assert Reader(RENDER("{text} {0}", [mark(0, 6, "{bg}")])).marked == ["{text}"]


def test_control_codes_are_shown_and_line_ends_are_one():
    assert printable("a\0b\r\nc\rd\te\x7f") == "a␀b \nc\nd\te␡"


@given(st.text(), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6))
def test_the_page_has_every_character_and_every_mark(text, places):
    text = text.translate({0x0D: None, 0x0C: None})
    marks = [mark(*sorted(min(each, len(text)) for each in place)) for place in places]
    drawn, left = without_overlaps(marks)
    read = Reader(RENDER(text, drawn))
    assert read.text == printable(text)
    assert read.marked == [printable(text[each.start : each.end]) for each in drawn]
    assert len(drawn) + len(left) == len(marks)


def test_of_overlapping_marks_the_longest_of_the_first_is_drawn():
    drawn, left = without_overlaps([mark(8, 15), mark(0, 4), mark(0, 10), mark(15, 16)])
    assert [(each.start, each.end) for each in drawn] == [(0, 10), (15, 16)]
    assert [(each.start, each.end) for each in left] == [(0, 4), (8, 15)]


def test_a_score_is_in_hundredths_and_none_counts_as_sure():
    assert [percent(score) for score in (0.0, 0.867, 1.0, None)] == [0, 87, 100, 100]
