"""Which batch lengths to pad lines to, so that few are needed and little is wasted."""

import numpy as np
from numpy.typing import NDArray

LONGEST_LINE = 256
"""Most targets in a row, unless a user says otherwise; longer lines are cut."""

_BUCKETS = 8
_BUCKET_CANDIDATES = 64


def bucket_lengths(
    lengths: NDArray[np.int32], batch_size: int, longest: int
) -> NDArray[np.int64]:
    """Choose at most eight batch lengths that leave the least padding.

    Dynamic programming over the lengths that occur, rounded up to a grid of at most
    64 values; a bucket costs its padded positions and half a batch for the batch
    that it cannot fill.

    Args:
        lengths: targets of each row, shape (rows,), each at least 1.
        batch_size: rows in a batch.
        longest: no batch length goes beyond this; at least `max(lengths)`.

    Returns:
        The batch lengths, ascending; the last is at least `max(lengths)`.
    """
    top = int(lengths.max())
    grid = -(-top // _BUCKET_CANDIDATES)
    grid = max(grid, min(4, top))
    rounded = np.minimum(-(-lengths // grid) * grid, longest)
    values, counts = np.unique(rounded, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])  # lines in the first i values
    buckets = min(_BUCKETS, len(values))
    # best[i]: least cost of the first i values; cut[k][i]: where the last bucket of
    # k + 1 begins.
    best = np.full(len(values) + 1, np.inf)
    best[0] = 0.0
    cuts, totals = [], []
    for _ in range(buckets):
        cost = np.full_like(best, np.inf)
        cut = np.zeros(len(best), dtype=np.int64)
        for end in range(1, len(best)):
            options = best[:end] + values[end - 1] * (
                below[end] - below[:end] + batch_size / 2
            )
            cut[end] = int(np.argmin(options))
            cost[end] = options[cut[end]]
        best = cost
        cuts.append(cut)
        totals.append(cost[-1])
    chosen: list[int] = []
    end = len(values)
    for cut in reversed(cuts[: int(np.argmin(totals)) + 1]):
        chosen.append(int(values[end - 1]))
        end = int(cut[end])
    return np.array(chosen[::-1], dtype=np.int64)
