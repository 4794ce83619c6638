"""Which rank a word has by how often it comes, kept as a weight of a layer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any


class WordRanks:
    """The order of a vocabulary by frequency, for layers that stand on it.

    A layer that inherits from this calls `_add_order` when it is built. Until
    `rank_words` is called ids are taken for ranks: 0 the most frequent word.
    """

    order: Any = None
    vocabulary_size: int

    def rank_words(self, counts: NDArray[np.integer]) -> None:
        """Rank words by their counts; of equal counts the lower id comes first.

        Changes what the weights mean: to be called before training.

        Args:
            counts: (V,), how often each id comes in the training text.

        Raises:
            ValueError: another number of counts than words.
        """
        if counts.shape != (self.vocabulary_size,):
            raise ValueError(
                f"rank_words expected counts of shape ({self.vocabulary_size},), one "
                f"for each word, received {counts.shape}: count the ids of the "
                "training text with numpy.bincount(ids, minlength=vocabulary_size)."
            )
        ids = np.argsort(-counts.astype(np.int64), kind="stable")
        ranks = np.empty_like(ids)
        ranks[ids] = np.arange(len(ids))
        self.order.assign(np.stack([ranks, ids]).astype("int32"))

    def _add_order(self) -> None:
        """Make the weight `order` (2, V): the rank of each id, the id of each rank."""
        size = self.vocabulary_size

        def in_order(shape: Any, dtype: Any = None) -> Any:
            return np.tile(np.arange(size, dtype="int32"), (2, 1))

        self.order = self.add_weight(  # type: ignore[attr-defined]
            shape=(2, size),
            initializer=in_order,
            dtype="int32",
            trainable=False,
            name="order",
        )
