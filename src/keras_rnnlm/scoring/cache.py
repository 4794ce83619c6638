"""Continuous cache: words come back where the network is in a state it was in before.

Grave, Joulin and Usunier (2017), "Improving neural language models with a continuous
cache". Beside each of the last `window` predictions the cache keeps the hidden vector
h_i that made it and the token x_{i+1} that came. With the present hidden vector h_t,

    p_cache(w) = sum_i 1[x_{i+1} = w] exp(theta h_t . h_i) / sum_i exp(theta h_t . h_i)

    p(w) = (1 - lambda) p_model(w) + lambda p_cache(w).

The cache holds only what the stream it reads has shown, and is empty at the beginning
of each file; there p_cache is the same for all words of the vocabulary, so that it is a
distribution everywhere. A word that is not in the cache has p_cache = 0, a natural
logarithm of minus infinity: the cache is of use in a mixture alone. (So has one whose
nearest key counts less than 1e-38 of the nearest of all, which float32 cannot hold.)

A block of predictions is one product of its hidden vectors with those of the window and
of the block itself; each prediction then sees its own `window` of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.compiled import compiled_once

_NOTHING = -1  # the token beside an empty place of the window


@dataclass(frozen=True)
class CacheSettings:
    """A continuous cache.

    Attributes:
        window: Predictions it remembers.
        theta: How much nearer hidden vectors count for more; 0 gives the frequencies
            of the words in the window.

    Raises:
        ConfigError: For a window below 1 or a negative theta.
    """

    window: int = 500
    theta: float = 0.3

    def __post_init__(self) -> None:
        """Check the values."""
        if self.window < 1:
            raise ConfigError(
                f"Expected a cache window of 1 or more, received {self.window}."
            )
        if not 0 <= self.theta < np.inf:
            raise ConfigError(
                f"Expected a cache theta of 0 or more, received {self.theta}. Most lie "
                "between 0.05 and 2; the larger the hidden vectors, the smaller."
            )


class CacheBank:
    """Several caches over one stream of hidden vectors: the products are shared."""

    def __init__(
        self, network: keras.Model, caches: Sequence[CacheSettings], block: int
    ) -> None:
        """Make empty caches.

        Args:
            network: The network whose hidden vectors they are given.
            caches: Their settings.
            block: Most predictions that `read` is given at a time.
        """
        self._caches = tuple(caches)
        self._block = block
        self._vocabulary_size = network.vocabulary_size
        self._window = max((cache.window for cache in caches), default=0)
        self._thetas = np.array([cache.theta for cache in caches], np.float32)
        self._windows = np.array([cache.window for cache in caches], np.int32)
        self._look_up = compiled_once(network, _look_up)
        self.begin()

    def begin(self) -> None:
        """Forget everything: another stream begins."""
        self._keys: NDArray[np.float32] | None = None
        self._words = np.full(self._window, _NOTHING, np.int32)

    def read(
        self, hidden: NDArray[np.float32], targets: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Return what each cache says of the next predictions, then remember them.

        Args:
            hidden: (N, D), N up to `block`.
            targets: (N,) the tokens that came.

        Returns:
            Natural-log probabilities (caches, N).
        """
        count, width = hidden.shape
        if self._keys is None:
            self._keys = np.zeros((self._window, width), np.float32)
        # Always as many rows, so that one program serves all blocks.
        rows = np.zeros((self._block, width), np.float32)
        rows[:count] = hidden
        words = np.full(self._block, _NOTHING, np.int32)
        words[:count] = targets
        keys = np.concatenate([self._keys, rows])
        beside = np.concatenate([self._words, words])
        found = self._look_up(keys, beside, words, self._thetas, self._windows)
        kept = slice(count, count + self._window)
        self._keys, self._words = keys[kept], beside[kept]
        logs: NDArray[np.float64]
        logs = ops.convert_to_numpy(found)[:, :count].astype(np.float64)
        logs[np.isnan(logs)] = -np.log(self._vocabulary_size)
        return logs


def _look_up(
    network: keras.Model,
    keys: Any,
    beside: Any,
    targets: Any,
    thetas: Any,
    windows: Any,
) -> Any:
    """Look a block up in several caches; this runs inside the compiled function.

    Args:
        network: Not used.
        keys: (W + B, D), hidden vectors before the block and its own.
        beside: int32 (W + B,), their tokens.
        targets: int32 (B,), the block's tokens.
        thetas: (C,).
        windows: int32 (C,), none above W.

    Returns:
        Natural-log probabilities (C, B); not a number where a cache is empty.
    """
    block = targets.shape[0]
    window = beside.shape[0] - block
    nearness = ops.matmul(keys[window:], ops.transpose(keys))  # (B, W + B)
    # Of prediction b, place j is `age` predictions ago: 1 is the one just before.
    age = (window + ops.arange(block, dtype="int32"))[:, None] - ops.arange(
        window + block, dtype="int32"
    )
    filled = ops.logical_and(age >= 1, beside[None, :] != _NOTHING)
    same = beside[None, :] == targets[:, None]
    found = []
    for c in range(windows.shape[0]):
        seen = ops.logical_and(filled, age <= windows[c])
        # The nearest key has the largest term under every theta.
        nearest = ops.max(ops.where(seen, nearness, -np.inf), axis=-1, keepdims=True)
        terms = ops.where(seen, ops.exp(thetas[c] * (nearness - nearest)), 0.0)
        everything = ops.sum(terms, axis=-1)
        matches = ops.sum(ops.where(same, terms, 0.0), axis=-1)
        found.append(ops.log(matches / everything))  # 0 / 0 without any key
    return ops.stack(found)
