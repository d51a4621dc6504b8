"""Open files as streams of bytes, decompress them, and cut them into lines of bounded length."""

import bz2
import gzip
import hashlib
import io
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from bertpipe.errors import CorpusError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from bertpipe.corpus.sources import Source

BLOCK_BYTES = 1 << 20
BOM = b"\xef\xbb\xbf"


def is_unicode(text: str) -> bool:
    """Tell whether a string can be written as UTF-8: whether it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Meter:
    """How far a source has been read: n_bytes of its file on disk; the hash of its first n_hashed.

    The hash is None for a file that is not read from its first byte on, such as Parquet.
    """

    def __init__(self) -> None:
        self.n_bytes = self.n_hashed = 0
        self.hash: Hash | None = None


class _MeteredFile(io.FileIO):
    """A file that ends where its source does, and keeps a meter at the place where it is read."""

    def __init__(self, source: "Source") -> None:
        super().__init__(source.path, "rb")
        self._end = source.end
        self._meter = source.meter
        self._meter.n_hashed, self._meter.hash = 0, hashlib.sha256()

    def read(self, size: int | None = -1, /) -> bytes:
        n_left = max(self._end - self.tell(), 0)
        block = super().read(n_left if size is None or size < 0 else min(size, n_left))
        self._count(block)
        return block

    def readinto(self, buffer: Any, /) -> int:
        n_left = max(self._end - self.tell(), 0)
        part = memoryview(buffer).cast("B")[:n_left]
        n_bytes = super().readinto(part)
        self._count(part[:n_bytes])
        return n_bytes

    def _count(self, block: bytes | memoryview) -> None:
        if self._meter.hash is not None:
            self._meter.hash.update(block)
            self._meter.n_hashed += len(block)
        self._meter.n_bytes = self.tell()


class ByteStream(Protocol):
    def read(self, n_bytes: int, /) -> bytes: ...
    def close(self) -> None: ...


class _Decompressed:
    """A decompressing stream together with its file, which it does not close itself."""

    def __init__(self, stream: ByteStream, file: io.FileIO) -> None:
        self.read = stream.read
        self._layers = (stream, file)

    def close(self) -> None:
        for layer in self._layers:
            layer.close()


class StandardInput:
    """Standard input, whose beginning can be looked at before it is read."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._seen = bytearray()
        self._position = 0
        self._remembers = True

    def rewind(self) -> None:
        """Go back to the first byte; raise `CorpusError` when it is no longer remembered."""
        if not self._remembers and self._position:
            raise CorpusError("Standard input can be read only once; save it to a file.")
        self._position = 0

    def forget(self) -> None:
        """Go back to the first byte for the last time."""
        self._remembers, self._position = False, 0

    def read(self, n_bytes: int, /) -> bytes:
        if self._position < len(self._seen):
            block = bytes(self._seen[self._position : self._position + n_bytes])
            self._position += len(block)
            return block
        block = self._stream.read1(n_bytes)  # what is there, without waiting for more
        self._position += len(block)
        if self._remembers:
            self._seen += block
        else:
            self._seen.clear()
        return block

    def close(self) -> None:
        """Leave standard input open: it belongs to the process."""


def open_stream(source: "Source") -> ByteStream:
    """Open a source at its first byte, decompressed."""
    if source.stdin is not None:
        source.stdin.rewind()
        return source.stdin
    file = _MeteredFile(source)
    if source.compression is None:
        return file
    openers: dict[str, Callable[[Any], ByteStream]] = {
        "gz": gzip.open,
        "bz2": bz2.open,
        "xz": lzma.open,
        "zst": lambda file: pa.input_stream(file, compression="zstd"),
    }
    return _Decompressed(openers[source.compression](file), file)


def open_seekable(source: "Source") -> Any:
    """Open a source for random access; what is compressed or piped goes to a temporary file."""
    if source.stdin is None and source.compression is None:
        return pa.OSFile(source.path)
    spool = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    with closing(open_stream(source)) as stream:
        while block := stream.read(BLOCK_BYTES):
            spool.write(block)
    spool.seek(0)
    return spool


def read_lines(source: "Source", *, max_line_bytes: int) -> Iterator[bytes]:
    r"""Yield the lines of a source without their `\n`, a byte order mark left out.

    A line longer than `max_line_bytes` is cut to one byte more than that, so that its reader can
    tell, and its rest is passed over without being held.
    """
    with closing(open_stream(source)) as stream:
        lines = _lines(stream, max_line_bytes)
        for first in lines:
            yield first.removeprefix(BOM)
            break
        yield from lines


def _lines(stream: ByteStream, max_line_bytes: int) -> Iterator[bytes]:
    begun = bytearray()
    while block := stream.read(BLOCK_BYTES):
        first, *others = block.split(b"\n")
        begun += first[: max_line_bytes + 1 - len(begun)]
        if others:
            yield bytes(begun)
            begun = bytearray(others.pop()[: max_line_bytes + 1])
            for line in others:
                yield line[: max_line_bytes + 1]
    if begun:
        yield bytes(begun)


def read_whole(source: "Source", *, max_bytes: int) -> bytes:
    """Read a source, at most one byte more than `max_bytes`, a byte order mark left out."""
    content = bytearray()
    with closing(open_stream(source)) as stream:
        while block := stream.read(min(BLOCK_BYTES, max_bytes + 1 - len(content))):
            content += block
    return bytes(content.removeprefix(BOM))


@contextmanager
def reading(source: "Source") -> Iterator[None]:
    """Turn every failure of reading into a `CorpusError` that names the source."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        raise CorpusError(
            f"{source.name} cannot be read to its end ({error}); mend, replace or leave out the"
            " file."
        ) from error
