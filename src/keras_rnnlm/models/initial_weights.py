"""Initial weights drawn by NumPy: the same for a seed on every backend.

Embeddings and output are uniform in ±0.1 (Zaremba et al. 2014), input matrices Glorot
uniform (Glorot & Bengio 2010), recurrent matrices orthogonal gate by gate (Saxe et al.
2014), biases zero but for the LSTM's forget gate, which is one (Jozefowicz et al.
2015).
"""

from typing import Any

import numpy as np

from keras_rnnlm.models.weights import named_weights


def initialise(network: Any) -> None:
    """Assign initial weights computed from `network.seed`, in the order of names."""
    generator = np.random.default_rng(network.seed)
    for name, weight in named_weights(network).items():
        if name == "output.order":  # the layer's own: ids by frequency
            continue
        values = _draw(name, tuple(weight.shape), network, generator)
        weight.assign(values.astype("float32"))


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
    if name.startswith(("embedding", "output")) and "projection" not in name:
        return generator.uniform(-0.1, 0.1, shape)
    fan_out = network.units if name.startswith("recurrent") else shape[1]
    bound = np.sqrt(6.0 / (shape[0] + fan_out))
    return generator.uniform(-bound, bound, shape)


def _orthogonal(size: int, generator: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(generator.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
