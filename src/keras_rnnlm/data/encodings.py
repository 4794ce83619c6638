"""Bytes to characters: encodings, byte-order marks, bad bytes and what they suggest.

Everything is read in blocks, so a file of any size takes a few megabytes of memory.
"""

import codecs
import encodings.aliases
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from keras_rnnlm.data.likely_encoding import likely_encoding
from keras_rnnlm.errors import InputError, nearest

BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the UTF-16 mark: goes before it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY_STARTS = (
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"%PDF", "a PDF document"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x7fELF", "an executable program"),
)


class DecodedBlock(NamedTuple):
    """Some bytes of a file and the characters they decode to.

    Attributes:
        offset: place of the first byte of `data` in the (uncompressed) file.
        state: state of the incremental decoder before `data`.
        data: the bytes.
        text: the characters, newlines as in the file, without a byte-order mark.
        mark: 1 if a byte-order mark was taken off the front of `text`, else 0.
    """

    offset: int
    state: tuple[bytes, int]
    data: bytes
    text: str
    mark: int


def check_encoding(encoding: str) -> str:
    """Return Python's own name of a text encoding.

    Raises:
        InputError: the name is unknown or is not that of a text encoding.
    """
    try:
        info = codecs.lookup(encoding)
        "a".encode(encoding)  # refuses codecs that are not text, such as "hex"
    except (LookupError, ValueError):
        known = {name.replace("_", "-") for name in encodings.aliases.aliases}
        known |= {"utf-8", "utf-16", "utf-32", "gb18030", "gbk", "big5", "latin-1"}
        raise InputError(
            f"Unknown text encoding '{encoding}'."
            f"{nearest(encoding.lower().replace('_', '-'), sorted(known))} "
            "Common ones: utf-8, gb18030, big5, utf-16, latin-1."
        ) from None
    return info.name


def is_compressed(path: Path) -> bool:
    """Tell whether the first two bytes of a file are gzip's."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip if it is compressed."""
    compressed = is_compressed(path)
    return cast(BinaryIO, gzip.open(path, "rb") if compressed else open(path, "rb"))


