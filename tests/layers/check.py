"""The test that every layer goes through."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tests.layers.gradients import call_with_gradients


def check_layer(
    layer: keras.layers.Layer,
    *inputs: np.ndarray,
    output_shape: tuple[int, ...],
    output_dtype: str = "float32",
    weights: int = 0,
    call: dict[str, Any] | None = None,
    masks: bool = True,
) -> None:
    """Check configuration, symbolic and eager calls, precision, masks and training.

    Args:
        layer: the layer, not yet called.
        *inputs: what it is called with; float arrays are differentiated by.
        output_shape: of its (first) output.
        output_dtype: of its output under mixed_bfloat16; under float32 it is float32.
        weights: number of trainable weights.
        call: keyword arguments of the call.
        masks: whether a mask of its input comes out again.
    """
    call = call or {}
    _same_again(layer)
    spec = _first(
        layer.compute_output_spec(
            *(keras.KerasTensor(a.shape, str(a.dtype)) for a in inputs), **call
        )
    )
    eager = _first(layer(*inputs, **call))
    assert tuple(spec.shape) == tuple(eager.shape) == output_shape
    assert keras.backend.standardize_dtype(eager.dtype) == spec.dtype == "float32"
    assert len(layer.trainable_variables) == weights

    again = _same_again(layer)
    again(*inputs, **call)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        ops.convert_to_numpy(_first(again(*inputs, **call))),
        ops.convert_to_numpy(eager),
    )
    _check_mixed(layer, inputs, call, output_dtype)
    _check_training(layer, inputs, call)
    assert layer.supports_masking is masks


def _first(outputs: Any) -> Any:
    return outputs[0] if isinstance(outputs, list | tuple) else outputs


def _same_again(layer: keras.layers.Layer) -> keras.layers.Layer:
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    saved = keras.saving.serialize_keras_object(layer)
    assert saved["registered_name"] == f"keras_rnnlm>{type(layer).__name__}"
    restored = keras.saving.deserialize_keras_object(saved)
    assert type(restored) is type(layer)
    assert restored.get_config() == layer.get_config()
    return again


def _check_mixed(
    layer: keras.layers.Layer, inputs: Any, call: dict[str, Any], dtype: str
) -> None:
    config = {**layer.get_config(), "dtype": "mixed_bfloat16"}
    mixed = type(layer).from_config(config)
    output = _first(mixed(*inputs, **call))
    assert keras.backend.standardize_dtype(output.dtype) == dtype
    mixed.set_weights(layer.get_weights())
    assert all(v.dtype == "float32" for v in mixed.trainable_variables)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(_first(mixed(*inputs, **call)), "float32")),
        ops.convert_to_numpy(_first(layer(*inputs, **call))),
        atol=0.05,
    )


def _check_training(
    layer: keras.layers.Layer, inputs: Any, call: dict[str, Any]
) -> None:
    floats = [a for a in inputs if a.dtype.kind == "f"]

    def function(*tensors: Any) -> Any:
        left = iter(tensors)
        arrays = [next(left) if a.dtype.kind == "f" else a for a in inputs]
        return _first(layer(*arrays, **call, **_training(layer)))

    got = call_with_gradients(layer, function, floats)
    for gradient in (*got.inputs, *got.weights):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def _training(layer: keras.layers.Layer) -> dict[str, bool]:
    function: Callable[..., Any] = layer.call
    return {"training": True} if "training" in function.__code__.co_varnames else {}
