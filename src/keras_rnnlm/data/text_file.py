"""One text file, or a part of one, as a stream of characters."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from keras_rnnlm.data.encodings import (
    byte_offset,
    check_encoding,
    count_pairs,
    decoded_blocks,
    is_compressed,
    normalize_newlines,
)

BLOCK_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class TextFile:
    r"""Characters `start` to `stop` of a file's decoded text.

    The text is what stands in the file without a byte-order mark and with "\r\n" and a
    lone "\r" read as "\n". Gzip files are decompressed. Nothing is kept in memory.

    Attributes:
        path: the file.
        encoding: its encoding; Python's name of it.
        start: first character of the part.
        stop: the character behind the part; None for the end of the file.
        name: what messages and reports call the file; its path by default.

    Raises:
        InputError: the encoding is unknown; also raised while reading, for a byte that
            is not in the encoding and for a file that is unreadable or binary.
    """

    path: Path
    encoding: str = "utf-8"
    start: int = 0
    stop: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        """Settle the name and the encoding's spelling."""
        object.__setattr__(self, "path", Path(self.path))
        name = self.name or str(self.path)
        # Bytes of a path that are no text are written as escapes, in all that is said.
        name = name.encode("utf-8", "backslashreplace").decode("utf-8")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "encoding", check_encoding(self.encoding))
        if self.start < 0 or (self.stop is not None and self.stop < self.start):
            raise ValueError(
                f"Expected 0 <= start <= stop, got {self.start} and {self.stop}."
            )

    def blocks(self, characters: int = BLOCK_CHARACTERS) -> Iterator[str]:
        """Yield the text in blocks of `characters` characters; the last is shorter."""
        if characters < 1:
            raise ValueError(f"Expected at least 1 character a block, got {characters}")
        held: list[str] = []
        size = 0
        for piece in self._pieces():
            held.append(piece)
            size += len(piece)
            if size >= characters:
                text = "".join(held)
                whole = size - size % characters
                for start in range(0, whole, characters):
                    yield text[start : start + characters]
                held, size = [text[whole:]], size - whole
        if size:
            yield "".join(held)

    def read(self) -> str:
        """Return the whole text of the part."""
        return "".join(self._pieces())

    @cached_property
    def characters(self) -> int:
        """Number of characters in the part."""
        return sum(len(piece) for piece in self._pieces())

    @cached_property
    def raw_bytes(self) -> int:
        """Bytes of the part in its own encoding, newlines as in the file.

        A byte-order mark counts with the first character, so that the parts of a file
        add up to the size of the (uncompressed) file.
        """
        if self.start == 0 and self.stop is None and not is_compressed(self.path):
            return self.path.stat().st_size
        begin = end = position = 0
        for block in decoded_blocks(self.path, self.encoding, self.name):
            before = position
            position += len(block.text) - count_pairs(block.text)
            if before < self.start <= position:
                begin = byte_offset(block, self.encoding, self.start - before)
            if self.stop is not None and before < self.stop <= position:
                end = byte_offset(block, self.encoding, self.stop - before)
                break
            end = block.offset + len(block.data)
        return end - begin if self.stop != 0 and position >= self.start else 0

    def _pieces(self) -> Iterator[str]:
        """Yield the text of the part in pieces as they come from the decoder."""
        position = 0
        for block in decoded_blocks(self.path, self.encoding, self.name):
            if self.stop is not None and position >= self.stop:
                return
            size = len(block.text) - count_pairs(block.text)
            if position + size > self.start:
                text = normalize_newlines(block.text)
                first = max(self.start - position, 0)
                last = size if self.stop is None else min(self.stop - position, size)
                if last > first:
                    yield text[first:last]
            position += size
