"""Batches of a text that is segmented anew in each epoch; see `resegmentation.py`.

Passes differ in their number of tokens, by a few in a thousand; the schedule, the
place in the data and reports need epochs of a fixed number of batches. So an epoch is
as long as a typical pass, the same one for every run with this text and these settings:

- lanes: a pass is cut to that many tokens, beginning with the first in epoch 0 and at a
  place computed from (seed, epoch) later; a shorter one goes on with its beginning.
- lines: the lengths of batches are those of the typical pass. Of the batches of a pass,
  in an order computed from (seed, epoch), those too many are left out; where there are
  too few the first ones come twice.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_rnnlm.data.noising import Noising
from keras_rnnlm.data.resegmentation import Resegmentation, SegmentedText
from keras_rnnlm.data.streams import Batches, SentenceBatches, StreamBatches


class ResegmentedBatches(Batches):
    """Batches of one kind, of another text in each epoch.

    Made by `resegmented_stream` and `resegmented_sentences`.

    Attributes:
        batch_size: as of `StreamBatches` and `SentenceBatches`, like all below.
        steps: of a stream; None for lines.
        lengths: the values that the number of steps takes, ascending.
        lengths_vary: whether there are several.
        note: a sentence for people, or "".
        ordered: whether batches must come in order.
        batches_per_epoch: batches in one epoch.
        tokens_per_batch: predictions in a batch, on average.
    """

    def __init__(
        self,
        passes: Resegmentation,
        plan: StreamBatches | SentenceBatches,
        make: Callable[[SegmentedText, int], StreamBatches | SentenceBatches],
        start: int,
        endless: bool,
    ) -> None:
        """Take the shape of epochs from a plan.

        Args:
            passes: the text of each epoch.
            plan: batches of the typical pass.
            make: from the text of an epoch, and its number, to batches like these.
            start: global index of the batch that `batches[0]` returns.
            endless: whether to go on after the first epoch without end.
        """
        super().__init__(plan.seed, start, endless)
        self._passes, self._plan, self._make = passes, plan, make
        self._current: tuple[int, StreamBatches | SentenceBatches] | None = None
        self.batch_size = plan.batch_size
        self.steps = plan.steps if isinstance(plan, StreamBatches) else None
        self.lengths = plan.lengths
        self.lengths_vary = plan.lengths_vary
        self.note = plan.note
        self.ordered = plan.ordered
        self.batches_per_epoch = plan.batches_per_epoch
        self.tokens_per_batch = plan.tokens_per_batch

    def rate_scale(self, index: int) -> float:
        """See `Batches`."""
        return self._plan.rate_scale(index)

    def __getitem__(self, index: int) -> Any:
        """Return batch `start + index`, in the form of the plan's."""
        epoch, number = self._place(index)
        # One tuple, replaced whole: threads may make it twice, never see half.
        current = self._current
        if current is None or current[0] != epoch:
            current = epoch, self._make(self._passes.text(epoch), epoch)
            self._current = current
        batches = current[1]
        count = batches.batches_per_epoch
        return batches[epoch * count + number % count]


def resegmented_stream(
    passes: Resegmentation,
    batch_size: int,
    steps: int,
    seed: int = 0,
    start: int = 0,
    endless: bool = False,
    deviation: int = 0,
    rotate: bool = False,
    reset: float = 0.0,
    noising: Noising | None = None,
) -> ResegmentedBatches:
    """Return lanes with carried state over the passes; arguments of `StreamBatches`."""
    tokens = len(passes.typical.ids)

    def make(text: SegmentedText, epoch: int) -> StreamBatches:
        fitted = _of_length(text, tokens, seed, epoch)
        return StreamBatches(
            fitted,
            batch_size,
            steps,
            seed,
            deviation=deviation,
            rotate=rotate,
            reset=reset,
            noising=noising,
        )

    return ResegmentedBatches(passes, make(passes.typical, 0), make, start, endless)


def resegmented_sentences(
    passes: Resegmentation,
    batch_size: int,
    seed: int = 0,
    start: int = 0,
    endless: bool = False,
    max_steps: int | None = None,
    noising: Noising | None = None,
) -> ResegmentedBatches:
    """Return lines of the passes; arguments of `SentenceBatches`.

    A line that is longer than any of the typical pass is cut in two.
    """
    plan = SentenceBatches(passes.typical, batch_size, seed, max_steps=max_steps)

    def make(text: SegmentedText, epoch: int) -> SentenceBatches:
        return SentenceBatches(
            text,
            plan.batch_size,
            seed,
            max_steps=int(plan.lengths[-1]),
            noising=noising,
            lengths=plan.lengths,
        )

    return ResegmentedBatches(passes, plan, make, start, endless)


def _of_length(
    text: SegmentedText, tokens: int, seed: int, epoch: int
) -> SegmentedText:
    """Return a pass cut, or gone on with from its beginning, to so many tokens."""
    ids = text.ids
    spare = len(ids) - tokens
    if spare > 0:
        begin = 0
        if epoch:
            random = np.random.default_rng((seed, epoch, 5))
            begin = int(random.integers(spare + 1))
        ids = ids[begin : begin + tokens]
    elif spare < 0:
        # The first token stands before the text; it does not come twice.
        ids = np.concatenate([ids[:1], np.resize(ids[1:], tokens - 1)])
    # Lanes run over the ends of files.
    return SegmentedText(ids, text.starts, text.stops, text.line_end_id)
