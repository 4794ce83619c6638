"""The equations of the recurrent cells, each written once and shared by all kernels.

A cell advances the state of a batch by one time step. It gets the projected input
`x` (B, gates x units), that is W x_t + b for all gates side by side, and `products`,
functions that multiply a hidden vector (B, units) by the recurrent matrix (or by a
block of its columns) and add the recurrent bias where there is one. What a product
costs, in which precision it runs and how its gradient is taken is the kernel's
business; what is done with its result is the cell's.

Cells are frozen dataclasses: two with the same activations are equal, so a kernel
compiled for one serves the other.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

Array = Any
State = tuple[Array, ...]
Activation = Callable[[Array], Array]
Products = Sequence[Callable[[Array], Array]]


@dataclass(frozen=True)
class Cell(ABC):
    """A recurrent cell; subclasses write the equation in `__call__`.

    Attributes:
        blocks: how many gates' columns of the recurrent matrix each product takes,
            in the order of the columns; the first product takes the previous hidden
            state.
        states: number of state arrays, each (B, units); the first is the output.
        additive: whether projected input and recurrent product are only ever seen
            as their sum, so that their gradients are one and the same.
    """

    blocks: ClassVar[tuple[int, ...]]
    states: ClassVar[int]
    additive: ClassVar[bool]

    @property
    def gates(self) -> int:
        """Number of gates, the width of the projected input in units."""
        return sum(self.blocks)

    @abstractmethod
    def __call__(self, x: Array, state: State, products: Products) -> State:
        """The state after one time step.

        Args:
            x: projected input, (B, gates x units).
            state: the previous state, arrays of shape (B, units).
            products: one function (B, units) -> (B, block x units) for each block.
        """


@dataclass(frozen=True)
class ElmanCell(Cell):
    """h' = act(W x + b + U h): the simple recurrent network of Elman (1990)."""

    activation: Activation

    blocks = (1,)
    states = 1
    additive = True

    def __call__(self, x: Array, state: State, products: Products) -> State:
        """One step; see `Cell`."""
        (h,) = state
        (recurrent,) = products
        return (self.activation(x + recurrent(h)),)


@dataclass(frozen=True)
class LSTMCell(Cell):
    """Long short-term memory with a forget gate.

    Hochreiter and Schmidhuber (1997), Gers, Schmidhuber and Cummins (2000); the
    order of the gates in the matrices is input, forget, candidate, output, as in
    Keras. The output gate looks at the previous hidden state, not at the new cell.
    """

    activation: Activation
    recurrent_activation: Activation

    blocks = (4,)
    states = 2
    additive = True

    def __call__(self, x: Array, state: State, products: Products) -> State:
        """One step; see `Cell`."""
        h, c = state
        (recurrent,) = products
        i, f, g, o = ops.split(x + recurrent(h), 4, axis=-1)
        input_gate = self.recurrent_activation(i)
        forget_gate = self.recurrent_activation(f)
        output_gate = self.recurrent_activation(o)
        c = forget_gate * c + input_gate * self.activation(g)
        return output_gate * self.activation(c), c


@dataclass(frozen=True)
class GRUCell(Cell):
    """Gated recurrent unit, reset gate applied after the recurrent product.

    Cho et al. (2014, version 3 of the paper): the form that cuDNN computes. Gates in
    the order update, reset, candidate, as in Keras.
    """

    activation: Activation
    recurrent_activation: Activation

    blocks = (3,)
    states = 1
    additive = False

    def __call__(self, x: Array, state: State, products: Products) -> State:
        """One step; see `Cell`."""
        (h,) = state
        (recurrent,) = products
        x_z, x_r, x_h = ops.split(x, 3, axis=-1)
        u_z, u_r, u_h = ops.split(recurrent(h), 3, axis=-1)
        update = self.recurrent_activation(x_z + u_z)
        reset = self.recurrent_activation(x_r + u_r)
        candidate = self.activation(x_h + reset * u_h)
        return (candidate + update * (h - candidate),)


@dataclass(frozen=True)
class ResetBeforeGRUCell(Cell):
    """Gated recurrent unit, reset gate applied before the recurrent product.

    Cho et al. (2014, version 1 of the paper). The candidate needs a product of its
    own, since its operand depends on the reset gate.
    """

    activation: Activation
    recurrent_activation: Activation

    blocks = (2, 1)
    states = 1
    additive = False

    def __call__(self, x: Array, state: State, products: Products) -> State:
        """One step; see `Cell`."""
        (h,) = state
        gates, recurrent = products
        x_z, x_r, x_h = ops.split(x, 3, axis=-1)
        u_z, u_r = ops.split(gates(h), 2, axis=-1)
        update = self.recurrent_activation(x_z + u_z)
        reset = self.recurrent_activation(x_r + u_r)
        candidate = self.activation(x_h + recurrent(reset * h))
        return (candidate + update * (h - candidate),)


def hold(mask: Array | None, new: State, old: State) -> State:
    """The new state where `mask` (B, 1) is true, the old one where it is false."""
    if mask is None:
        return new
    return tuple(ops.where(mask, n, o) for n, o in zip(new, old, strict=True))


def columns(cell: Cell, matrix: Array, units: int) -> list[Array]:
    """The blocks of `matrix`'s last axis that the cell's products use, in order."""
    blocks, start = [], 0
    for block in cell.blocks:
        blocks.append(matrix[..., start : start + block * units])
        start += block * units
    return blocks
