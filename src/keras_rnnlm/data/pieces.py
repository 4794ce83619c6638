"""From text in pieces of about a million characters to pieces of token ids.

Pieces are cut where each can be encoded by itself, so memory stays bounded and it does
not matter which process encodes which.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer


@dataclass(frozen=True)
class Piece:
    """A piece of a file's text; `last` where it ends the file."""

    file: int
    text: str
    last: bool


@dataclass(frozen=True, eq=False)
class EncodedPiece:
    """The ids of a piece and what was counted in it.

    Attributes:
        piece: the text.
        ids: token ids, uint16 or uint32.
        oov: positions in `ids` of tokens that are not in the vocabulary.
        words: words of the piece as `str.split` counts them.
        lines: line ends in the piece; the text after the last one, if it is the end
            of a file, is a line too.
    """

    piece: Piece
    ids: NDArray[np.unsignedinteger]
    oov: NDArray[np.int64]
    words: int
    lines: int


def id_dtype(vocabulary_size: int) -> type[np.uint16] | type[np.uint32]:
    """Return the smallest type that holds all ids of the vocabulary."""
    return np.uint16 if vocabulary_size <= 1 << 16 else np.uint32


def mark_last(file: int, blocks: Iterable[str]) -> Iterator[Piece]:
    """Yield the blocks of a file as pieces; the last, which may be empty, is marked."""
    waiting: str | None = None
    for block in blocks:
        if waiting is not None:
            yield Piece(file, waiting, last=False)
        waiting = block
    yield Piece(file, waiting or "", last=True)


_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])


def count_words(text: str) -> int:
    """Return `len(text.split())`, ten times faster."""
    if not text:
        return 0
    if text.isascii():
        space = _SPACE.take(np.frombuffer(text.encode(), np.uint8))
    else:
        # No character above U+3000 is a space: all of them count as U+3001.
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        space = _SPACE.take(codes.astype(np.int64), mode="clip")
    return int(np.count_nonzero(space[:-1] > space[1:])) + (not space[0])


def encode_piece(piece: Piece, tokenizer: Tokenizer) -> EncodedPiece:
    """Encode one piece in this process."""
    text = piece.text
    lines = text.count("\n") + (piece.last and not text.endswith("\n") and text != "")
    ids, oov = tokenizer.encode_with_oov(text, final=piece.last)
    return EncodedPiece(
        piece,
        ids.astype(id_dtype(tokenizer.vocabulary_size), copy=False),
        np.asarray(oov, dtype=np.int64),
        count_words(text),
        lines,
    )
