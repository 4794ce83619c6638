"""The C++ kernels of `native/adam.cc`, called from JAX.

Both take all arrays of a network in one call: they are shared out among the cores as
one long row, and a bias costs no call of its own. `jax.vmap` gives every array a
leading axis, and the kernels work through it; each member's result is, bit for bit,
what it would be alone.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from keras_rnnlm.layers.kernels.native import library

Array = Any


def square_sum(gradients: Sequence[Array]) -> Array:
    """Return the sum of the squares of all numbers, a float32 scalar.

    Args:
        gradients: float32 arrays of any shapes.
    """
    return library.call(
        "rnnlm_square_sum", library.floats(), *gradients, vmap_method="broadcast_all"
    )


def update(
    parameters: Sequence[Array],
    momentums: Sequence[Array],
    velocities: Sequence[Array],
    gradients: Sequence[Array],
    *,
    rate: Any,
    scale: Any,
    beta_1: Any,
    beta_2: Any,
    epsilon: Any,
    decay: Any,
) -> tuple[list[Array], list[Array], list[Array]]:
    """Take a step of Adam with decoupled weight decay.

    Results take the memory of what they replace where that is given away; elsewhere
    XLA copies it first. Numbers below float32's smallest normal one become zero.

    Args:
        parameters: float32 arrays of any shapes.
        momentums: Their first moments, of the same shapes.
        velocities: Their second moments.
        gradients: Their gradients.
        rate: Learning rate, corrected for the moments' start from zero.
        scale: By which the gradients are multiplied first.
        beta_1: Decay of the first moments.
        beta_2: Decay of the second moments.
        epsilon: Added to the roots of the second moments.
        decay: Part of each parameter that is taken off before the step.

    Returns:
        New parameters, momentums and velocities.
    """
    count = len(parameters)
    replaced = [*parameters, *momentums, *velocities]
    # In the order of the kernel's `AdamStep`.
    numbers = (rate, scale, 1 - beta_1, 1 - beta_2, epsilon, decay)
    new = library.call(
        "rnnlm_adam",
        [library.floats(*array.shape) for array in replaced],
        jnp.stack([jnp.asarray(number, jnp.float32) for number in numbers]),
        *replaced,
        *gradients,
        aliases={1 + i: i for i in range(3 * count)},
        vmap_method="broadcast_all",
    )
    return new[:count], new[count : 2 * count], new[2 * count :]
