"""A text as an n-gram model sees it: symbols, with a start before every history.

A neural model carries its state from line to line. An n-gram model remembers the last
few symbols, and there are two ways to say which:

*Sentences.* Every line is a sentence of its own, as in KenLM and SRILM: the symbol
before its first token is the start `<s>`, and its line end is the token `</s>`. So
words and sub-words are read, where a line is a sentence.

*A stream.* The history runs on through line ends, which are tokens like others, and a
start stands only before the first token of a file. So characters are read: the first
letters of a line depend on how the line before it ended. It is the counterpart of the
state protocol `carry`, hence the name of a carried n-gram figure.

Either way the predictions are those of `protocols.segments(text, Protocol("carry"))`.
"""

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText

Symbols = NDArray[np.int32]
Positions = NDArray[np.int64]


def symbols_of(
    text: EncodedText, start: int, sentence_end: int | None
) -> tuple[Symbols, Positions]:
    """Return the symbols of a text and where among them its predictions stand.

    Args:
        text: The text.
        start: The symbol to put before every sentence, or before every file if there
            are no sentences.
        sentence_end: The id that ends a sentence; None for a stream.

    Returns:
        int32 (symbols,), the ids of all files with starts between them, and int64
        (predictions,), the places of the predicted tokens, in the order of the text.
        The first character of a file is a symbol too, though it is not predicted.
    """
    first_is_given = text.start_id is None
    stops = np.asarray(text.stops, np.int64)
    begins = np.asarray(text.starts, np.int64) - int(first_is_given)
    # A file of characters that is empty has no first one: where it begins, the file
    # before it stops.
    begins = np.maximum(begins, np.append(np.int64(0), stops[:-1]))
    begins, stops = begins[begins < stops], stops[begins < stops]
    if not len(begins):
        return np.empty(0, np.int32), np.empty(0, np.int64)
    base = int(begins[0])
    ids = text.ids[base : int(stops[-1])]
    borders = begins - base
    if sentence_end is not None:
        after = np.flatnonzero(ids == sentence_end) + 1
        # A line end at the end of a file begins nothing.
        borders = np.union1d(borders, after[after < len(ids)])
    symbols = np.insert(ids.astype(np.int32), borders, np.int32(start))
    predicted = symbols != start
    if first_is_given:
        # Behind the start of each file; `insert` moved it by the starts before it.
        firsts = begins - base
        predicted[firsts + np.searchsorted(borders, firsts, side="right")] = False
    return symbols, np.flatnonzero(predicted)
