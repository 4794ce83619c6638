"""Batches for training: contiguous lanes with carried state, and bucketed sentences.

The one module of `data/` that knows Keras. The order of an epoch is computed from
(seed, epoch, index), never remembered: a batch can be asked for in any order, from
any thread and again after a restart, and is always the same. A place in the data is
therefore one integer, the global batch index, or two: (epoch, index in the epoch).
"""

from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.buckets import LONGEST_LINE, bucket_lengths
from keras_rnnlm.data.noising import Noising
from keras_rnnlm.data.segments import Positions, Text, cut_segments, line_segments
from keras_rnnlm.data.windows import Windows
from keras_rnnlm.errors import InputError

Integers: TypeAlias = NDArray[np.int32]
Reals: TypeAlias = NDArray[np.float32]

# A stream keeps one batch in a hundred free, at most, to shift its cuts by.
_BATCHES_WORTH_SHIFTING = 100


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """A Keras data set addressed by global batch index; see those derived from it."""

    ordered: bool
    lengths: Any
    lengths_vary: bool = False
    batches_per_epoch: int
    tokens_per_batch: int
    note: str

    def __init__(
        self, seed: int, start: int, endless: bool, noising: Noising | None = None
    ) -> None:
        """Remember where the batches begin and whether they end."""
        # One worker: slicing an array costs microseconds, and more workers would
        # fetch batches that are never trained on.
        super().__init__(workers=1, use_multiprocessing=False)
        if seed < 0 or start < 0:
            raise ValueError(
                "Expected seed >= 0 and start >= 0. "
                f"Received: seed={seed}, start={start}"
            )
        self.seed = seed
        self.start = start
        self.endless = endless
        self._noising = noising

    def rate_scale(self, index: int) -> float:
        """Return what to multiply the learning rate of a global batch index by."""
        return 1.0

    def position(self, index: int) -> tuple[int, int]:
        """Return (epoch, index in that epoch) of a global batch index."""
        return divmod(index, self.batches_per_epoch)

    def __bool__(self) -> bool:
        """Return True: there is always a batch, though an endless set has no len."""
        return True

    def __len__(self) -> int:
        """Return the batches of one epoch; a TypeError where `endless` is set."""
        if self.endless:
            raise TypeError(
                "An endless data set has no length. Pass `steps_per_epoch` to `fit`, "
                "for example `steps_per_epoch=batches.batches_per_epoch`."
            )
        return self.batches_per_epoch

    @property
    def num_batches(self) -> int | None:
        """Batches of one epoch, or None (Keras: without end) where `endless`."""
        return None if self.endless else self.batches_per_epoch

    def _place(self, index: int) -> tuple[int, int]:
        """Return (epoch, index) of this data set's batch number `index`."""
        if index < 0:
            raise IndexError(f"Expected a batch index >= 0. Received: {index}")
        return self.position(self.start + index)

    def _noised(
        self, tokens: Integers, targets: Integers, index: int
    ) -> tuple[Integers, Integers]:
        if self._noising is None:
            return tokens, targets
        return self._noising(tokens, targets, self.start + index)


