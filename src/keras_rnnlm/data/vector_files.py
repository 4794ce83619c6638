"""Files of word vectors as streams of entries: word2vec, GloVe, fastText's `.vec`.

Of a line only the end, the number of spaces and the word are looked at, until somebody
wants its numbers. A file takes a few megabytes of memory, whatever its size.

| format | begins with | then |
|---|---|---|
| word2vec, fastText, text | a line `WORDS WIDTH` | a word and its numbers a line |
| GloVe, text | | the same; a word may hold spaces |
| word2vec, binary | a line `WORDS WIDTH` | a word, a space, float32 numbers |
"""

import gzip
import os
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.vector_head import MOST_WIDTH as MOST_WIDTH
from keras_rnnlm.data.vector_head import Head, is_number, look_at, plain_number
from keras_rnnlm.errors import InputError

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]

_BLOCK = 1 << 22
_LONGEST_LINE = 1 << 23
_LONGEST_WORD = 1 << 16
_SPACE, _RETURN = 0x20, 0x0D
_SHOWN_WORDS = 3


@dataclass
class Tally:
    """What has been seen of a file while it was read.

    Attributes:
        entries: Words with a vector.
        not_utf8: Those of them that are not written in UTF-8.
        size: Uncompressed bytes.
        first: The first words.
    """

    entries: int = 0
    not_utf8: int = 0
    size: int = 0
    first: list[str] = field(default_factory=list)

    def count(self, word: bytes) -> None:
        """Count an entry."""
        self.entries += 1
        if len(self.first) < _SHOWN_WORDS:
            self.first.append(_shown(word))
        if not word.isascii():
            try:
                word.decode()
            except UnicodeDecodeError:
                self.not_utf8 += 1


@dataclass(frozen=True)
class Entry:
    """A word and its numbers as they stand in a file.

    Attributes:
        place: Number of the line, or of the word in a binary file, from 1.
        word: In the file's encoding, which should be UTF-8.
        payload: The numbers: text, or float32 in little-endian order.
    """

    place: int
    word: bytes
    payload: bytes


