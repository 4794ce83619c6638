"""The tutorial's format: each line as all its prefixes, left-padded, one target each.

A line "the cat sat" of a word model, begun and ended by <eos>, becomes

    inputs                      target
    0     0     0     <eos>     the
    0     0     <eos> the       cat
    0     <eos> the   cat       sat
    <eos> the   cat   sat       <eos>

Ids are raised by one so that 0 is free for padding, which a network must mask: an
`Embedding(vocabulary_size + 1, ..., mask_zero=True)` does. Its state then stays zero
up to the first token, and the predictions are the same ones, to the last digit that
rounding leaves, as those of the line run through once with a prediction at each step.
Only the work differs: a line of n targets takes n steps that way, and here n rows as
long as the longest line of the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.segments import Positions
from keras_rnnlm.errors import InputError

LARGEST_ARRAY = 1 << 30  # bytes
PADDING = 0

Examples = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True)
class PrefixWork:
    """Time steps that a network computes to predict every token of a text once.

    Attributes:
        predictions: tokens predicted, N.
        longest: targets in the longest line, L.
        sentence_steps: with each line run through once: N.
        prefix_steps: with each prefix by itself, padding apart: the sum over lines
            of n (n + 1) / 2.
        padded_steps: with each prefix padded to the longest: N x L.
    """

    predictions: int
    longest: int
    sentence_steps: int
    prefix_steps: int
    padded_steps: int

    @property
    def fraction(self) -> float:
        """Steps of the sentence format for each step of the padded prefix format."""
        return self.sentence_steps / self.padded_steps


def prefix_work(text: EncodedText) -> PrefixWork:
    """Count the time steps of both formats.

    Raises:
        InputError: the text has nothing to predict.
    """
    starts, stops = text.lines()
    if not len(starts):
        raise InputError(
            "Expected a text with at least one token to predict, received none."
        )
    lengths = stops - starts
    predictions, longest = int(lengths.sum()), int(lengths.max())
    return PrefixWork(
        predictions=predictions,
        longest=longest,
        sentence_steps=predictions,
        prefix_steps=int((lengths * (lengths + 1) // 2).sum()),
        padded_steps=predictions * longest,
    )


def prefix_examples(text: EncodedText, length: int | None = None) -> Examples:
    """Return all prefixes of all lines, in the order of the text.

    Args:
        text: the encoded text.
        length: columns of the inputs; None for the longest line. A longer prefix
            keeps its last `length` tokens.

    Returns:
        Inputs of shape (N, length), ids raised by one with `PADDING` on the left, and
        targets of shape (N,), ids as they are; both int32.

    Raises:
        InputError: the array would take more than 1 GiB; `prefix_batches` does not
            hold it, and `EncodedText.batches` does without the format.
        ValueError: a length below 1.
    """
    work = prefix_work(text)
    columns = _columns(length, work)
    size = work.predictions * columns * 4
    if size > LARGEST_ARRAY:
        raise InputError(
            f"All prefixes of this text are {work.predictions:,} rows of {columns:,} "
            f"ids, {size / 1e9:,.1f} GB. Expected at most {LARGEST_ARRAY / 1e9:.1f} "
            "GB. Use prefix_batches, which makes them batch by batch, a smaller "
            "length or fewer lines; or text.batches(mode='sentence'), which predicts "
            "the same tokens without the copies."
        )
    numbers = np.arange(work.predictions)
    return _examples(text, text.lines(), numbers, columns)


def prefix_batches(
    text: EncodedText,
    batch_size: int,
    length: int | None = None,
    seed: int | None = None,
) -> Iterator[Examples]:
    """Yield the prefixes of all lines once, in batches, without holding them all.

    Args:
        text: the encoded text.
        batch_size: rows in a batch; the last may have fewer.
        length: as in `prefix_examples`.
        seed: of the order; None for that of the text.

    Yields:
        Inputs (rows, length) and targets (rows,) as `prefix_examples` returns them.

    Raises:
        ValueError: a batch size or length below 1.
    """
    if batch_size < 1:
        raise ValueError(f"Expected batch_size >= 1. Received: {batch_size}")
    columns = _columns(length, prefix_work(text))
    lines = text.lines()
    numbers = np.arange(int((lines[1] - lines[0]).sum()))
    if seed is not None:
        numbers = np.random.default_rng(seed).permutation(numbers)
    for low in range(0, len(numbers), batch_size):
        yield _examples(text, lines, numbers[low : low + batch_size], columns)


def _columns(length: int | None, work: PrefixWork) -> int:
    if length is not None and length < 1:
        raise ValueError(f"Expected length >= 1. Received: {length}")
    return work.longest if length is None else length


def _examples(
    text: EncodedText,
    lines: tuple[Positions, Positions],
    numbers: Positions,
    columns: int,
) -> Examples:
    """Return the examples with these numbers, counted from 0 through the text."""
    starts, stops = lines
    before = np.concatenate([[0], np.cumsum(stops - starts)])
    line = np.searchsorted(before, numbers, side="right") - 1
    targets = starts[line] + numbers - before[line]
    first = starts[line] - 1  # the token before the line begins each prefix
    inputs = np.full((len(targets), columns), PADDING, dtype=np.int32)
    for column in range(columns):
        # The last column holds the token right before the target.
        place = targets - columns + column
        real = place >= first
        inputs[real, column] = text.ids[place[real]].astype(np.int32) + 1
    return inputs, text.ids[targets].astype(np.int32)
