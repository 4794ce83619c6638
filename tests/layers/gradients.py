"""Outputs and gradients of a layer's call, as NumPy arrays, on the active backend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

Tensors = list[Any]


@dataclass
class Gradients:
    """What a call gave: outputs, and d sum(output x weight) / d each float input."""

    outputs: list[np.ndarray]
    inputs: list[np.ndarray]
    weights: list[np.ndarray]


def call_with_gradients(
    layer: Any,
    call: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    seed: int = 0,
) -> Gradients:
    """Call and differentiate a fixed random combination of all outputs.

    Args:
        layer: owner of the weights; built.
        call: function of the inputs as tensors, calling the layer.
        inputs: float arrays to differentiate by.
        seed: of the combination.
    """
    backend = keras.backend.backend()
    function = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}[backend]
    return function(layer, call, inputs, seed)


def _combine(outputs: Tensors, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    total = 0.0
    for output in outputs:
        weight = ops.convert_to_tensor(rng.standard_normal(output.shape), "float32")
        total = total + ops.sum(ops.cast(output, "float32") * weight)
    return total


def _numpy(arrays: Sequence[Any]) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(ops.cast(a, "float32"))) for a in arrays]


def _jax(
    layer: Any, call: Callable[..., Any], inputs: Sequence[np.ndarray], seed: int
) -> Gradients:
    import jax

    variables = layer.trainable_variables
    others = layer.non_trainable_variables
    held = [v.value for v in others]

    def loss(weights: Tensors, tensors: Tensors) -> tuple[Any, Any]:
        pairs = [*zip(variables, weights, strict=True), *zip(others, held, strict=True)]
        with keras.StatelessScope(state_mapping=pairs) as scope:
            outputs = keras.tree.flatten(call(*tensors))
            after = [scope.get_current_value(v) for v in others]
        return _combine(outputs, seed), (outputs, after)

    differentiate = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    # Compiling is what these tests spend their time on; the loops run for microseconds.
    function = jax.jit(
        differentiate, compiler_options={"xla_backend_optimization_level": 0}
    )
    (_, (outputs, after)), (by_weights, by_inputs) = function(
        [v.value for v in variables], [ops.convert_to_tensor(a) for a in inputs]
    )
    for variable, value in zip(others, after, strict=True):
        if value is not None:
            variable.assign(value)
    return Gradients(_numpy(outputs), _numpy(by_inputs), _numpy(by_weights))


def _tensorflow(
    layer: Any, call: Callable[..., Any], inputs: Sequence[np.ndarray], seed: int
) -> Gradients:
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(a) for a in inputs]
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = keras.tree.flatten(call(*tensors))
        loss = _combine(outputs, seed)
    found = tape.gradient(
        loss, [*variables, *tensors], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    found = [tf.convert_to_tensor(g) for g in found]
    return Gradients(
        _numpy(outputs),
        _numpy(found[len(variables) :]),
        _numpy(found[: len(variables)]),
    )


def _torch(
    layer: Any, call: Callable[..., Any], inputs: Sequence[np.ndarray], seed: int
) -> Gradients:
    import torch

    tensors = [torch.tensor(a, requires_grad=True) for a in inputs]
    variables = [v.value for v in layer.trainable_variables]
    for variable in variables:
        variable.grad = None
    outputs = keras.tree.flatten(call(*tensors))
    _combine(outputs, seed).backward()

    def of(tensor: Any) -> Any:
        return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad

    return Gradients(
        _numpy([o.detach() for o in outputs]),
        _numpy([of(t) for t in tensors]),
        _numpy([of(v) for v in variables]),
    )
