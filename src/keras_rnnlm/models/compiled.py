"""Inference functions compiled by the active backend."""

from collections.abc import Callable
from typing import Any

import keras


def compiled(network: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function`, which uses the network's weights but changes none.

    Args:
        network: A built Keras model.
        function: Takes and returns (nested tuples, lists or dicts of) tensors.

    Returns:
        A callable of the same arguments, arrays allowed. It always uses the network's
        current weights. Each new combination of argument shapes is compiled anew.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _compiled_jax(network, function)
    if backend == "tensorflow":
        return _compiled_tensorflow(function)
    if backend == "torch":
        return _eager_torch(function)
    raise ValueError(
        f"Expected the Keras backend jax, tensorflow or torch; received '{backend}'. "
        "Set KERAS_BACKEND."
    )


def _compiled_jax(network: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    import jax

    @jax.jit
    def pure(values: list[Any], arguments: tuple[Any, ...]) -> Any:
        mapping = list(zip(network.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    def call(*arguments: Any) -> Any:
        return pure([variable.value for variable in network.variables], arguments)

    return call


def _compiled_tensorflow(function: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    graph = tf.function(function)

    def call(*arguments: Any) -> Any:
        # Tensors, not arrays: a graph is made for shapes, not for values.
        return graph(*keras.tree.map_structure(tf.convert_to_tensor, arguments))

    return call


def _eager_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    def call(*arguments: Any) -> Any:
        with torch.no_grad():
            return function(
                *keras.tree.map_structure(keras.ops.convert_to_tensor, arguments)
            )

    return call
