r"""The words that a text of sub-word pieces was segmented from, each spelling once.

A word is what byte-level pre-tokenization splits off: pieces never reach beyond it. A
line end is a word too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.piece_tokenizer import PieceTokenizer
from keras_rnnlm.data.ragged import Ragged
from keras_rnnlm.data.segments import Positions

LONGEST_WORD = 64
"""Bytes. Longer words, such as those of a genome, are cut behind a piece."""
_BLOCK = 1 << 18  # words between spaces that are looked up together


@dataclass(frozen=True, eq=False)
class TextWords:
    """A text as words.

    Attributes:
        spellings: bytes (uint8) of each different word.
        words: the text, as numbers of spellings, int32 of shape (words,); 4 bytes of
            memory a word.
        starts: first word of each file, shape (files,).
        stops: position after its last word, shape (files,).
        line_end_id: the piece that ends a line.
        id_type: of the text's ids.
    """

    spellings: Ragged
    words: NDArray[np.int32]
    starts: Positions
    stops: Positions
    line_end_id: int
    id_type: np.dtype[np.unsignedinteger]


def find_words(text: EncodedText, tokenizer: PieceTokenizer) -> TextWords:
    """Find the words of a text.

    Each different stretch from one space to the next is split once; the rest of the
    text is looked up.

    Args:
        text: ids of the tokenizer.
        tokenizer: of pieces.
    """
    ids = text.ids
    starts = _stretches(text, tokenizer)
    known: dict[bytes, int] = {}
    stretches = np.empty(len(starts), np.int32)
    for begin in range(0, len(starts), _BLOCK):
        bounds = np.append(starts[begin : begin + _BLOCK + 1], len(ids))
        bounds = bounds[: min(_BLOCK, len(starts) - begin) + 1]
        low = int(bounds[0])
        data = ids[low : int(bounds[-1])].tobytes()
        places = ((bounds - low) * ids.dtype.itemsize).tolist()
        stretches[begin : begin + len(bounds) - 1] = [
            known.setdefault(data[start:stop], len(known))
            for start, stop in zip(places, places[1:], strict=False)
        ]
    spelled: dict[bytes, int] = {}
    numbers: list[int] = []
    lengths = []
    for key in known:
        pieces = [tokenizer.pieces[i] for i in np.frombuffer(key, ids.dtype).tolist()]
        words = _split(pieces, tokenizer)
        numbers += [spelled.setdefault(word, len(spelled)) for word in words]
        lengths.append(len(words))
    split = Ragged.behind_each_other(
        np.array(numbers, np.int32), np.array(lengths, np.int64)
    )
    before = np.concatenate([[0], np.cumsum(split.lengths[stretches])])
    return TextWords(
        spellings=Ragged.behind_each_other(
            np.frombuffer(b"".join(spelled), np.uint8),
            np.array([len(word) for word in spelled], np.int64),
        ),
        words=split.take(stretches).values,
        starts=before[np.searchsorted(starts, text.starts)],
        stops=before[np.searchsorted(starts, text.stops)],
        line_end_id=tokenizer.eos_id,
        id_type=ids.dtype,
    )


def _stretches(text: EncodedText, tokenizer: PieceTokenizer) -> Positions:
    """Return where stretches begin: at a space, a line end and behind one, a file.

    Pre-tokenization ends a word at each of these places, or between spaces that it
    takes for one word.
    """
    opening = np.array([piece[:1] in (b" ", b"\n") for piece in tokenizer.pieces])
    opens = opening[text.ids]
    opens[1:] |= text.ids[:-1] == tokenizer.eos_id
    opens[:1] = True
    opens[text.starts[text.starts < len(opens)]] = True
    return np.flatnonzero(opens)


def _split(pieces: list[bytes], tokenizer: PieceTokenizer) -> list[bytes]:
    """Split a stretch into words, and those that are too long behind pieces."""
    spelling = b"".join(pieces)
    words = []
    start = 0
    for length in tokenizer.split(spelling.decode()):
        stop = start + length
        if length > LONGEST_WORD:
            ends = np.cumsum([len(piece) for piece in pieces])
            ends = np.append(ends[(ends > start) & (ends < stop)], stop)
            while start < stop:
                first, behind = np.searchsorted(
                    ends, [start, start + LONGEST_WORD], side="right"
                )
                end = int(ends[max(first, behind - 1)])
                words.append(spelling[start:end])
                start = end
        else:
            words.append(spelling[start:stop])
            start = stop
    return words
