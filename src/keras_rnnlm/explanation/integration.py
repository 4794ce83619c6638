"""The integrals of integrated gradients, as exactly as they have to be.

On the way from a baseline to the words of a text a recurrent network can be rough: near
its beginning it reads the same vector over and over, and log p may go up and down by
nats within a hundredth of the way. Points evenly spread over the way miss that.

But any piece of the way has a completeness check of its own: the integral of the
gradient over it is the difference of log p between its ends. So the way is cut in two,
and its halves again, wherever a piece misses its difference; smooth predictions take
one piece, rough ones some dozens.
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.explanation.gradients import directional_gradients
from keras_rnnlm.explanation.passes import Floats, Told, states_before
from keras_rnnlm.explanation.reading import Reading
from keras_rnnlm.models.causal_lm import CausalLM

TOLERANCE = 0.01
"""Of the completeness error, in nats, or as a share of a difference above 1."""

NODES = 6
"""Points of Gauss and Legendre in a piece."""
PIECES = 18
"""Of the way, in a batch; with their ends 144 rows, always as many."""
ROUNDS = 11
MOST_PIECES = 128
"""For one prediction; what is still rough then, the check will show."""
TOGETHER = 32
"""Predictions whose pieces share batches."""


def tolerances(differences: Floats) -> Floats:
    """Return what a completeness error may be, for some differences of log p."""
    return TOLERANCE * np.maximum(np.abs(differences), 1.0)


def integrate(
    network: CausalLM,
    reading: Reading,
    vectors: NDArray[np.float32],
    base: NDArray[np.float32],
    reach: int,
    told: Told | None = None,
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Attribute the T shown predictions of a text to the inputs before them.

    Args:
        network: In float32.
        reading: The text.
        vectors: (V, D) of the vocabulary.
        base: (D,) the baseline.
        reach: Inputs that a prediction is attributed to, W.
        told: Called with the numbers of predictions done and of all.

    Returns:
        Attributions (T, W), the nearest input first; differences (T,) that the rows
        should sum to; and the number of gradients (T,) that went into them.
    """
    shown = reading.shown
    gradients, differences = np.zeros((shown, reach)), np.zeros(shown)
    points = np.zeros(shown, np.int64)
    predictions = np.arange(1, shown + 1)
    firsts = np.maximum(predictions - reach, 0)
    for places, state in states_before(network, reading.ids, firsts, TOGETHER):
        group = _Group(network, reading, vectors, base, reach, places + 1, state)
        found = group.integrate()
        gradients[places], differences[places], points[places] = found
        if told is not None:
            told(int(places[-1]) + 1, shown)
    return gradients, differences, points


class _Group:
    """Predictions that are attributed together."""

    def __init__(
        self,
        network: CausalLM,
        reading: Reading,
        vectors: NDArray[np.float32],
        base: NDArray[np.float32],
        reach: int,
        predictions: NDArray[np.int64],
        state: Any,
    ) -> None:
        """Take predictions, numbered from 1, and the states their inputs begin in."""
        self._slopes = directional_gradients(network)
        self._base, self._reach, self._state = base, reach, state
        firsts = np.maximum(predictions - reach, 0)
        self._lengths = predictions - firsts
        # Behind the last input of a short row stands something that nobody looks at.
        inputs = np.minimum(firsts[:, None] + np.arange(reach), reading.predictions)
        self._vectors = vectors[reading.ids[inputs]]
        self._targets = reading.ids[predictions]
        self._nodes, self._weights = np.polynomial.legendre.leggauss(NODES)

    def integrate(self) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """See the function of this name."""
        count = len(self._targets)
        totals, differences = np.zeros((count, self._reach)), np.zeros(count)
        pieces = np.zeros(count, np.int64)
        owners, ends = np.arange(count), np.tile([0.0, 1.0], (count, 1))
        for round_ in range(ROUNDS):
            sums, gaps = self._over(owners, ends)
            np.add.at(pieces, owners, 1)
            if round_ == 0:
                differences = gaps.copy()
            # Errors of pieces add up: each may have a share of what all may have.
            allowed = tolerances(differences)[owners] / 8
            rough = np.abs(sums.sum(axis=1) - gaps) > allowed
            rough &= (pieces[owners] < MOST_PIECES) & (round_ < ROUNDS - 1)
            np.add.at(totals, owners[~rough], sums[~rough])
            if not rough.any():
                break
            low, high = ends[rough].T
            middle = (low + high) / 2
            owners = np.concatenate([owners[rough]] * 2)
            ends = np.concatenate(
                [np.stack([low, middle], axis=1), np.stack([middle, high], axis=1)]
            )
        nearest_first = self._lengths[:, None] - 1 - np.arange(self._reach)
        taken = np.take_along_axis(totals, np.maximum(nearest_first, 0), axis=1)
        return np.where(nearest_first >= 0, taken, 0.0), differences, pieces * NODES

    def _over(self, owners: NDArray[np.int64], ends: Floats) -> tuple[Floats, Floats]:
        """Integrate over pieces of ways.

        Args:
            owners: (P,) which prediction each belongs to.
            ends: (P, 2) shares of the way.

        Returns:
            (P, W) integrals of each input, the first first, and (P,) differences of
            log p between the ends.
        """
        sums, gaps = np.zeros((len(owners), self._reach)), np.zeros(len(owners))
        for begin in range(0, len(owners), PIECES):
            here = slice(begin, begin + PIECES)
            count = len(owners[here])
            rows = np.resize(owners[here], PIECES)
            low, high = np.resize(ends[here], (PIECES, 2)).T
            inner = low[:, None] + (high - low)[:, None] * (self._nodes + 1) / 2
            shares = np.concatenate([low[:, None], high[:, None], inner], axis=1)
            each = np.repeat(rows, NODES + 2)
            logs, slopes = self._slopes(
                self._vectors[each],
                self._base,
                shares.reshape(-1).astype(np.float32),
                (self._lengths[each] - 1).astype(np.int32),
                self._targets[each],
                keras.tree.map_structure(
                    lambda s, each=each: ops.take(s, each, axis=0), self._state
                ),
            )
            logs = _floats(logs).reshape(PIECES, -1)
            slopes = _floats(slopes).reshape(PIECES, -1, self._reach)[:, 2:]
            widths = ((high - low) / 2)[:, None]
            integrals = widths * np.einsum("n,pnw->pw", self._weights, slopes)
            sums[here], gaps[here] = (
                integrals[:count],
                (logs[:, 1] - logs[:, 0])[:count],
            )
        return sums, gaps


def _floats(tensor: Any) -> Floats:
    array: Floats = ops.convert_to_numpy(tensor).astype(np.float64)
    return array
