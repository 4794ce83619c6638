"""Token ids to measure with, of words as frequent as in a natural text."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def zipf_ids(tokens: int, vocabulary: int, seed: int = 0) -> NDArray[np.int32]:
    """Return ids whose frequencies fall as 1 / rank (Zipf's law), rank by id.

    Args:
        tokens: How many.
        vocabulary: Number of different ids.
        seed: Of the draw.
    """
    weights = 1.0 / np.arange(1, vocabulary + 1)
    edges = np.cumsum(weights / weights.sum())
    draws = np.random.default_rng(seed).random(tokens)
    return np.minimum(np.searchsorted(edges, draws), vocabulary - 1).astype(np.int32)


@dataclass(frozen=True)
class SyntheticText:
    """Ids in the form in which `data.streams` takes a text: one file, no lines."""

    ids: NDArray[np.unsignedinteger]
    line_end_id: int | None = None
    starts: NDArray[np.int64] = field(init=False)
    stops: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """One file: every token but the first is predicted."""
        object.__setattr__(self, "starts", np.array([1], np.int64))
        object.__setattr__(self, "stops", np.array([len(self.ids)], np.int64))