def read_head(path: Path, name: str) -> bytes:
    """Return the first (uncompressed) bytes of a file, at most 65,536.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with open_bytes(path) as file:
            return file.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(name, error) from None


def binary_kind(head: bytes) -> str | None:
    """Say what kind of binary file starts with these bytes; None for text.

    NUL bytes mean binary, except behind the byte-order mark of UTF-16 or UTF-32
    or in the alternating pattern that those encodings have without one.
    """
    for start, kind in _BINARY_STARTS:
        if head.startswith(start):
            return kind
    marked = any(head.startswith(mark) for mark, name in _MARKS if name != "utf-8")
    if b"\0" in head and not marked and not likely_encoding(head).startswith("utf-"):
        return "a binary file (it holds NUL bytes)"
    return None


def check_head(head: bytes, encoding: str, name: str) -> None:
    """Check that the first bytes of a file can be text in this encoding.

    Raises:
        InputError: the file is binary, or is marked as another encoding.
    """
    wide = encoding.startswith(("utf-16", "utf-32"))
    for mark, marked in _MARKS:
        if head.startswith(mark):
            same = encoding.startswith(marked)
            if not same and (encoding.startswith("utf") or marked == "utf-8"):
                raise InputError(
                    f"{name}: expected text in {encoding}, but the file starts with "
                    f"the byte-order mark of {marked}. Use --encoding {marked}."
                )
            break
    kind = None if wide else binary_kind(head)
    if kind:
        raise InputError(
            f"{name}: expected text, but this is {kind}. "
            "Give plain text files, or gzip files of plain text."
        )
    if b"\0" in head and not wide:
        likely = likely_encoding(head)
        raise InputError(
            f"{name}: expected text in {encoding}, but there are NUL bytes as in "
            f"{likely}. Use --encoding {likely}."
        )


def decoded_blocks(path: Path, encoding: str, name: str) -> Iterator[DecodedBlock]:
    r"""Decode a file block by block; no block ends between "\r" and "\n".

    Args:
        path: the file; gzip is seen by its first bytes and decompressed.
        encoding: a name accepted by `check_encoding`.
        name: what error messages call the file.

    Raises:
        InputError: unreadable or binary file, or a byte that is not in the encoding.
    """
    check_head(read_head(path, name), encoding, name)
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, line, first = 0, 1, True
    try:
        with open_bytes(path) as file:
            while True:
                data, state = file.read(BLOCK_BYTES), decoder.getstate()
                try:
                    text = decoder.decode(data, final=not data)
                    while text.endswith("\r") and (more := file.read(64)):
                        data += more
                        text += decoder.decode(more)
                except UnicodeDecodeError as error:
                    block = DecodedBlock(offset, state, data, "", 0)
                    raise _bad_byte(encoding, name, block, line, error) from None
                mark = int(first and text.startswith("\ufeff"))
                text = text[mark:]
                if "\0" in text:
                    line += count_lines(text[: text.index("\0")])
                    raise InputError(
                        f"{name}: expected text, found a NUL character in line {line}. "
                        "Binary files cannot be read; give plain text."
                    )
                if data or text:
                    yield DecodedBlock(offset, state, data, text, mark)
                if not data:
                    return
                first = first and not text and not mark
                offset += len(data)
                line += count_lines(text)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(name, error) from None


def count_lines(text: str) -> int:
    r"""Count line ends of any kind: "\n", "\r\n" and a lone "\r"."""
    lines = text.count("\n")
    if "\r" in text:
        lines += text.count("\r") - count_pairs(text)
    return lines


def count_pairs(text: str) -> int:
    r"""Count "\r\n". Looking for a lone "\r" first is a hundred times faster."""
    return text.count("\r\n") if "\r" in text else 0


def normalize_newlines(text: str) -> str:
    r"""Turn "\r\n" and a lone "\r" into "\n"."""
    if "\r" not in text:
        return text
    return text.replace("\r\n", "\n").replace("\r", "\n")


def byte_offset(block: DecodedBlock, encoding: str, characters: int) -> int:
    """Find the byte right behind the first `characters` characters of a block.

    Args:
        block: a block of the file.
        encoding: its encoding.
        characters: at least 1, counted with newlines normalized.

    Returns:
        The offset in the (uncompressed) file.
    """
    raw = characters
    for index, pair in enumerate(re.finditer("\r\n", block.text)):
        if pair.start() - index >= characters:
            break
        raw += 1
    raw += block.mark
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    low, high = 0, len(block.data)
    while low < high:  # the shortest piece of data that decodes to `raw` characters
        middle = (low + high) // 2
        decoder.setstate(block.state)
        if len(decoder.decode(block.data[:middle])) >= raw:
            high = middle
        else:
            low = middle + 1
    return block.offset + low


def _bad_byte(
    encoding: str, name: str, block: DecodedBlock, line: int, error: UnicodeDecodeError
) -> InputError:
    """Make the error for a byte of the block that cannot be decoded."""
    # The decoder was given the end of the block's data, after what it still held.
    place = len(block.data) - len(error.object) + error.start
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    decoder.setstate(block.state)
    line += count_lines(decoder.decode(block.data[: max(place, 0)]))
    around = block.state[0] + block.data
    start = around.find(b"\n", max(place - _HEAD_BYTES // 2, 0)) + 1
    likely = likely_encoding(around[start if start <= place else 0 :])
    advice = (
        "The file seems to be damaged there; it may also be in another encoding: "
        "see --encoding."
        if likely == encoding
        else f"The text looks like {likely}: use --encoding {likely}."
    )
    return InputError(
        f"{name}: line {line}, byte offset {block.offset + place}: expected {encoding} "
        f"text, found byte 0x{error.object[error.start]:02x} ({error.reason}). {advice}"
    )


def _unreadable(name: str, error: BaseException) -> InputError:
    """Make the error for a file that the system or gzip cannot read."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InputError(f"{name}: cannot be read ({reason}). Check the file.")
