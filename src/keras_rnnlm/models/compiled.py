"""Inference functions compiled by the active backend."""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import keras

# By network and function. An entry holds its network by a weak proxy: by a strong
# reference, it would keep its own key alive.
_functions: weakref.WeakKeyDictionary[keras.Model, dict[Any, Callable[..., Any]]]
_functions = weakref.WeakKeyDictionary()


def compiled_once(
    network: Any, function: Callable[..., Any], donated: tuple[int, ...] = ()
) -> Callable[..., Any]:
    """Return `compiled` of `function(network, ...)`, the same one each time.

    Args:
        network: A built Keras model; it is not kept alive.
        function: A function of a module; its first argument is the network.
        donated: Which of its further arguments (from 0) are given away: see `compiled`.
    """
    known = _functions.setdefault(network, {})
    if function not in known:
        proxy = weakref.proxy(network)
        known[function] = compiled(proxy, partial(function, proxy), donated)
    return known[function]


def compiled(
    network: Any, function: Callable[..., Any], donated: tuple[int, ...] = ()
) -> Callable[..., Any]:
    """Compile `function`, which uses the network's weights but changes none.

    Args:
        network: A built Keras model.
        function: Takes and returns (nested tuples, lists or dicts of) tensors.
        donated: Which arguments the caller gives away: on JAX results are written into
            their memory, and they cannot be used again.

    Returns:
        A callable of the same arguments, arrays allowed. It always uses the network's
        current weights. Each new combination of argument shapes is compiled anew.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _compiled_jax(network, function, donated)
    if backend == "tensorflow":
        return _compiled_tensorflow(function)
    if backend == "torch":
        return _eager_torch(function)
    raise ValueError(
        f"Expected the Keras backend jax, tensorflow or torch; received '{backend}'. "
        "Set KERAS_BACKEND."
    )


def _compiled_jax(
    network: Any, function: Callable[..., Any], donated: tuple[int, ...]
) -> Callable[..., Any]:
    import jax

    def pure(values: list[Any], *arguments: Any) -> Any:
        mapping = list(zip(network.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    pure = jax.jit(pure, donate_argnums=[1 + i for i in donated])

    def call(*arguments: Any) -> Any:
        return pure([variable.value for variable in network.variables], *arguments)

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
