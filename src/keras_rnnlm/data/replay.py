"""Batches of a new text with lanes of an old one beside them.

Replay against forgetting (Robins 1995): some rows of each batch go on reading the text
that was learnt before. Both texts keep their carried state, since a row always goes on
where it ended.
"""

from typing import Any

import numpy as np

from keras_rnnlm.data.streams import Batches, Integers, StreamBatches


class ReplayBatches(Batches):
    """Streams of two texts, joined row by row; see `StreamBatches`.

    An epoch is one of the new text. The old one has epochs of its own.

    Attributes:
        batch_size: lanes of both.
        steps: time steps in a batch.
        note: what the streams have to say, or "".
        ordered: True.
        batches_per_epoch: batches in one epoch of the new text.
        tokens_per_batch: predictions in a batch, those in the old text included.
    """

    ordered = True

    def __init__(self, new: StreamBatches, old: StreamBatches) -> None:
        """Join two streams that begin at the same step.

        Raises:
            ValueError: their windows differ, or one of them ends.
        """
        same = (new.lengths, new.start) == (old.lengths, old.start)
        if not same or new.lengths_vary or not (new.endless and old.endless):
            raise ValueError(
                "Expected two endless streams from the same step on, of windows of one "
                f"length. Received: lengths={new.lengths} and {old.lengths}, "
                f"start={new.start} and {old.start}, endless={new.endless} and "
                f"{old.endless}"
            )
        super().__init__(new.seed, new.start, endless=True)
        self._new, self._old = new, old
        self.batch_size = new.batch_size + old.batch_size
        self.steps, self.lengths = new.steps, new.lengths
        beside = old.note and f"Of the text to replay: {old.note}"
        self.note = " ".join(filter(None, (new.note, beside)))
        self.batches_per_epoch = new.batches_per_epoch
        self.tokens_per_batch = self.batch_size * new.steps

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Integers]:
        """Return a batch: inputs and targets, the new text's rows first."""
        (new, new_targets), (old, old_targets) = self._new[index], self._old[index]
        inputs = {name: np.concatenate([new[name], old[name]]) for name in new}
        return inputs, np.concatenate([new_targets, old_targets])


def lanes_of(batch_size: int, share: float) -> tuple[int, int]:
    """Return how many lanes of a batch read the new text and how many the old one.

    Args:
        batch_size: lanes in all, 2 or more.
        share: of the old text, from 0 to 1, neither of them included.
    """
    old = min(max(round(batch_size * share), 1), batch_size - 1)
    return batch_size - old, old
