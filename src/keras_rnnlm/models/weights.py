"""Weights by stable names of our own, independent of Keras's counters."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_rnnlm.errors import FolderError
from keras_rnnlm.layers.word_ranks import WordRanks


def named_weights(network: Any) -> dict[str, keras.Variable]:
    """Return the weights of a language model by stable name, in fixed order.

    Names: `embedding.weight`, and `embedding.projection` where there is one; of an
    `RNNLM` `recurrent.I.kernel`, `recurrent.I.recurrent_kernel`, `recurrent.I.bias` or
    what a cell declares in their place, those of `attention` and `projection.kernel`,
    of other networks `blocks.I.NAME`; `output.kernel` (free output only; shape (width,
    vocabulary)) and `output.bias`. A mixture has `output.prior_kernel`,
    `output.latent_kernel` and `output.latent_bias` besides. A sampled output has
    `output.order`, the rank of each id and the id of each rank, besides; an adaptive
    one `output.order`, `output.head_kernel`, `output.head_bias`, and
    `output.projection_I`, `output.tail_I_kernel` and `output.tail_I_bias` of each
    cluster I. All are trained but the order.
    """
    named = {"embedding.weight": network.embedding.embeddings}
    if network.embedding.kernel is not None:
        named["embedding.projection"] = network.embedding.kernel
    named.update(network.body_weights())
    # Whether they are trained or not: a network may be frozen.
    for variable in network.output_layer.weights:
        if variable.name != "order":
            named[f"output.{variable.name}"] = variable
    if isinstance(network.output_layer, WordRanks):
        named["output.order"] = network.output_layer.order
    return named


def weight_arrays(network: Any) -> dict[str, np.ndarray]:
    """Return C-contiguous float32 copies of all weights by name."""
    return {
        name: np.array(keras.ops.convert_to_numpy(v.value), dtype="float32", order="C")
        for name, v in named_weights(network).items()
    }


def merged(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return weights in which low-rank factors are added to their matrices.

    Those of a network without such factors are returned as they are.
    """
    names = [n for n in arrays if {f"{n}_down", f"{n}_up"} <= set(arrays)]
    factors = {f"{name}_{part}" for name in names for part in ("down", "up")}
    whole = {name: array for name, array in arrays.items() if name not in factors}
    for name in names:
        product = arrays[f"{name}_down"] @ arrays[f"{name}_up"]
        whole[name] = whole[name] + product
    return whole


def assign_weights(network: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Assign all weights by name.

    Raises:
        FolderError: Names or shapes differ from the network's.
    """
    variables = named_weights(network)
    if set(variables) != set(arrays):
        missing = sorted(set(variables) - set(arrays))
        surplus = sorted(set(arrays) - set(variables))
        raise FolderError(
            f"Weights do not fit the model: missing {missing or 'none'}, "
            f"not expected {surplus or 'none'}."
        )
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise FolderError(
                f"Weight '{name}' has shape {arrays[name].shape}; the model expects "
                f"{tuple(variable.shape)}."
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])
