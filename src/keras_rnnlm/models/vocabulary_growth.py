"""New words in a trained network: rows of its own vectors, probabilities as before.

Until now the network has known a new word as `<unk>`, and what it learnt of `<unk>` is
what it knows of the word. So the word begins with the vectors of `<unk>`, and takes its
share of `<unk>`'s probability by its bias. With s_w the share of word w among the words
that were unknown,

    b_w = b_unk + log s_w,    b_unk <- b_unk + log(1 - sum of all s_w),

so that, whatever came before, the new words and `<unk>` together have the probability
that `<unk>` had, and every other word keeps its own. Where `<unk>` never stood in the
training text its vectors say nothing. There the new words begin as the mean of the
rarest words, on average as likely as those, and all others have a little less.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.errors import InputError

Arrays = dict[str, NDArray[np.float32]]


def shares_of_unknown(
    counts: NDArray[np.integer], left: int, types_left: int
) -> NDArray[np.float64]:
    """Return which part of unknown words each new word is (Witten & Bell 1991).

    What is kept for words that are still unknown is estimated by how many different
    ones there were: each was new once.

    Args:
        counts: (N,), how often each new word stands in the text.
        left: How many words of the text stay unknown.
        types_left: How many different ones, those that become known included.
    """
    total = float(counts.sum() + left + max(types_left, 1))
    return counts / total


def grow(
    arrays: Mapping[str, NDArray[np.float32]],
    unk_id: int,
    shares: NDArray[np.float64],
    source: NDArray[np.integer] | None = None,
) -> Arrays:
    """Return the weights of the network with N further tokens at the end.

    Args:
        arrays: By stable name, of a network whose output is no adaptive softmax.
        unk_id: The id of `<unk>`.
        shares: (N,), above 0, with a sum below 1; see `shares_of_unknown`.
        source: Ids whose mean vectors the new words begin with; `<unk>` if absent.

    Raises:
        InputError: For an adaptive softmax, whose clusters are cut by frequency.
    """
    if any(name.startswith("output.head_") for name in arrays):
        raise InputError(
            "New words need a network with output full, sampled or mixture, received "
            "one with an adaptive softmax, whose clusters are cut by frequency. Leave "
            "new words out."
        )
    grown = {name: np.array(array) for name, array in arrays.items()}
    ids = np.array([unk_id]) if source is None else np.asarray(source)
    count = len(shares)
    vectors = grown["embedding.weight"]
    grown["embedding.weight"] = _with_rows(vectors, ids, count)
    if "output.kernel" in grown:
        grown["output.kernel"] = _with_rows(grown["output.kernel"].T, ids, count).T
    bias = grown["output.bias"].astype(np.float64)
    if source is None:
        new = bias[unk_id] + np.log(shares)
        bias[unk_id] += np.log1p(-shares.sum())
    else:
        new = bias[ids].mean() + np.log(shares / shares.mean())
    bias = np.append(bias, new)
    grown["output.bias"] = bias.astype(np.float32)
    if "output.order" in grown:
        order = grown["output.order"]
        after = np.arange(order.shape[1], order.shape[1] + count)
        more = np.tile(after, (2, 1)).astype(order.dtype)
        grown["output.order"] = np.concatenate([order, more], axis=1)
    return {name: np.ascontiguousarray(array) for name, array in grown.items()}


def _with_rows(
    matrix: NDArray[np.float32], ids: NDArray[np.integer], count: int
) -> NDArray[np.float32]:
    row = matrix[ids].mean(axis=0, keepdims=True)
    return np.concatenate([matrix, np.repeat(row, count, axis=0)])
