"""How a cell declares its weights: matrices, vectors and their first values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.layers.cells.base import Initial, Weight

Draw = np.random.Generator
Shape = tuple[int, ...]


def matrix(
    rows: int, columns: int, gates: int = 1, initial: Initial | None = None
) -> Weight:
    """A matrix for `project` or `read`: one product over all time steps.

    Args:
        rows: width of what it is multiplied with.
        columns: width of a gate.
        gates: how many gates stand side by side.
        initial: Glorot uniform by gate if absent.
    """
    draw = glorot(columns) if initial is None else initial
    return Weight((rows, gates * columns), draw)


def recurrent(rows: int, columns: int, gates: int = 1) -> Weight:
    """A matrix for `step`; orthogonal gate by gate, and weight dropout falls on it."""
    draw = orthogonal(gates) if rows == columns else glorot(columns)
    return Weight((rows, gates * columns), draw, inside=True, dropped=True)


def vector(size: int, initial: Initial | float = 0.0, inside: bool = False) -> Weight:
    """A vector, for `step` if `inside`; `initial` may be one value for all elements."""
    draw = initial if callable(initial) else constant(initial)
    return Weight((size,), draw, inside=inside)


def dropped(weight: Weight) -> Weight:
    """The same weight, with weight dropout falling on it."""
    return weight._replace(dropped=True)


def constant(value: float) -> Initial:
    """All elements `value`."""
    return lambda _generator, shape: np.full(shape, value)


def blocks(*values: float) -> Initial:
    """Equal parts of a vector, one after another, each with its value."""

    def draw(_generator: Draw, shape: Shape) -> NDArray[Any]:
        return np.repeat(np.array(values), shape[0] // len(values))

    return draw


def uniform(low: float, high: float) -> Initial:
    """Evenly spread between two numbers."""
    return lambda generator, shape: generator.uniform(low, high, shape)


def glorot(columns: int) -> Initial:
    """Glorot and Bengio (2010), uniform, for gates of `columns` side by side."""

    def draw(generator: Draw, shape: Shape) -> NDArray[Any]:
        bound = np.sqrt(6.0 / (shape[-2] + columns))
        return generator.uniform(-bound, bound, shape)

    return draw


def orthogonal(gates: int) -> Initial:
    """Saxe et al. (2014): square orthogonal matrices side by side, one for a gate."""

    def draw(generator: Draw, shape: Shape) -> NDArray[Any]:
        *heads, size, _ = shape
        return np.concatenate(
            [_orthogonal(generator, (*heads, size, size)) for _ in range(gates)], -1
        )

    return draw


def _orthogonal(generator: Draw, shape: Shape) -> NDArray[Any]:
    q, r = np.linalg.qr(generator.standard_normal(shape))
    signs: NDArray[Any] = np.sign(np.diagonal(r, axis1=-2, axis2=-1))
    result: NDArray[Any] = q * signs[..., None, :]
    return result
