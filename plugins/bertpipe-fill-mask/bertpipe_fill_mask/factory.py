"""The factory under which spaCy and bertpipe find the component; loads no model code."""

from typing import TYPE_CHECKING

from spacy.language import Language

from bertpipe import ENCODER, encoder_settings

if TYPE_CHECKING:
    from bertpipe_fill_mask.annotator import BertFillMask


@Language.factory(
    "bert_fill_mask",
    assigns=["doc._.bertpipe"],
    default_config={"revision": None, **ENCODER, "top_k": 5, "targets": None, "joint": False},
)
def bert_fill_mask(
    nlp: Language,
    name: str,
    model: str,
    revision: str | None,
    device: str,
    precision: str,
    batch_tokens: int | None,
    max_length: int | None,
    stride: int,
    truncation: str,
    top_k: int,
    targets: list[str] | None,
    joint: bool,
) -> "BertFillMask":
    """Return a component that fills gaps."""
    from bertpipe_fill_mask.annotator import BertFillMask

    return BertFillMask(
        name,
        model=model,
        revision=revision,
        encoder=encoder_settings(device, precision, batch_tokens, max_length, stride, truncation),
        top_k=top_k,
        targets=targets,
        joint=joint,
    )
