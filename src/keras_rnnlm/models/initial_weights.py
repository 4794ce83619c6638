"""Initial weights drawn by NumPy: the same for a seed on every backend.

Embeddings and output are uniform in ±0.1 (Zaremba et al. 2014), input matrices Glorot
uniform (Glorot & Bengio 2010), recurrent matrices orthogonal gate by gate (Saxe et al.
2014), biases zero but for the LSTM's forget gate, which is one (Jozefowicz et al.
2015). Cells that declare their weights say how to draw them. Scales of attention are as
their layer makes them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_rnnlm.layers.cell_layer import CellLayer
from keras_rnnlm.layers.cells import Weight
from keras_rnnlm.models.weights import named_weights


def initialise(network: Any) -> None:
    """Assign initial weights computed from `network.seed`, in the order of names."""

    def drawn(
        name: str, shape: tuple[int, ...], generator: np.random.Generator
    ) -> np.ndarray:
        declared = _declared(name, network)
        if declared is None:
            return _draw(name, shape, network, generator)
        return np.asarray(declared.initial(generator, shape))

    assign_drawn(network, drawn)


def assign_drawn(
    network: Any,
    draw: Callable[[str, tuple[int, ...], np.random.Generator], np.ndarray],
) -> None:
    """Assign initial weights computed from `network.seed`, in the order of names.

    Args:
        network: A language model with `seed`.
        draw: Gives the values of a weight by its name, its shape and a generator. It
            is not asked for those that stay as their layer makes them: an output's
            order of words, scales and low-rank factors.
    """
    generator = np.random.default_rng(network.seed)
    for name, weight in named_weights(network).items():
        own = ("_scale", "_down", "_up")
        if name == "output.order" or name.endswith(own):
            continue
        values = draw(name, tuple(weight.shape), generator)
        weight.assign(values.astype("float32"))


def _declared(name: str, network: Any) -> Weight | None:
    """What a cell says of the weight `recurrent.I.NAME`; None for Keras's cells."""
    part, _, rest = name.partition(".")
    layer, _, own = rest.partition(".")
    if part != "recurrent" or not isinstance(network.recurrent[int(layer)], CellLayer):
        return None
    found: Weight = network.recurrent[int(layer)].declared[own]
    return found


def _draw(
    name: str, shape: tuple[int, ...], network: Any, generator: np.random.Generator
) -> np.ndarray:
    if name.endswith("bias"):
        bias = np.zeros(shape)
        if network.cell == "lstm" and name.startswith("recurrent"):
            bias[network.units : 2 * network.units] = 1.0
        return bias
    if name.endswith("recurrent_kernel"):
        gates = shape[1] // network.units
        blocks = [_orthogonal(network.units, generator) for _ in range(gates)]
        return np.concatenate(blocks, axis=1)
    inner = ("projection", "prior", "latent")
    if name.startswith(("embedding", "output")) and not any(n in name for n in inner):
        return generator.uniform(-0.1, 0.1, shape)
    fan_out = network.units if name.startswith("recurrent") else shape[1]
    if name == "output.latent_kernel":
        fan_out //= network.output_layer.mixtures
    return glorot(shape, generator, fan_out)


def glorot(
    shape: tuple[int, ...], generator: np.random.Generator, fan_out: int | None = None
) -> np.ndarray:
    """Return a matrix of Glorot uniform numbers; `fan_out` is its width if None."""
    bound = np.sqrt(6.0 / (shape[0] + (shape[1] if fan_out is None else fan_out)))
    return generator.uniform(-bound, bound, shape)


def _orthogonal(size: int, generator: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(generator.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
