"""An output comes back as Docs that equal those of a pipeline of spaCy."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import spacy
from click.testing import CliRunner
from spacy.tokens import DocBin

import bertpipe
from bertpipe import docbin
from bertpipe.cli import main
from bertpipe.errors import ConfigError, OutputError
from bertpipe.output.footer import HASH_KEY, KEY
from bertpipe.testing import tiny_model

RECORDS: list[dict[str, Any]] = [
    {"id": "a", "text": "Angela Merkel met Barack Obama in Berlin. It rained.", "when": "May"},
    {"id": "b", "text": ""},
    {"id": "c", "text": None},
    {"id": "d", "text": "Zoe\u0308 flew to Łódź. The 👩\u200d👩\u200d👧 family of 🇩🇪 likes 🍕🍕!"},
]
PATTERNS = [{"label": "CITY", "pattern": "Berlin"}]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "ner": str(tiny_model(folder / "ner", task="ner")),
        "mood": str(tiny_model(folder / "mood", task="classifier", labels=("good", "bad"))),
    }


def settings_of(models) -> dict[str, dict]:
    exact = {"stride": 8, "precision": "fp32"}
    per_sentence = {"per": "sentence", "sentences": "sentencizer"}
    return {
        "ner": {"model": models["ner"], "spans_key": "found", **exact},
        "mood": {"model": models["mood"], **per_sentence, **exact},
        "whole": {"model": models["mood"], **exact},
        "ruler": {"patterns": PATTERNS},
        "tokens": {"columns": ["tokens"]},
    }


@pytest.fixture(scope="module")
def output(models, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    blocks = settings_of(models)
    names = ["tokens=sentencizer", "ner", "sentencizer", "mood=sentiment", "whole=sentiment"]
    bertpipe.run(
        corpus,
        output=folder / "out",
        components=[*names, "ruler=entity_ruler"],
        overrides={f"components.{n}.{k}": v for n, each in blocks.items() for k, v in each.items()},
        workers=0,
    )
    return folder / "out"


def test_docs_are_those_that_a_pipeline_of_spacy_makes(output, models):
    blocks = settings_of(models)
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", name="ner", config=blocks["ner"])
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("bert_classifier", name="mood", config=blocks["mood"])
    nlp.add_pipe("bert_classifier", name="whole", config=blocks["whole"])
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(PATTERNS)
    found = list(bertpipe.to_docs(output))
    assert [doc.text for doc in found] == [record["text"] or "" for record in RECORDS]
    for doc in found:
        wanted = nlp(doc.text)
        assert [token.text_with_ws for token in doc] == [token.text_with_ws for token in wanted]
        assert [str(sent) for sent in doc.sents] == [str(sent) for sent in wanted.sents]
        assert shown(doc.ents) == shown(wanted.ents)
        assert doc.spans.keys() == wanted.spans.keys() or not doc.text
        for key in doc.spans:
            assert shown(doc.spans[key]) == shown(wanted.spans[key])
            scores = [group[key].attrs["scores"] for group in (doc.spans, wanted.spans)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-5)
        assert doc.cats == pytest.approx(wanted.cats if doc._.bertpipe["whole"] else {}, abs=1e-5)


def shown(spans) -> list[tuple[str, str]]:
    return [(span.text, span.label_) for span in spans]


def test_what_is_no_annotation_is_in_user_data(output):
    first, *_, third, _ = bertpipe.to_docs(output)
    assert (first.user_data["id"], first.user_data["when"]) == ("a", "May")
    assert first.user_data["_source"]["row"] == 0
    assert first.user_data["_error"] is None
    assert third.user_data["_error"]["type"]
    assert set(first._.bertpipe) == {"tokens", "ner", "sentencizer", "mood", "whole", "ruler"}
    assert third._.bertpipe["ner"] is None
    assert "text" not in first.user_data


def test_components_can_be_chosen(output):
    doc = next(bertpipe.to_docs(output, components=["sentencizer"]))
    assert (set(doc._.bertpipe), len(list(doc.sents))) == ({"sentencizer"}, 2)
    with pytest.raises(ConfigError, match="has no component 'sentence'; did you mean sentencizer"):
        next(bertpipe.to_docs(output, components=["sentence"]))


def test_an_output_of_the_first_versions_is_read_too(output, tmp_path):
    """They recorded neither the factory nor the settings of a component beside its name."""
    old = Path(shutil.copytree(output, tmp_path / "out"))
    (path,) = old.glob("*.parquet")
    table = pq.read_table(path)
    metadata = json.loads(pq.read_metadata(path).metadata[KEY])
    metadata["recorded"]["components"] = [
        {key: value for key, value in each.items() if key not in ("factory", "settings")}
        for each in metadata["recorded"]["components"]
    ]
    told = json.dumps(metadata).encode()
    keys = {KEY: told, HASH_KEY: hashlib.sha256(told).hexdigest()}
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(keys)
    for found, wanted in zip(bertpipe.to_docs(old), bertpipe.to_docs(output), strict=True):
        assert found._.bertpipe == wanted._.bertpipe
        assert shown(found.ents) == shown(wanted.ents)
        assert found.spans.keys() == wanted.spans.keys()
        assert found.cats == wanted.cats


def test_what_is_no_output_is_refused(tmp_path):
    with pytest.raises(OutputError, match="is no output of bertpipe"):
        next(bertpipe.to_docs(tmp_path))


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("corpus.jsonl")
    path.write_text('{"id": "1", "text": "One. Two."}\n{"id": "2", "text": "Three."}\n')
    return path


def run(*arguments: str):
    command = ["run", "corpus.jsonl", "--components", "sentencizer", "--workers", "0", *arguments]
    return CliRunner().invoke(main, command)


def test_an_output_is_written_as_docs_of_spacy(corpus):
    for _ in range(2):  # the second run has nothing else to do
        result = run("--docbin", "corpus.spacy")
        assert (result.exit_code, "corpus.spacy holds 2 Docs." in result.output) == (0, True)
    found = list(DocBin().from_disk("corpus.spacy").get_docs(spacy.blank("en").vocab))
    assert [[str(sent) for sent in doc.sents] for doc in found] == [["One.", "Two."], ["Three."]]
    assert found[1].user_data["_source"]["row"] == 1
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_docs_are_written_in_files_of_bounded_size(corpus, monkeypatch):
    monkeypatch.setattr(docbin, "PART_TOKENS", 30)
    texts = [f"{i} is a number. " * (1 + i % 3) for i in range(20)]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    nlp = spacy.blank("en")
    for n_texts in (20, 7):  # the second time fewer files take the place of the first
        result = run("--docbin", "docs", "--overwrite", "--limit", str(n_texts))
        assert (result.exit_code, f"docs holds {n_texts} Docs." in result.output) == (0, True)
        files = sorted(Path("docs").iterdir())
        assert [file.name for file in files] == [f"part-{i:04}.spacy" for i in range(len(files))]
        found = [[*DocBin().from_disk(file).get_docs(nlp.vocab)] for file in files]
        assert [doc.text for docs in found for doc in docs] == texts[:n_texts]
        assert len(files) > 2
        assert all(0 < sum(map(len, docs)) <= 30 for docs in found)
        assert len([*spacy.training.Corpus("docs")(nlp)]) == n_texts
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--docbin", "no/corpus.spacy"], "lies in a folder that does not exist"),
        (["--docbin", "."], "is a folder with other files (corpus.jsonl)"),
        (["--docbin", "corpus.jsonl"], "is a file"),
        (["--docbin", "corpus.annotated"], "lies in the output"),
        (["--docbin", "corpus.annotated/x.spacy", "--overwrite"], "lies in "),
        (["--docbin", "x.spacy", "--shard", "1/2"], "needs the whole output"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused_before_the_run(corpus, arguments, message):
    result = run(*arguments)
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert not list(Path().glob("corpus.annotated/*.parquet"))


@pytest.mark.parametrize("value", ["2024-05-01T10:00:00", "12.50"])
def test_values_that_spacy_cannot_write_become_text(tmp_path, value):
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.array([value]).cast(pa.timestamp("s") if "T" in value else pa.decimal128(9, 2))
    pq.write_table(pa.table({"text": ["Hi."], "extra": column}), tmp_path / "in.parquet")
    bertpipe.run(
        tmp_path / "in.parquet", output=tmp_path / "out", components=["sentencizer"], workers=0
    )
    (doc,) = bertpipe.to_docs(tmp_path / "out")
    again = spacy.tokens.Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert again.user_data["extra"] == value.replace("T", " ")