class StreamBatches(Batches):
    """Contiguous lanes over a whole text, for training with carried state.

    The text is cut into `batch_size` lanes of equal length, one for each row of a
    batch, and batch i + 1 goes on where batch i ended. Lanes run over the ends of
    files: the state of one file is carried into the next.

    Batches have one shape, so what is left over, less than a batch (and never more
    than a hundredth of the text above one batch), is not trained on in that epoch.
    Epoch 0 begins at the first token; later epochs begin at an offset computed from
    (seed, epoch), so that it is not always the same tokens that are left out and
    the cuts fall elsewhere.

    `batches[i]` is `({"tokens": int32 (B, T), "carry": float32 (B,)}, int32 (B, T))`.
    `carry` is 1.0 where the row goes on from the same row of batch i - 1, and 0.0
    where its state starts from zero: at the first batch of each epoch, and by `reset`.

    With a `deviation` T varies from batch to batch as in AWD-LSTM, in an order that is
    the same whatever the seed (see `Windows`); `rate_scale` says how the learning rate
    is to follow. With `rotate` each lane of an epoch is cut at a random place and its
    two parts change places (Press 2019), so that lanes stand beside others than before;
    where the end of a lane meets its beginning the state is carried on all the same.
    With `reset` a lane begins some windows from a zero state (Melis et al. 2018).

    Without `endless`, `len()` is one epoch, and Keras goes through the same epoch
    each time (the first, unless `start` is given). With it, batches never end and
    epochs differ: use `fit(..., steps_per_epoch=batches.batches_per_epoch)`.

    Keras's own `fit` shuffles data sets unless told `shuffle=False`; `ordered` says
    that these must not be.

    Attributes:
        batch_size: lanes in use; fewer than asked for where the text is short.
        steps: time steps in use, the mean where they vary; fewer than asked for where
            the text is shorter yet.
        note: a sentence for people saying so, or "".
        ordered: True.
        batches_per_epoch: batches in one epoch, whatever `start`.
        tokens_per_batch: predictions in a batch, B x T; the mean, rounded.
        lengths: the values that T takes, ascending.
        lengths_vary: whether there are several.

    Example:
        >>> batches = StreamBatches(text, batch_size=20, steps=35)
        >>> x, y = batches[0]
        >>> x["tokens"].shape, x["carry"].shape, y.shape
        ((20, 35), (20,), (20, 35))
    """

    ordered = True

    def __init__(
        self,
        text: Text,
        batch_size: int,
        steps: int,
        seed: int = 0,
        start: int = 0,
        endless: bool = False,
        deviation: int = 0,
        rotate: bool = False,
        reset: float = 0.0,
        noising: Noising | None = None,
    ) -> None:
        """Lay the lanes.

        Args:
            text: the encoded text.
            batch_size: number of lanes, B.
            steps: time steps in a batch, T.
            seed: with the epoch, decides the offsets of later epochs.
            start: global index of the batch that `batches[0]` returns.
            endless: whether to go on after the first epoch without end.
            deviation: standard deviation of T, in steps.
            rotate: whether to cut each lane at random in each epoch.
            reset: rate, from 0 to 1, at which a row's `carry` is 0.0 by chance.
            noising: what replaces words.

        Raises:
            ValueError: a number is below what makes sense.
            InputError: the text has nothing to predict.
        """
        super().__init__(seed, start, endless, noising)
        if batch_size < 1 or steps < 1 or deviation < 0 or not 0 <= reset <= 1:
            raise ValueError(
                "Expected batch_size >= 1, steps >= 1, deviation >= 0 and reset from 0 "
                f"to 1. Received: batch_size={batch_size}, steps={steps}, "
                f"deviation={deviation}, reset={reset}"
            )
        self._ids = text.ids
        predictions = len(text.ids) - 1
        if predictions < 1:
            raise _nothing_to_predict(len(text.ids))
        self.batch_size = min(batch_size, max(predictions // steps, 1))
        self.steps = min(steps, predictions)
        self.note = ""
        if (self.batch_size, self.steps) != (batch_size, steps):
            self.note = (
                f"The text is short ({predictions} predictions): {self.batch_size} "
                f"lanes of {self.steps} steps instead of {batch_size} of {steps}."
            )
        self.rotate = rotate
        self.reset = reset
        room = predictions // self.batch_size
        windows = Windows(self.steps, deviation, room)
        spare = predictions - self.batch_size * windows.total
        if spare < self.steps - 1 and windows.count > _BATCHES_WORTH_SHIFTING:
            windows = Windows(self.steps, deviation, room - max(windows.lengths))
        self._windows = windows
        self.lengths = windows.lengths
        self.lengths_vary = len(windows.lengths) > 1
        self.batches_per_epoch = windows.count
        self.tokens_per_batch = round(self.batch_size * windows.total / windows.count)
        self._spare = predictions - self.batch_size * windows.total

    def offset(self, epoch: int) -> int:
        """Return how many targets of the text an epoch leaves out at its start."""
        if epoch == 0:
            return 0
        random = np.random.default_rng((self.seed, epoch))
        return int(random.integers(self._spare + 1))

    def rate_scale(self, index: int) -> float:
        """Return T of a global batch index as a share of `steps`.

        A loss is a mean over the steps of its window, so that a short window would
        otherwise weigh as much as a long one (Merity et al. 2018, section 5).
        """
        epoch, batch = self.position(index)
        return self._windows.window(epoch, batch)[1] / self.steps

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Integers]:
        """Return batch `start + index`: inputs and targets.

        Args:
            index: batch number, 0 or more; numbers past `len()` are of later epochs.

        Returns:
            `({"tokens": int32 (B, T), "carry": float32 (B,)}, targets int32 (B, T))`.
        """
        epoch, batch = self._place(index)
        begin, steps = self._windows.window(epoch, batch)
        length = self._windows.total
        lanes = np.arange(self.batch_size, dtype=np.int64)[:, None]
        times = begin + np.arange(steps)
        if self.rotate:
            random = np.random.default_rng((self.seed, epoch, 2))
            times = (random.integers(length, size=lanes.shape) + times) % length
        # Of inputs; of each the target is the token after it.
        places = self.offset(epoch) + lanes * length + times  # (B, T)
        tokens, targets = self._noised(
            np.asarray(self._ids[places], dtype=np.int32),
            np.asarray(self._ids[places + 1], dtype=np.int32),
            index,
        )
        return {"tokens": tokens, "carry": self._carry(epoch, batch)}, targets

    def _carry(self, epoch: int, batch: int) -> Reals:
        if not self.reset or not batch:
            return np.full(self.batch_size, float(batch > 0), dtype=np.float32)
        random = np.random.default_rng((self.seed, epoch, batch, 3))
        return (random.random(self.batch_size) >= self.reset).astype(np.float32)


class SentenceBatches(Batches):
    """Lines of like length in one batch, each from a zero state, padding masked.

    A line holds its line end and begins from the token before it: the line end of
    the line before, or the token that begins the text. A line longer than
    `max_steps` is cut into near-equal pieces, each begun from a zero state like a
    line of its own. Every target of the text is predicted exactly once an epoch.

    Lengths are gathered into a few buckets, chosen so that little is padded; the
    batch length T is the bucket's, so a compiled training step sees only these few
    shapes. The last batch of a bucket is filled up with rows of weight zero.

    `batches[i]` is `(tokens int32 (B, T), targets int32 (B, T), weights float32
    (B, T))`; a weight is 1.0 for a real target and 0.0 for padding, which comes
    after the line. The order of lines and batches is computed from (seed, epoch).
    Holds about 30 bytes of memory a line.

    Attributes:
        batch_size: rows in use; fewer than asked for where there are fewer lines.
        lengths: the values that T takes, ascending.
        max_steps: most targets in a row.
        note: a sentence for people where `batch_size` shrank, or "".
        ordered: False: no state is carried from batch to batch.
        batches_per_epoch: batches in one epoch, whatever `start`.
        tokens_per_batch: real targets in a batch on average, rounded.
    """

    ordered = False
    lengths_vary = True

    def __init__(
        self,
        text: Text,
        batch_size: int,
        seed: int = 0,
        start: int = 0,
        endless: bool = False,
        max_steps: int | None = None,
        noising: Noising | None = None,
        lengths: Positions | None = None,
    ) -> None:
        """Find the lines and choose the buckets.

        Args:
            text: the encoded text.
            batch_size: number of rows, B.
            seed: with the epoch, decides the order.
            start: global index of the batch that `batches[0]` returns.
            endless: whether to go on after the first epoch without end.
            max_steps: longest row; longer lines are cut. None means 256.
            noising: what replaces words.
            lengths: buckets to use, ascending to `max_steps`; chosen if absent. With
                them `batch_size` stays as it is, however few lines there are.

        Raises:
            ValueError: a number is below what makes sense.
            InputError: the text has nothing to predict.
        """
        super().__init__(seed, start, endless, noising)
        self.max_steps = LONGEST_LINE if max_steps is None else max_steps
        if batch_size < 1 or self.max_steps < 1:
            raise ValueError(
                "Expected batch_size >= 1 and max_steps >= 1. "
                f"Received: batch_size={batch_size}, max_steps={max_steps}"
            )
        self._ids = text.ids
        lines = line_segments(text.ids, text.starts, text.stops, text.line_end_id)
        starts, stops = cut_segments(*lines, longest=self.max_steps)
        if not len(starts):
            raise _nothing_to_predict(len(text.ids))
        self._starts = starts
        self._lengths = (stops - starts).astype(np.int32)
        most = len(starts) if lengths is None else batch_size
        self.batch_size = min(batch_size, most)
        self.note = ""
        if self.batch_size != batch_size:
            self.note = (
                f"The text is short ({len(starts)} lines): batches of "
                f"{self.batch_size} lines instead of {batch_size}."
            )
        if lengths is None:
            lengths = bucket_lengths(self._lengths, self.batch_size, self.max_steps)
        self.lengths = lengths
        self._bucket = np.searchsorted(self.lengths, self._lengths).astype(np.uint8)
        rows = np.bincount(self._bucket, minlength=len(self.lengths))
        self._first_row = np.concatenate([[0], np.cumsum(rows)])
        self._first_batch = np.concatenate(
            [[0], np.cumsum(-(-rows // self.batch_size))]
        )
        self.batches_per_epoch = int(self._first_batch[-1])
        self.tokens_per_batch = max(
            round(int(self._lengths.sum(dtype=np.int64)) / self.batches_per_epoch), 1
        )
        self._order: tuple[int, Positions, Positions] | None = None

    def _epoch_order(self, epoch: int) -> tuple[Positions, Positions]:
        """Return the lines grouped by bucket, and the order of the batches."""
        # One tuple, replaced whole: threads may compute it twice, never see half.
        order = self._order
        if order is None or order[0] != epoch:
            random = np.random.default_rng((self.seed, epoch))
            lines = random.permutation(len(self._starts))
            lines = lines[np.argsort(self._bucket[lines], kind="stable")]
            order = (epoch, lines, random.permutation(self.batches_per_epoch))
            self._order = order
        return order[1], order[2]

    def __getitem__(self, index: int) -> tuple[Integers, Integers, Reals]:
        """Return batch `start + index`: inputs, targets and their weights.

        Args:
            index: batch number, 0 or more; numbers past `len()` are of later epochs.

        Returns:
            Tokens, targets (int32) and weights (float32), each of shape (B, T).
        """
        epoch, number = self._place(index)
        lines, batches = self._epoch_order(epoch)
        batch = int(batches[number])
        bucket = int(np.searchsorted(self._first_batch, batch, side="right")) - 1
        low = int(self._first_row[bucket])
        low += (batch - int(self._first_batch[bucket])) * self.batch_size
        high = min(low + self.batch_size, int(self._first_row[bucket + 1]))
        rows = lines[low:high]
        steps = np.arange(int(self.lengths[bucket]))
        real = steps < self._lengths[rows, None]  # (rows, T)
        # Padding reads the line's last position, which surely exists, and is zeroed.
        targets = self._starts[rows, None] + np.where(real, steps, 0)
        shape = (self.batch_size, len(steps))
        tokens, goals = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        weights = np.zeros(shape, np.float32)
        tokens[: len(rows)] = np.where(real, self._ids[targets - 1], 0)
        goals[: len(rows)] = np.where(real, self._ids[targets], 0)
        weights[: len(rows)] = real
        return *self._noised(tokens, goals, index), weights


def _nothing_to_predict(tokens: int) -> InputError:
    return InputError(
        "Expected a text with at least two tokens, so that one can be predicted. "
        f"Received: {tokens}. Give a longer text."
    )
