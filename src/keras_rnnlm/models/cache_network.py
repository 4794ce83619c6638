"""A network with a continuous cache, which scores and generates like a plain one.

The cache of Grave, Joulin and Usunier (2017), as `scoring.cache` has it for reports,
here as a part of the state: a value that is handed on, with which every loop of this
package can score and generate.

    p(w) = (1 - lambda) p_model(w) + lambda p_cache(w)
    p_cache(w) = sum_i 1[x_{i+1} = w] exp(theta h_t . h_i) / sum_i exp(theta h_t . h_i)

over the last `window` hidden vectors h_i and the tokens x_{i+1} that came after them.
While the cache is empty the model speaks alone.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.models.carried_state import State
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.compiled import compiled_once

_PIECE = 64  # tokens of an example that are read at a time


class CacheNetwork:
    """A network and a cache; their state is the network's and three arrays more.

    Those are hidden vectors (batch, window, D), tokens (batch, window), each plus one
    since zero stands for an empty place, and the last hidden vector (batch, D) with a
    one behind it once there is one. As with every network here, a row of zeros is one
    that begins.

    Args:
        network: In float32.
        window: Predictions that the cache remembers.
        theta: How much nearer hidden vectors count for more.
        weight: lambda, from 0 to 1, neither of them included.

    Attributes:
        vocabulary_size: Of the network.
        network: The network.

    Raises:
        ConfigError: A value out of its range.
    """

    compute_dtype = "float32"

    def __init__(
        self, network: CausalLM, window: int, theta: float, weight: float
    ) -> None:
        """Join them; the cache is empty."""
        if window < 1 or not 0 <= theta < np.inf or not 0 < weight < 1:
            raise ConfigError(
                "Expected a cache with a window of 1 or more, theta of 0 or more and a "
                f"weight between 0 and 1, received window={window}, theta={theta}, "
                f"weight={weight}."
            )
        self.network = network
        self.vocabulary_size = network.vocabulary_size
        self.window, self.theta, self.weight = window, theta, weight
        self._first: Any = None

    @property
    def variables(self) -> Sequence[Any]:
        """Those of the network."""
        found: Sequence[Any] = self.network.variables
        return found

    def after(self, ids: NDArray[np.integer]) -> "CacheNetwork":
        """Return one whose every row begins as if it had read some tokens (T,)."""
        read = compiled_once(self, _state_after)
        state, left = self.initial_state(1), np.asarray(ids, np.int32)
        while len(left):
            size = _PIECE if len(left) >= _PIECE else 1
            state, left = read(left[None, :size], state), left[size:]
        primed = CacheNetwork(self.network, self.window, self.theta, self.weight)
        primed._first = [
            ops.convert_to_numpy(array) for layer in state for array in layer
        ]
        return primed

    def initial_state(self, batch_size: Any) -> State:
        """Return the state of rows that begin."""
        own = self.network.initial_state(batch_size)
        if self._first is None:
            width = self._width()
            cache = (
                ops.zeros((batch_size, self.window, width), "float32"),
                ops.zeros((batch_size, self.window), "float32"),
                ops.zeros((batch_size, width + 1), "float32"),
            )
            return (*own, cache)
        arrays = iter(self._first)
        sizes = [len(layer) for layer in own]
        return tuple(
            tuple(ops.repeat(next(arrays), batch_size, 0) for _ in range(size))
            for size in (*sizes, 3)
        )

    def hidden(
        self, tokens: Any, state: State, training: bool = False
    ) -> tuple[Any, State]:
        """Return log-probabilities (batch, time, vocabulary) and the new state.

        What stands for hidden vectors here: `cross_entropy` and `log_probabilities`
        take it.
        """
        *own, (keys, words, last) = state
        vectors, after = self.network.hidden(tokens, tuple(own))
        vectors = ops.cast(vectors, "float32")
        steps = tokens.shape[1]
        # The token of a step came after the hidden vector of the step before.
        before = ops.concatenate([last[:, None, :-1], vectors[:, :-1]], axis=1)
        known = ops.concatenate(
            [last[:, -1:], ops.ones_like(ops.cast(tokens[:, 1:], "float32"))], axis=1
        )
        came = (ops.cast(tokens, "float32") + 1.0) * known
        keys = ops.concatenate([keys, before], axis=1)
        words = ops.concatenate([words, came], axis=1)
        mixed = self._mixed(vectors, keys, words)
        newest = ops.concatenate(
            [vectors[:, -1], ops.ones_like(vectors[:, -1, :1])], axis=-1
        )
        cache = (keys[:, steps:], words[:, steps:], newest)
        return mixed, (*after, cache)

    def _mixed(self, vectors: Any, keys: Any, words: Any) -> Any:
        """Log-probabilities (B, T, V), given the window's and the chunk's own pairs."""
        steps = vectors.shape[1]
        age = (self.window + ops.arange(steps, dtype="int32"))[:, None] - ops.arange(
            self.window + steps, dtype="int32"
        )
        recent = ops.logical_and(age >= 0, age < self.window)
        seen = ops.logical_and(recent[None], words[:, None, :] > 0)  # (B, T, W + T)
        nearness = ops.matmul(vectors, ops.transpose(keys, (0, 2, 1)))
        nearest = ops.max(ops.where(seen, nearness, -1e30), axis=-1, keepdims=True)
        terms = ops.where(seen, ops.exp(self.theta * (nearness - nearest)), 0.0)
        total = ops.sum(terms, axis=-1, keepdims=True)
        shares = terms / ops.maximum(total, 1e-30)
        cached = self._by_word(shares, ops.cast(words, "int32"))
        own = self.network.log_probabilities(vectors)
        part = ops.where(total > 0, self.weight, 0.0)
        # In logarithms: float32 has no probability below e^-103, the model has.
        return ops.logaddexp(ops.log1p(-part) + own, ops.log(part * cached))

    def _by_word(self, shares: Any, words: Any) -> Any:
        """Sum shares (B, T, W) of places by the word in each, 0 for none: (B, T, V)."""
        rows, steps, places = shares.shape
        classes = self.vocabulary_size + 1
        of_row = ops.arange(rows, dtype="int32")[:, None] * classes + words
        sums = ops.segment_sum(
            ops.reshape(ops.transpose(shares, (0, 2, 1)), (rows * places, steps)),
            ops.reshape(of_row, (-1,)),
            num_segments=rows * classes,
        )
        sums = ops.reshape(sums, (rows, classes, steps))[:, 1:]
        return ops.transpose(sums, (0, 2, 1))

    def log_probabilities(self, hidden: Any) -> Any:
        """Return what `hidden` gave: natural log-probabilities."""
        return hidden

    def cross_entropy(
        self, hidden: Any, targets: Any, weights: Any = None, training: bool = False
    ) -> Outcome:
        """Compare what `hidden` gave with targets (batch, time); see `CausalLM`."""
        ids = ops.cast(targets, "int32")
        nats = -ops.take_along_axis(hidden, ids[..., None], axis=-1)[..., 0]
        correct = ops.cast(ops.argmax(hidden, axis=-1) == ids, "float32")
        weights = ops.ones_like(nats) if weights is None else weights
        return Outcome(ops.sum(nats * weights), nats, correct)

    def step(self, tokens: Any, state: State) -> tuple[Any, State]:
        """Predict what follows; see `CausalLM.step`."""
        tokens = ops.convert_to_tensor(tokens, "int32")
        one = len(tokens.shape) == 1
        found, state = self.hidden(ops.expand_dims(tokens, 1) if one else tokens, state)
        return (found[:, 0] if one else found), state

    def _width(self) -> int:
        """The width of the network's hidden vectors."""
        network = self.network
        spec, _ = network.hidden(np.zeros((1, 1), np.int32), network.initial_state(1))
        return int(spec.shape[-1])


def _state_after(network: CacheNetwork, tokens: Any, state: State) -> State:
    return network.step(tokens, state)[1]
