"""The input: files, folders and globs, read as Arrow batches and cut into chunks."""

from bertpipe.corpus.chunks import Chunk, Slice, SourceDone, iterate_chunks
from bertpipe.corpus.corpus import Corpus, open_corpus
from bertpipe.corpus.sources import Source

__all__ = ["Chunk", "Corpus", "Slice", "Source", "SourceDone", "iterate_chunks", "open_corpus"]