class VectorFile:
    """A file of word vectors whose first lines have been looked at.

    Attributes:
        path: The file.
        width: Numbers of each vector.
        announced: Number of words that its first line names; None for GloVe's format.
        binary: Whether the numbers are float32 rather than text.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Look at the beginning of a file.

        Args:
            path: word2vec text or binary, GloVe text or fastText `.vec`, each plain or
                compressed by gzip.

        Raises:
            InputError: No such file, a pipe, or none of these formats.
        """
        self.path = Path(path).expanduser()
        with self._reading() as (stream, raw):
            size = None if stream is not raw else os.fstat(raw.fileno()).st_size
            self._head: Head = look_at(stream, str(self.path), size)
        self.width = self._head.width
        self.announced = self._head.announced
        self.binary = self._head.binary

    def entries(
        self,
        wanted: Container[bytes] | None,
        tally: Tally | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Entry]:
        """Yield the entries of some words, or all, in the order of the file.

        Args:
            wanted: The words; None for all.
            tally: Counts what was seen.
            progress: Called with bytes read and the size of the file.

        Raises:
            InputError: A damaged line or end, with file and line.
        """
        tally = Tally() if tally is None else tally
        read = self._binary_entries if self.binary else self._text_entries
        with self._reading() as (stream, raw):
            total = os.fstat(raw.fileno()).st_size
            self._read(stream, self._head.begins)
            tally.size += self._head.begins

            def block() -> bytes:
                found = self._read(stream, _BLOCK)
                tally.size += len(found)
                if progress is not None:
                    progress(raw.tell(), total)
                return found

            yield from read(block, wanted, tally)

    def numbers(self, entry: Entry) -> Floats:
        """Return the vector of an entry, float32 (width,).

        Raises:
            InputError: They are not as many finite numbers as in the first line.
        """
        if self.binary:
            found = np.frombuffer(entry.payload, "<f4").astype(np.float32)
        else:
            fields = entry.payload.split()
            if len(fields) != self.width:
                raise self._damaged(
                    entry.place,
                    f"expected {self.width} numbers after the word, found "
                    f"{len(fields)}",
                )
            # `float` takes 1_0 for a number, and is twice as quick without a check.
            number = plain_number if b"_" in entry.payload else float
            try:
                wide = np.fromiter(map(number, fields), np.float64, self.width)
            except ValueError as error:
                raise self._damaged(
                    entry.place, f"expected numbers after the word ({error})"
                ) from None
            with np.errstate(over="ignore"):
                found = wide.astype(np.float32)
        if not np.isfinite(found).all():
            bad = found[~np.isfinite(found)][0]
            raise self._damaged(
                entry.place,
                f"expected finite float32 numbers, found {bad} in the vector of "
                f"'{_shown(entry.word)}'",
            )
        return found

    # -- text ----------------------------------------------------------------------

    def _text_entries(
        self, block: Callable[[], bytes], wanted: Container[bytes] | None, tally: Tally
    ) -> Iterator[Entry]:
        place = 0 if self.announced is None else 1
        blank, data, more = 0, b"", True
        while more:
            new = block()
            more = bool(new)
            data += new.replace(b"\t", b" ") if self._head.tabs else new
            stop = data.rfind(b"\n") + 1 if more else len(data)
            if not stop and len(data) > _LONGEST_LINE:
                raise self._damaged(
                    place + 1,
                    f"expected a line end within {_LONGEST_LINE:,} bytes, found none",
                )
            if not stop:
                continue
            spaces = np.frombuffer(data, np.uint8, stop) == _SPACE
            begin = 0
            while begin < stop:
                end = data.find(b"\n", begin, stop)
                end = stop if end < 0 else end
                place += 1
                last = end
                # word2vec ends lines with a space, Windows with "\r\n".
                while last > begin and data[last - 1] in (_SPACE, _RETURN):
                    last -= 1
                if last == begin:
                    blank = blank or place
                elif blank:
                    raise self._damaged(
                        blank, "expected a word and its numbers, found an empty line"
                    )
                else:
                    # Counting is all that most lines are worth.
                    if np.count_nonzero(spaces[begin:last]) == self.width:
                        space = data.find(b" ", begin)
                        word = data[begin:space]
                    else:
                        word, space = self._odd_line(data[begin:last], place)
                        space += begin
                    tally.count(word)
                    if wanted is None or word in wanted:
                        yield Entry(place, word, data[space:last])
                begin = end + 1
            data = data[stop:]
        self._check_count(tally.entries, f"line {place}")

    def _odd_line(self, line: bytes, place: int) -> tuple[bytes, int]:
        """Return the word, and where it ends, in a line with too many or few spaces."""
        # Words with spaces, as in GloVe's largest file: all but the numbers at the end.
        word, *numbers = line.rsplit(None, self.width)
        if len(numbers) < self.width:
            raise self._damaged(
                place,
                f"expected a word and {self.width} numbers, found {1 + len(numbers)} "
                "columns: widths differ",
            )
        first, *others = word.split()
        if others and is_number(others[-1]):
            raise self._damaged(
                place,
                f"expected {self.width} numbers after the word '{_shown(first)}', "
                f"found {len(others) + self.width}: widths differ",
            )
        return word.strip(b" "), len(word)

    def _check_count(self, entries: int, where: str) -> None:
        if self.announced is not None and entries != self.announced:
            raise InputError(
                f"{self.path}: the first line announces {self.announced:,} words, the "
                f"file holds {entries:,} ({where} is the last): it is truncated or "
                "damaged. Get it again, or put the right number into its first line."
            )
        if not entries:
            raise InputError(
                f"{self.path}: expected word vectors, found none in the file. Get it "
                "again."
            )

    # -- binary --------------------------------------------------------------------

    def _binary_entries(
        self, block: Callable[[], bytes], wanted: Container[bytes] | None, tally: Tally
    ) -> Iterator[Entry]:
        size, announced = 4 * self.width, self.announced or 0
        data, begin = b"", 0
        for place in range(1, announced + 1):
            while True:
                space = data.find(b" ", begin, begin + _LONGEST_WORD)
                if space >= 0 and len(data) > space + size:
                    break
                if space < 0 and len(data) - begin >= _LONGEST_WORD:
                    raise self._damaged(
                        place,
                        f"expected a space within {_LONGEST_WORD:,} bytes, found none",
                    )
                new = block()
                if not new:
                    raise self._damaged(
                        place,
                        f"expected {announced:,} words, as the first line announces, "
                        "found the end of the file",
                    )
                data, begin = data[begin:] + new, 0
            word = data[begin:space].lstrip(b"\n")
            begin = space + 1 + size
            tally.count(word)
            if wanted is None or word in wanted:
                yield Entry(place, word, data[space + 1 : begin])
        if (data[begin:] + block()).strip(b"\n"):
            raise InputError(
                f"{self.path}: the first line announces {announced:,} words, but more "
                "bytes follow them: it is damaged, or its first line is. Get it again."
            )
        self._check_count(tally.entries, f"word {announced}")

    # -- bytes ---------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """Open the file: its uncompressed bytes, and those on disk."""
        try:
            raw = open(self.path, "rb")  # noqa: SIM115
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read ({error.strerror}). Expected a file of "
                "word vectors."
            ) from None
        with raw:
            if not raw.seekable():
                raise InputError(
                    f"{self.path}: expected a file of word vectors, which is read more "
                    "than once, received a pipe. Write what comes out of it to a file, "
                    "and give that; gzip may compress it."
                )
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not compressed:
                yield raw, raw
                return
            with gzip.GzipFile(fileobj=raw) as stream:
                yield cast(BinaryIO, stream), raw

    def _read(self, stream: BinaryIO, size: int) -> bytes:
        try:
            return stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"{self.path}: cannot be read ({reason}): it is truncated or damaged. "
                "Get it again."
            ) from None

    def _damaged(self, place: int, what: str) -> InputError:
        where = "word" if self.binary else "line"
        return InputError(
            f"{self.path}: {where} {place:,}: {what}. The file is damaged there: get "
            "it again, or take that line out."
        )


def _shown(word: bytes) -> str:
    return word.decode("utf-8", "replace")
