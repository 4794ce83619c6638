"""What the first bytes of a file of word vectors say of its format."""

import codecs
import re
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from keras_rnnlm.data.encodings import binary_kind
from keras_rnnlm.errors import InputError

MOST_WIDTH = 1 << 16
"""Wider vectors are taken for damage."""

_LONGEST_LINE = 1 << 23
_FIRST = 1 << 16
_HEADER = re.compile(rb"(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*")
_EXPECTED = (
    "expected word vectors in word2vec's, GloVe's or fastText's format (.txt, .vec, "
    ".bin, also compressed by gzip)"
)
_FOREIGN = (
    (b"\xba\x16\x4f\x2f", "fastText's own model", "Give the .vec file beside it"),
    (
        b"\x80",
        "a Python pickle, such as gensim's own format",
        "Save the vectors with gensim's save_word2vec_format",
    ),
    (
        b"\x93NUMPY",
        "a NumPy array, which names no words",
        "Save the vectors in word2vec's format",
    ),
    (b"\x89HDF", "an HDF5 file", "Save the vectors in word2vec's format"),
)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Head:
    """What the beginning of a file says.

    Attributes:
        begins: Where the first entry begins.
        width: Numbers of each vector.
        announced: Number of words, if the file names it.
        binary: Whether the numbers are float32 rather than text.
        tabs: Whether there are tabs where spaces are expected.
    """

    begins: int
    width: int
    announced: int | None
    binary: bool
    tabs: bool


def look_at(stream: BinaryIO, name: str, size: int | None) -> Head:
    """Find out the format of a file.

    Args:
        stream: At its beginning, decompressed.
        name: What messages call it.
        size: Its number of bytes, if known.

    Raises:
        InputError: It is empty, of another format, or announces what cannot be.
    """
    head = _more(stream, b"", name)
    if not head.strip():
        raise InputError(f"{name}: {_EXPECTED}; the file is empty.")
    for start, kind, remedy in _FOREIGN:
        if head.startswith(start):
            raise InputError(f"{name}: {_EXPECTED}; this is {kind}. {remedy}.")
    if head.startswith(_UTF16):
        raise InputError(
            f"{name}: expected word vectors in UTF-8; this is UTF-16. Convert it: "
            "iconv -f UTF-16 -t UTF-8."
        )
    begins = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    first, head = _line(stream, head, begins, name)
    header = _HEADER.fullmatch(first)
    if header is None:
        binary = binary_kind(first)
        if binary is not None:
            raise InputError(f"{name}: {_EXPECTED}; this is {binary}. Unpack it first.")
        width = _numbers_at_end(first)
        if not 1 <= width <= MOST_WIDTH:
            raise _no_vectors(name, first)
        return Head(begins, width, None, False, b"\t" in first)
    announced, width = int(header[1]), int(header[2])
    begins += len(first) + 1
    if not 1 <= width <= MOST_WIDTH or not announced:
        raise InputError(
            f"{name}: line 1: expected the number of words and the width of their "
            f"vectors (1 to {MOST_WIDTH:,}), found {announced} and {width}. Get the "
            "file again, or put the right numbers into its first line."
        )
    second, head = _line(stream, head, begins, name, at_most=4 * width + _FIRST)
    if not head[begins:].strip():
        raise InputError(
            f"{name}: line 1 announces {announced:,} words, and nothing follows it. "
            "Get the file again."
        )
    floats = _is_binary(second, head[begins:], width)
    if not floats and not _numbers_at_end(second):
        raise _no_vectors(name, second)
    least = announced * (4 * width + 2 if floats else 2 * width + 2) - 1
    if size is not None and begins + least > size:
        raise InputError(
            f"{name}: line 1 announces {announced:,} words with {width:,} numbers "
            f"each, which take {least:,} bytes or more; the file has {size:,}. It is "
            "truncated or damaged: get it again."
        )
    return Head(begins, width, announced, floats, not floats and b"\t" in second)


def plain_number(text: bytes) -> float:
    """Return the number that a field is; raises ValueError, as for `1_0`."""
    if b"_" in text:
        raise ValueError(f"could not convert to a number: {text!r}")
    return float(text)


def is_number(text: bytes) -> bool:
    """Tell whether a field is a number."""
    try:
        plain_number(text)
    except ValueError:
        return False
    return True


def _is_binary(line: bytes, rest: bytes, width: int) -> bool:
    """Tell binary numbers from text in what follows the header."""
    numbers = _numbers_at_end(line)
    if numbers == width:
        return False
    sample = rest[: len(line.partition(b" ")[0]) + 1 + 4 * width]
    if any(code < 9 or 13 < code < 32 or code == 127 for code in sample):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        # A word that is not UTF-8, if numbers follow it, and no float32.
        return not numbers
    return False


def _numbers_at_end(line: bytes) -> int:
    """Return how many numbers a line ends with, the word before them left out."""
    fields = line.replace(b"\t", b" ").split(b" ")
    fields = [field for field in fields if field.strip(b"\r")]
    count = 0
    for field in reversed(fields[1:]):
        if not is_number(field):
            break
        count += 1
    return count


def _line(
    stream: BinaryIO, head: bytes, begin: int, name: str, at_most: int = _LONGEST_LINE
) -> tuple[bytes, bytes]:
    """Return the line that begins somewhere, and all that has been read by then."""
    while (end := head.find(b"\n", begin)) < 0 and len(head) - begin < at_most:
        more = _more(stream, head, name)
        if len(more) == len(head):
            break
        head = more
    if end < 0 and len(head) - begin >= _LONGEST_LINE:
        raise InputError(
            f"{name}: {_EXPECTED}; found no line end in its first "
            f"{_LONGEST_LINE:,} bytes."
        )
    return head[begin : len(head) if end < 0 else end], head


def _more(stream: BinaryIO, head: bytes, name: str) -> bytes:
    try:
        return head + stream.read(max(_FIRST, len(head)))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{name}: cannot be read ({reason}): it is truncated or damaged. Get it "
            "again."
        ) from None


def _no_vectors(name: str, line: bytes) -> InputError:
    text = line[:40].decode("utf-8", "replace").strip()
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return InputError(
        f"{name}: {_EXPECTED}: a word and its numbers in each line; found '{shown}'. "
        "Give another file."
    )
