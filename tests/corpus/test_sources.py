import os

import pytest

from bertpipe.corpus import open_corpus
from bertpipe.errors import CorpusError


@pytest.fixture
def inners(tmp_path, monkeypatch):
    """Open a corpus from within the test's folder and name its files below it."""
    monkeypatch.chdir(tmp_path)

    def names(*paths, **options):
        corpus = open_corpus([str(path) for path in paths], **options)
        return [os.path.relpath(source.path, tmp_path) for source in corpus.sources]

    return names


def test_a_folder_is_read_to_its_depth_in_sorted_order(inners, write):
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", "_private/d.txt", ".hidden.txt", "a/_x.txt"):
        write(f"in/{name}", name)
    assert inners("in") == ["in/a/b/c.txt", "in/a/z.txt", "in/b.txt"]


def test_a_file_given_twice_counts_once(inners, write, tmp_path):
    write("in/a.txt", "a")
    (tmp_path / "link.txt").symlink_to(tmp_path / "in" / "a.txt")
    assert inners("in/a.txt", "in", tmp_path / "in/../in/a.txt", "link.txt") == ["in/a.txt"]


def test_a_linked_folder_is_followed_and_a_circle_ends(inners, write, tmp_path):
    write("in/a.txt", "a")
    write("else/b.txt", "b")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "else")
    (tmp_path / "in" / "up").symlink_to(tmp_path / "in")
    assert inners("in") == ["in/a.txt", "in/link/b.txt"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.txt", ["in/a.txt", "in/b.txt"]),
        ("in/[b-z].txt", ["in/b.txt"]),
        ("in/**/*.txt", ["in/a.txt", "in/b.txt", "in/deep/er/d.txt"]),
        ("in/d*", ["in/deep/er/d.txt"]),
        ("in/*/*", ["in/deep/er/d.txt"]),
    ],
)
def test_a_glob_is_expanded(inners, write, pattern, expected):
    for name in ("a.txt", "b.txt", "deep/er/d.txt", "_out/x.txt", "_private.txt"):
        write(f"in/{name}", name)
    assert inners(pattern) == expected


def test_a_file_whose_name_looks_like_a_glob_is_that_file(inners, write):
    write("in/[a].txt", "a")
    write("in/a.txt", "a")
    assert inners("in/[a].txt") == ["in/[a].txt"]


def test_folders_named_key_value_become_columns(read, write, tmp_path):
    write("in/lang=en/year=2024/a.jsonl", '{"text": "a"}')
    write("in/lang=a%20b/b.jsonl", '{"text": "b", "year": 5}')
    write("in/lang=__HIVE_DEFAULT_PARTITION__/c.jsonl", "broken")
    table = read(tmp_path / "in").sort_by("lang")
    assert table["lang"].to_pylist() == ["a b", "en", None]
    assert table["year"].to_pylist() == ["5", "2024", None]


def test_partition_columns_stand_behind_all_others_in_parquet_too(read, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for lang in ("de", "en"):
        (tmp_path / f"lang={lang}").mkdir()
        pq.write_table(pa.table({"text": [lang]}), tmp_path / f"lang={lang}" / "x.parquet")
    table = read(tmp_path)
    assert table.schema.names == ["_source", "text", "lang", "_extra", "_error"]
    assert table["lang"].to_pylist() == table["text"].to_pylist() == ["de", "en"]


def test_names_are_absolute_or_relative_as_asked(write, tmp_path, monkeypatch):
    path = write("in/a.txt", "a")
    monkeypatch.chdir(tmp_path)
    assert open_corpus(["in"]).sources[0].name == str(path)
    assert open_corpus(["in"], relative_to=str(tmp_path)).sources[0].name == "in/a.txt"
    with pytest.raises(CorpusError, match=r"does not lie in .*; give --relative-to a folder above"):
        open_corpus(["in"], relative_to=str(tmp_path / "in" / "deeper"))


def test_files_of_another_kind_in_a_folder_are_skipped_and_named(write, tmp_path):
    write("in/a.txt", "a")
    readme = write("in/README.md", "b")
    corpus = open_corpus([str(tmp_path / "in")])
    assert corpus.skipped == (str(readme),)
    assert corpus.n_bytes == 1


def test_with_a_format_a_folder_gives_files_of_that_or_no_known_kind(inners, write):
    for name in ("a.log", "b.txt", "c.csv", "d.log.gz"):
        write(f"in/{name}", "")
    assert inners("in", format="txt") == ["in/a.log", "in/b.txt", "in/d.log.gz"]
    assert inners("in/c.csv", format="txt") == ["in/c.csv"]


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        (["no/such.txt"], {}, r"no/such.txt does not exist; check"),
        (["in/*.csv"], {}, r"matches no file; check the pattern"),
        (["in/README.md"], {}, r"README.md has no known extension \(txt, .*rename it or say"),
        (["in/data.gz"], {}, r"data.gz has no known extension"),
        (["in/txt"], {}, r"has no known extension"),
        (["odd"], {}, r"holds only files of unknown extension \(.*x.md\); say --format"),
        (["empty"], {}, r"empty holds no file; give"),
        (["in"], {"format": "xml"}, r"'xml' is not known; use one of txt, jsonl"),
        (["in"], {"keep": ["nope"]}, r"no column 'nope' to keep, but id, text"),
        (["pipe"], {}, r"pipe is neither a file nor a folder; give"),
        (["pipes"], {}, r"pipes/b.txt is neither a file nor a folder but a pipe, say; remove it"),
        (["broken"], {}, r"gone.txt cannot be read \(No such file"),
        (["circle"], {}, r"own.txt cannot be read \(Too many levels of symbolic links\); mend"),
    ],
)
def test_what_cannot_be_found_is_named_with_the_cure(
    write, tmp_path, monkeypatch, paths, options, message
):
    monkeypatch.chdir(tmp_path)
    write("in/a.txt", "a")
    for name in ("README.md", "data.gz", "txt"):
        write(f"in/{name}", '{"text": "a"}')
    write("odd/x.md", "a")
    for folder in ("empty", "broken", "circle", "pipes"):
        (tmp_path / folder).mkdir()
    os.mkfifo("pipe")
    os.mkfifo("pipes/b.txt")
    (tmp_path / "circle" / "own.txt").symlink_to("own.txt")
    (tmp_path / "broken" / "gone.txt").symlink_to("nowhere")
    with pytest.raises(CorpusError, match=message):
        open_corpus(paths, **options)


def test_a_file_name_that_is_not_unicode_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff.txt")).write_text("a")
    with pytest.raises(CorpusError, match=r"'.*a\\udcff.txt' is not a valid Unicode file name"):
        open_corpus([str(tmp_path)])


def test_extensions_may_be_in_capitals_and_of_several_parts(inners, write):
    write("in/A.TXT", "a")
    write("in/part-0.c000.jsonl", '{"text": "a"}')
    assert inners("in") == ["in/A.TXT", "in/part-0.c000.jsonl"]


@pytest.mark.parametrize("given", ["in", "in/**", "in/*"])
def test_an_output_inside_the_corpus_is_no_part_of_it(inners, write, given):
    write("in/a.jsonl", '{"text": "mine"}')
    write("in/b/a.annotated/_bertpipe/report.json", "{}")
    write("in/b/a.annotated/part.jsonl", '{"text": "an output"}')
    assert inners(given) == ["in/a.jsonl"]
    assert inners("in/b/a.annotated") == ["in/b/a.annotated/part.jsonl"]
