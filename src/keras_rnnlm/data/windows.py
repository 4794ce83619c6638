"""Windows of varying length over a lane, few lengths and the same ones every epoch.

AWD-LSTM (Merity et al. 2018) draws each window anew: its mean is `steps`, or half of
that one time in twenty, and its length is normal about the mean. Here the shares of
that distribution are kept but not the draws. Each epoch has the same windows, at most
eight different lengths in all, in an order computed from the epoch: a compiled step
sees few shapes, an epoch has a known number of batches, and any batch is found without
going through those before it.

The order does not depend on the seed of a run. So runs of neighbouring seeds, which
are trained as members of an ensemble by one compiled program, have batches of the same
shape at each step; what stands in the windows is decided by the seed (see
`streams.StreamBatches`).
"""

import math

import numpy as np
from numpy.typing import NDArray

HALVED = 0.05
"""Share of the windows whose mean is half of `steps`."""
_SEED = 0  # of the orders, which are the same in all runs


class Windows:
    """The cuts of a lane.

    Args:
        steps: mean length of a window.
        deviation: standard deviation of the lengths, in steps; 0 for one length.
        room: number of predictions in a lane.

    Attributes:
        count: windows in an epoch.
        total: their lengths, summed; at most `room`.
        lengths: the different lengths, ascending.
    """

    def __init__(self, steps: int, deviation: int, room: int) -> None:
        """Choose how many windows of each length an epoch has."""
        shares = window_shares(steps, deviation, room)
        mean = sum(length * share for length, share in shares.items())
        self.count = max(int(room / mean), 1)
        while True:
            self._all = _apportioned(shares, self.count)
            if self._all.sum() <= room or self.count == 1:
                break
            self.count -= 1
        if self._all.sum() > room:
            self._all = np.array([room])
        self.total = int(self._all.sum())
        self.lengths = sorted(set(self._all.tolist()))
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def window(self, epoch: int, index: int) -> tuple[int, int]:
        """Return where a window of an epoch begins in its lane, and its length."""
        # One tuple, replaced whole: threads may compute it twice, never see half.
        order = self._order
        if order is None or order[0] != epoch:
            random = np.random.default_rng((_SEED, epoch, 1))
            ends = np.cumsum(random.permutation(self._all))
            order = epoch, np.concatenate([[0], ends])
            self._order = order
        begin, end = order[1][index : index + 2]
        return int(begin), int(end - begin)


def window_shares(steps: int, deviation: int, room: int) -> dict[int, float]:
    """Return the share of each length: a normal law in bins one deviation wide.

    Five lengths about `steps`, three about half of it; those below 1 become 1 and
    those above `room` become `room`.
    """
    if deviation == 0:
        return {min(steps, room): 1.0}
    shares: dict[int, float] = {}
    for mean, share, reach in ((steps, 1 - HALVED, 2), (steps // 2, HALVED, 1)):
        for offset in range(-reach, reach + 1):
            low = -math.inf if offset == -reach else offset - 0.5
            high = math.inf if offset == reach else offset + 0.5
            length = min(max(mean + offset * deviation, 1), room)
            mass = share * (_normal(high) - _normal(low))
            shares[length] = shares.get(length, 0.0) + mass
    return shares


def _normal(x: float) -> float:
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))


def _apportioned(shares: dict[int, float], count: int) -> NDArray[np.int64]:
    """`count` lengths in these shares, rounded by largest remainder."""
    lengths = sorted(shares)
    wanted = np.array([shares[length] * count for length in lengths])
    numbers = np.floor(wanted).astype(np.int64)
    left = count - int(numbers.sum())
    numbers[np.argsort(numbers - wanted, kind="stable")[:left]] += 1
    return np.repeat(np.array(lengths, np.int64), numbers)
