"""Vectors in gensim, whose files the tests read."""

from typing import Any

import numpy as np
from gensim.models import KeyedVectors


def keyed(words: list[str], width: int = 5, seed: int = 0) -> Any:
    """gensim's own vectors of words, by chance."""
    made = KeyedVectors(width)
    made.add_vectors(words, chance(len(words), width, seed))
    return made


def chance(rows: int, width: int, seed: int = 0) -> np.ndarray:
    numbers = np.random.default_rng(seed).normal(0.1, 0.5, (rows, width))
    return numbers.astype("float32")
