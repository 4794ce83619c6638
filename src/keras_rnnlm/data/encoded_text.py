"""A text as token ids, with what was counted when it was encoded."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.segments import Positions, line_segments

if TYPE_CHECKING:
    from keras_rnnlm.data.streams import SentenceBatches, StreamBatches


@dataclass(frozen=True)
class TextCounts:
    """What a text consists of.

    Attributes:
        raw_bytes: bytes of the files in their own encoding, newlines included.
        characters: characters of the decoded text, newlines included.
        words: words between white space, as `str.split()` finds them.
        lines: line ends; text after the last line end of a file is a line too.
        oov: predicted tokens that are not in the vocabulary.
        tokens_predicted: every token of every file, without the first character of
            each file for character models.
    """

    raw_bytes: int
    characters: int
    words: int
    lines: int
    oov: int
    tokens_predicted: int


@dataclass(frozen=True, eq=False)
class EncodedText:
    """A text as token ids.

    Predictions are addressed by the position of their target: the target at position
    p is `ids[p]`, and its input is `ids[p - 1]`.

    Attributes:
        ids: token ids, shape (n,), uint16 or uint32, mapped from disk or in memory.
        starts: first target position of each file, int64 of shape (files,).
        stops: position after the last target of each file, int64 of shape (files,).
        oov_positions: positions in `ids` of predicted tokens outside the vocabulary,
            ascending int64.
        line_end_id: the id that ends a line; None if the vocabulary has no newline.
        start_id: the id before each text's first token; None for characters.
        counts: what the text consists of.
        spaced: whether words stand between spaces.
        names: what to call the files.
        sha256: of the decoded text of all files, in UTF-8.
    """

    ids: NDArray[np.unsignedinteger]
    starts: Positions
    stops: Positions
    oov_positions: Positions
    line_end_id: int | None
    start_id: int | None
    counts: TextCounts
    spaced: bool
    names: list[str]
    sha256: str

    def lines(self) -> tuple[Positions, Positions]:
        """Return the first target position of each line and that after its last."""
        return line_segments(self.ids, self.starts, self.stops, self.line_end_id)

    @overload
    def batches(
        self,
        batch_size: int = ...,
        steps: int | None = ...,
        seed: int = ...,
        mode: Literal["stream"] = ...,
        start: int = ...,
        endless: bool = ...,
    ) -> "StreamBatches": ...

    @overload
    def batches(
        self,
        batch_size: int = ...,
        steps: int | None = ...,
        seed: int = ...,
        *,
        mode: Literal["sentence"],
        start: int = ...,
        endless: bool = ...,
    ) -> "SentenceBatches": ...

    def batches(
        self,
        batch_size: int = 20,
        steps: int | None = None,
        seed: int = 0,
        mode: str = "stream",
        start: int = 0,
        endless: bool = False,
    ) -> "StreamBatches | SentenceBatches":
        """Return batches for `fit`, `evaluate` and the like.

        Args:
            batch_size: lanes of a stream, or lines in a batch.
            steps: time steps of a stream (35 by default), or the longest row of
                lines (256 by default).
            seed: decides the order.
            mode: "stream" for contiguous lanes with carried state, "sentence" for
                lines of like length, each from a zero state.
            start: global index of the first batch.
            endless: whether to go on past the first epoch; `fit` then needs
                `steps_per_epoch`.

        Raises:
            ValueError: an argument makes no sense.
            InputError: the text is too short.
        """
        # Here because it imports Keras, which scoring a text's counts does not need.
        from keras_rnnlm.data import streams

        if mode == "stream":
            return streams.StreamBatches(
                self, batch_size, 35 if steps is None else steps, seed, start, endless
            )
        if mode == "sentence":
            return streams.SentenceBatches(
                self, batch_size, seed, start, endless, max_steps=steps
            )
        raise ValueError(f"Expected mode 'stream' or 'sentence'. Received: {mode!r}")
