"""One encoder serves a tagger of spaCy and our heads, through spacy-transformers."""

from typing import Any

import pytest
import spacy
import transformers
from spacy.language import Language
from spacy.training import Example

from bertpipe import docs
from bertpipe.annotators.ner import BertNer
from bertpipe.config import EncoderSettings
from bertpipe.errors import ConfigError, DocumentError
from bertpipe.testing import TEXTS, same

from .conftest import annotate

through_spacy = pytest.mark.skipif(
    not spacy.util.is_package("spacy-transformers"),
    reason="spacy-transformers needs its own environment: sh scripts/test --all",
)
SETTINGS = {"precision": "fp32", "device": "cpu"}
TAGGED = [("Angela met Barack", ["NAME", "VERB", "NAME"]), ("a long day", ["DET", "ADJ", "NOUN"])]
LONG = "Angela Merkel met Barack Obama in Berlin, then she flew to the sea. " * 12
SHORT = [text for text in TEXTS if len(text) < 100]


@pytest.fixture(scope="module")
def heads(tiny, tmp_path_factory) -> dict[str, str]:
    """Return the folders of models with one encoder, by factory."""
    tagger = tiny("ner", max_length=128)
    classifier = str(tmp_path_factory.mktemp("model") / "classifier")
    kind = transformers.AutoModelForSequenceClassification
    kind.from_pretrained(tagger).save_pretrained(classifier)
    transformers.AutoTokenizer.from_pretrained(tagger).save_pretrained(classifier)
    return {"bert_ner": tagger, "bert_classifier": classifier, "bert_embedding": tagger}


def make_pipeline(folder: str, *, window: int = 40) -> Language:
    """Return a pipeline of a transformer whose encoder is that in the folder."""
    nlp = spacy.blank("en")
    model = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": folder,
        "get_spans": {
            "@span_getters": "spacy-transformers.strided_spans.v1",
            "window": window,
            "stride": window * 3 // 4,
        },
    }
    nlp.add_pipe("transformer", config={"model": model})
    return nlp


def train_tagger(nlp: Language) -> None:
    """Add a tagger on the transformer, which stays as it is, and train it."""
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    tagger = {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}
    nlp.add_pipe("tagger", config={"model": tagger})
    examples = [Example.from_dict(nlp.make_doc(text), {"tags": tags}) for text, tags in TAGGED]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.05
    for _ in range(30):
        nlp.update(examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"])


@pytest.fixture(scope="module")
def nlp(heads) -> Language:
    """Return a pipeline of a transformer, a trained tagger on it, and our heads."""
    made = make_pipeline(heads["bert_ner"])
    train_tagger(made)
    for factory, folder in heads.items():
        made.add_pipe(factory, config={"model": folder, "encoder": "transformer", **SETTINGS})
    return made


@through_spacy
def test_the_tagger_and_our_heads_work_on_the_same_states(nlp, heads):
    for text, tags in TAGGED:
        assert [token.tag_ for token in nlp(text)] == tags
    found = list(nlp.pipe(SHORT))
    for factory, folder in heads.items():
        alone = spacy.blank("en").add_pipe(factory, config={"model": folder, **SETTINGS})
        values = [doc._.bertpipe[factory] for doc in found]
        assert same(values, annotate(alone, SHORT), tolerance=1e-4), factory
        # Its own encoder was compared with that of the pipeline and let go.
        assert not nlp.get_pipe(factory).loaded.encoder.stages


@through_spacy
def test_the_column_is_what_stands_on_the_docs(nlp, heads):
    texts = [*SHORT, LONG]
    found = list(nlp.pipe(texts))
    for factory in heads:
        component: Any = nlp.get_pipe(factory)
        batch = docs.batch_of(found[::-1], component.reads)
        column = component.annotate(batch)
        column.validate(full=True)
        assert column.type == component.type
        values = [doc._.bertpipe[factory] for doc in found]
        assert same(column.to_pylist()[::-1], values)
        assert component.annotate(batch.slice(0, 0)).to_pylist() == []
        assert same([nlp(text)._.bertpipe[factory] for text in texts], values)


@through_spacy
def test_each_token_of_a_long_text_is_read_in_one_window(tiny):
    folder = tiny("ner", labels=("ONE", "OTHER"), max_length=128)  # every token is something
    nlp = make_pipeline(folder)
    nlp.initialize()
    settings = {"model": folder, "aggregation": "none", "encoder": "transformer", **SETTINGS}
    nlp.add_pipe("bert_ner", config=settings)
    doc = nlp(LONG)
    assert len(doc._.trf_data.wordpieces) > 2
    found = "".join(one["text"] for one in doc._.bertpipe["bert_ner"])
    assert found == LONG.replace(" ", "")


@through_spacy
def test_a_saved_pipeline_gives_the_same(nlp, heads, tmp_path):
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")
    one, two = nlp(LONG), again(LONG)
    assert [token.tag_ for token in one] == [token.tag_ for token in two]
    assert same(dict(two._.bertpipe), dict(one._.bertpipe))


@through_spacy
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"max_length": 128, "seed": 1}, "the encoder of model .* is not that of the component"),
        ({"tokenizer": "bytes", "max_length": 128}, "the tokenizer of model .* is not that of"),
    ],
    ids=["encoder", "tokenizer"],
)
def test_a_head_of_another_encoder_is_refused(tiny, heads, model, message):
    nlp = make_pipeline(heads["bert_ner"])
    nlp.initialize()
    other = {"model": tiny("ner", **model), "encoder": "transformer", **SETTINGS}
    nlp.add_pipe("bert_ner", config=other)
    with pytest.raises(ConfigError, match=message):
        nlp("Angela met Barack.")


@through_spacy
def test_a_text_that_the_transformer_cut_is_an_error(heads):
    nlp = make_pipeline(heads["bert_ner"], window=1000)
    nlp.initialize()
    nlp.add_pipe("bert_ner", config={"model": heads["bert_ner"], "encoder": "transformer"})
    with pytest.raises(DocumentError, match=r"cut \d+ tokens to 128; give it shorter spans"):
        nlp(LONG)


def test_states_that_are_not_there_are_missed(tiny):
    settings = EncoderSettings(device="cpu", upstream="transformer")
    annotator = BertNer(model=tiny("ner"), encoder=settings)
    message = "'ner' has encoder 'transformer', but no hidden states are there: put a component"
    with pytest.raises(ConfigError, match=message):
        annotate(annotator, ["Angela."])
    with pytest.raises(ConfigError, match=message):
        annotator(spacy.blank("en")("Angela."))
    with pytest.raises(ConfigError, match="encoder 'tok2vec' is unknown; use transformer"):
        BertNer(model=tiny("ner"), encoder=EncoderSettings(upstream="tok2vec"))
