"""The text that tokens make: whole characters, and nothing after a stop string."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.generation.prompt import PIECES, read_part, spaced
from keras_rnnlm.generation.stops import StopWatch

Ids = NDArray[np.int32]


class Writer:
    """The text of one row: whole characters, up to a stop string."""

    def __init__(
        self, tokenizer: Tokenizer, prompt: str, stop: str | Sequence[str]
    ) -> None:
        """Begin after the prompt, which itself is not written."""
        self._watch = StopWatch(stop)
        self._decoder = tokenizer.decoder()
        # Whether a space comes before a word depends on what stands before it.
        for token in tokenizer.encode(read_part(tokenizer, prompt), final=False):
            self._decoder.push(int(token))
        self._spaced = spaced(tokenizer, prompt)
        self._bytes = tokenizer.kind in PIECES

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended the text."""
        return self._watch.stopped

    def push(self, token: int) -> str:
        """Return the text that is certain once this token has come."""
        text = self._decoder.push(token)
        if self._spaced:
            text, self._spaced = text.removeprefix(" "), False
        if self._bytes:
            text = text.replace("\ufffd", "")
        return self._watch.push(text)

    def flush(self) -> str:
        """Return the rest, at the end of the tokens."""
        # All that the decoder may still hold is the beginning of a character.
        return self._watch.flush()


def write(drawn: Iterator[Ids], writers: Sequence[Writer]) -> Iterator[tuple[int, str]]:
    """Yield the pieces of text of all rows until each has ended."""
    for ids in drawn:
        for row, writer in enumerate(writers):
            if not writer.stopped and (piece := writer.push(int(ids[row]))):
                yield row, piece
        if all(writer.stopped for writer in writers):
            return
    for row, writer in enumerate(writers):
        if piece := writer.flush():
            yield row, piece
