"""A float32 copy of a network that computes in fewer bits."""

import weakref
from typing import Any

import keras

from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.weights import assign_weights, named_weights, weight_arrays


class Float32Copy:
    """Copies a network's weights again only once they, or those of the copy, changed.

    On JAX, that is: weights of other backends change without notice, and are copied
    each time.
    """

    def __init__(self) -> None:
        """Begin without a copy."""
        self._copy: CausalLM | None = None
        self._known: list[Any] = []  # weak references to the arrays of both

    def of(self, network: CausalLM) -> CausalLM:
        """Return the copy, with the network's present weights.

        Args:
            network: The same one at each call.
        """
        copy, given = self._copy, _values(network)
        if copy is None:
            config = {**network.get_config(), "dtype": "float32"}
            made: CausalLM = type(network).from_config(config)
            copy = made
        elif self._unchanged([*given, *_values(copy)]):
            return copy
        assign_weights(copy, weight_arrays(network))
        self._copy = copy
        if keras.backend.backend() == "jax":
            self._known = [weakref.ref(v) for v in (*given, *_values(copy))]
        return copy

    def _unchanged(self, values: list[Any]) -> bool:
        """Whether these are the arrays of the last time."""
        # JAX's arrays never change: a changed weight is another array.
        return keras.backend.backend() == "jax" and all(
            old() is new for old, new in zip(self._known, values, strict=True)
        )


def _values(network: CausalLM) -> list[Any]:
    return [variable.value for variable in named_weights(network).values()]
