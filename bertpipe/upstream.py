"""What a `transformer` component of spacy-transformers has left on a Doc, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from spacy.tokens import Doc

STATES = "doc._.trf_data"  # among what an annotator reads: no column has this name
STATES_TYPE = pa.list_(
    pa.struct(
        [
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("ids", pa.list_(pa.int32())),
            ("states", pa.list_(pa.float32())),
        ]
    )
)


def read_states(doc: Doc) -> list[dict[str, Any]] | None:
    """Return the windows that the transformer read of a Doc; None when none has run.

    Each has the characters `start` to `end` that it covers, the `ids` of its tokens, special ones
    included, and their hidden `states` end to end: float32 (n_tokens * width,). The alignment of
    spaCy's tokens says what a window covers. One without text, as of a blank Doc, is left out.
    """
    from thinc.api import to_numpy

    data: Any = doc._.get("trf_data") if doc.has_extension("trf_data") else None
    if data is None:
        return None
    ids = to_numpy(data.wordpieces.input_ids)
    n_tokens = to_numpy(data.wordpieces.attention_mask).sum(1).astype(int)
    token = np.repeat(np.arange(len(data.align.lengths)), to_numpy(data.align.lengths))
    window = to_numpy(data.align.dataXd) // max(1, ids.shape[1])
    found = []
    for i, n in enumerate(n_tokens):
        covered = token[window == i]
        if len(covered):
            last = doc[int(covered.max())]
            states = to_numpy(data.model_output.last_hidden_state[i, :n])
            found.append(
                {
                    "start": doc[int(covered.min())].idx,
                    "end": last.idx + len(last),
                    "ids": ids[i, :n].astype(np.int32),
                    "states": states.astype(np.float32).ravel(),
                }
            )
    return found
