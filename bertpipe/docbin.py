"""Write the Docs of an output in spaCy's own format: one file, or a folder of files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bertpipe.errors import ConfigError
from bertpipe.output.files import entries, sync_folder, write_bytes, writing
from bertpipe.restore import to_docs

if TYPE_CHECKING:
    from spacy.tokens import DocBin

SUFFIX = ".spacy"
PART_TOKENS = 500_000  # of a file in a folder; a token takes about 150 bytes while one is made
# All that the components of spaCy write to tokens.
_ATTRIBUTES = (
    *("ORTH", "TAG", "POS", "MORPH", "LEMMA", "HEAD", "DEP", "SENT_START"),
    *("ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID"),
)


def check_docbin(path: Path, output: Path) -> None:
    """Refuse what `write_docbin` could not write, before the work of the run is done."""
    if not path.absolute().parent.is_dir():
        raise ConfigError(
            f"--docbin {path} lies in a folder that does not exist; make it, or give another place."
        )
    if output.absolute() in (path.absolute(), *path.absolute().parents):
        raise ConfigError(f"--docbin {path} lies in the output {output}; give another place.")
    if path.suffix == SUFFIX:
        if path.is_dir():
            raise ConfigError(f"--docbin {path} is a folder; give a file such as corpus.spacy.")
        return
    if path.exists() and not path.is_dir():
        raise ConfigError(f"--docbin {path} is a file; give a folder, or a file such as a.spacy.")
    other = next((each.name for each in entries(path) if not _is_part(each)), None)
    if other is not None or path.name in ("", ".."):
        raise ConfigError(
            f"--docbin {path} is a folder with other files ({other}); give a new folder, or a file"
            " such as corpus.spacy."
        )


def _is_part(path: Path) -> bool:
    return re.fullmatch(rf"part-\d{{4,}}\{SUFFIX}", path.name) is not None and path.is_file()


def write_docbin(output: Path, path: Path) -> int:
    """Write the Docs of an output in spaCy's own format; return how many they are.

    A path that ends in `.spacy` is one file, all of whose Docs are in memory, compressed: that is
    how the format is. Any other is a folder of such files, each with about PART_TOKENS tokens. A
    reader sees the old or the new ones whole; of a folder, none for a moment.
    """
    with writing(path):
        if path.suffix == SUFFIX:
            (binned,) = _binned(output, None)
            write_bytes(path, binned.to_bytes())
            return len(binned)
        n_docs = 0
        with _replaced(path) as folder:
            for number, binned in enumerate(_binned(output, PART_TOKENS)):
                write_bytes(folder / f"part-{number:04}{SUFFIX}", binned.to_bytes())
                n_docs += len(binned)
        return n_docs


def _binned(output: Path, max_tokens: int | None) -> Iterator[DocBin]:
    """Yield the Docs in order, together until they have so many tokens; at least one DocBin."""
    from spacy.tokens import DocBin

    binned, n_tokens = DocBin(attrs=_ATTRIBUTES, store_user_data=True), 0
    for doc in to_docs(output):
        if max_tokens is not None and n_tokens and n_tokens + len(doc) > max_tokens:
            yield binned
            binned, n_tokens = DocBin(attrs=_ATTRIBUTES, store_user_data=True), 0
        binned.add(doc)
        n_tokens += len(doc)
    yield binned


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Give a new folder beside a path, which takes its place when it is filled."""
    above = path.absolute().parent
    with tempfile.TemporaryDirectory(dir=above, prefix=f".{path.name}.") as place:
        folder, old = Path(place, "new"), Path(place, "old")
        folder.mkdir()
        yield folder
        if path.exists():
            os.rename(path, old)
        os.rename(folder, path)
        sync_folder(above)
        shutil.rmtree(old, ignore_errors=True)
